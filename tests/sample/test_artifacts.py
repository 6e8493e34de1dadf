"""Wheels, charts and container images out of built packages, and a real registry."""

from __future__ import annotations

import json
import socket
import subprocess
import tarfile
import time
import urllib.request

import pytest
from conftest import HOME, own


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def registry(account, tmp_path_factory):
    """A registry over plain http, which the account's configuration allows; its address."""
    address = f"127.0.0.1:{free_port()}"
    home = tmp_path_factory.mktemp("registry")
    (home / "config.yml").write_text(
        f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {home}/data}}}}\n"
        f"http: {{addr: '{address}'}}\n"
    )
    settings = HOME / ".config/containers/registries.conf"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(f'[[registry]]\nlocation = "{address}"\ninsecure = true\n')
    own(HOME / ".config")
    process = subprocess.Popen(
        ["docker-registry", "serve", str(home / "config.yml")], stderr=subprocess.DEVNULL
    )
    for _ in range(100):
        try:
            urllib.request.urlopen(f"http://{address}/v2/")
            break
        except OSError:
            time.sleep(0.1)
    yield address
    process.terminate()
    process.wait()


@pytest.fixture(scope="module")
def built(new_tree):
    """A tree and its workspace with packages for all three."""
    tree = new_tree("artifacts")
    for name in ("integ", "utilities", "config", "base"):
        tree.add(name, f"cgcs-root/stx/{name}")
    # Of the base only what an image needs: the rest is made of more downloads.
    listing = tree.repo / "stx/base/centos_pkg_dirs"
    listing.write_text("bash\nbusybox\nfilesystem\nglibc\n")
    tree.commit()
    workspace = tree.path.parent / "workspace"
    done = tree.run("build-pkgs", "--std", workspace=workspace)
    assert done.returncode == 0, done.stdout
    return tree, workspace


def tool(tree, name):
    return str(tree.repo / "build-tools" / name)


def test_wheels(built):
    tree, workspace = built
    command = tool(tree, "build-wheels/build-wheel-tarball.sh")
    done = tree.run(command, "--os", "centos", "--stream", "stable", workspace=workspace)
    assert done.returncode == 0, done.stderr
    output = workspace / "std/build-wheels-centos-stable"
    with tarfile.open(output / "stx-centos-stable-wheels.tar") as archive:
        names = archive.getnames()
    assert names == ["wheels", "wheels/sample_inventory-1.0-py3-none-any.whl"]
    assert (output / "stx/wheels/sample_inventory-1.0-py3-none-any.whl").is_file()


def test_wheels_of_another_stream_are_missed_by_name(built):
    tree, workspace = built
    command = tool(tree, "build-wheels/build-wheel-tarball.sh")
    done = tree.run(command, "--stream", "dev", workspace=workspace)
    assert done.returncode == 1
    assert "centos_dev_wheels.inc" in done.stderr


def test_charts_name_the_images_of_the_record(built, tmp_path):
    tree, workspace = built
    record = tree.path / "images.lst"
    record.write_text("registry:5000/org/stx-sample-clock:dev-centos-stable-1.0\n")
    done = tree.run(
        "build-helm-charts.sh", "--app", "sample-app", "--label", "x", "--image-record",
        str(record), workspace=workspace,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with tarfile.open(workspace / "std/build-helm/stx/sample-app-1.0-1-x.tgz") as archive:
        assert "./charts/sample-clock-1.0.0.tgz" in archive.getnames()
        manifest = archive.extractfile("./sample-app.yaml").read().decode()
        sums = archive.extractfile("./checksum.md5").read().decode()
        archive.extractall(tmp_path, filter="data")
    assert "sample_clock: registry:5000/org/stx-sample-clock:dev-centos-stable-1.0\n" in manifest
    assert len(sums.splitlines()) == 3
    subprocess.run(["md5sum", "-c", "--quiet", "checksum.md5"], cwd=tmp_path, check=True)


def test_charts_without_the_record_say_what_to_run(built):
    tree, workspace = built
    done = tree.run(
        "build-helm-charts.sh", "--app", "sample-app", "--image-record", "/nowhere.lst",
        workspace=workspace,
    )  # fmt: skip
    assert done.returncode == 1
    assert "push images with build-stx-images.sh first" in done.stderr


def push(tree, workspace, registry, *, version="20260102T030405Z", prefix="dev"):
    """Base and component images, as the profile's stages make them."""
    base_tag = f"{prefix}-stable-{version}"
    to = ["--user", "org", "--registry", registry, "--push", "--latest", "--attempts", "1"]
    base = tree.run(
        tool(tree, "build-docker-images/build-stx-base.sh"),
        "--version", base_tag, "--latest-tag", f"{prefix}-stable-latest", *to,
        workspace=workspace,
    )  # fmt: skip
    if base.returncode:
        return base
    return tree.run(
        tool(tree, "build-docker-images/build-stx-images.sh"),
        "--prefix", prefix, "--version", version, *to,
        "--base", f"{registry}/org/stx-centos:{base_tag}",
        workspace=workspace,
    )  # fmt: skip


def inspect(reference):
    """What the registry says of an image."""
    out = subprocess.run(
        ["skopeo", "inspect", "--tls-verify=false", f"docker://{reference}"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    return json.loads(out)


def test_images_are_pushed_and_run(built, registry, tmp_path):
    tree, workspace = built
    done = push(tree, workspace, registry)
    assert done.returncode == 0, done.stderr
    tag = "dev-centos-stable-20260102T030405Z.0"
    lists = workspace / "std/build-images"
    assert (lists / "images-centos-stable-versioned.lst").read_text() == (
        f"{registry}/org/stx-sample-clock:{tag}\n"
    )
    assert (lists / "images-centos-stable-latest.lst").read_text() == (
        f"{registry}/org/stx-sample-clock:dev-centos-stable-latest\n"
    )
    rpms = (lists / "stx-sample-clock-centos-stable.rpmlst").read_text().split()
    assert rpms == ["libsampleclock-1.0-1.tis.x86_64", "sample-clockd-1.0-1.tis.x86_64"]
    image = inspect(f"{registry}/org/stx-sample-clock:{tag}")
    base = inspect(f"{registry}/org/stx-centos:dev-stable-20260102T030405Z")
    latest = inspect(f"{registry}/org/stx-sample-clock:dev-centos-stable-latest")
    assert image["Digest"] == latest["Digest"]
    assert image["Layers"][0] == base["Layers"][0]
    assert run_image(image, registry, tmp_path).startswith("up ")


def run_image(image, registry, tmp_path):
    """Runs the image's program in its layers, as an engine would, without one."""
    tree = tmp_path / "image"
    tree.mkdir()
    for layer in image["Layers"]:
        url = f"http://{registry}/v2/org/stx-sample-clock/blobs/{layer}"
        with urllib.request.urlopen(url) as blob, tarfile.open(fileobj=blob, mode="r|gz") as files:
            files.extractall(tree, filter="tar")
    environ = dict(variable.split("=", 1) for variable in image["Env"])
    return subprocess.run(
        ["chroot", str(tree), "/usr/sbin/sample-clockd", "--once", "-"],
        env=environ, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip


def test_the_same_packages_give_the_same_image(built, registry):
    tree, workspace = built
    assert push(tree, workspace, registry, version="20260102T030405Z").returncode == 0
    assert push(tree, workspace, registry, version="20260103T030405Z").returncode == 0
    digests = {
        inspect(f"{registry}/org/stx-sample-clock:dev-centos-stable-2026010{day}T030405Z.0")[
            "Digest"
        ]
        for day in (2, 3)
    }
    assert len(digests) == 1


def test_a_registry_that_is_down_is_told_and_no_list_is_written(built):
    tree, workspace = built
    for path in (workspace / "std/build-images").glob("images-*.lst"):
        path.unlink()
    done = push(tree, workspace, f"127.0.0.1:{free_port()}")
    assert done.returncode == 1
    assert "cannot be pushed; is the registry up, and may this account push" in done.stderr
    assert not list((workspace / "std/build-images").glob("images-*.lst"))


def test_a_tag_that_no_registry_takes_is_refused(built, registry):
    tree, workspace = built
    done = push(tree, workspace, registry, prefix="f/branch")
    assert done.returncode == 1
    assert "cannot be an image's tag" in done.stderr
