"""collect_artifacts with real RPMs, real metadata tools, and a workspace that means harm."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from module_call import call

SPEC = """Name: {name}
Version: 1
Release: 1
Summary: A package
License: Apache-2.0
BuildArch: noarch
%description
{description}
%install
mkdir -p %{{buildroot}}/usr/share/{name}
echo hello > %{{buildroot}}/usr/share/{name}/hello
%files
/usr/share/{name}
"""
HOST = "build7.example.org"
ID = "20261101T020000Z"


def make_rpm(base: Path, name: str, host: str = "builder", description: str = "Hello.") -> Path:
    """Build a real RPM; its time is clamped, so that it is the same every time."""
    (base / f"{name}.spec").write_text(SPEC.format(name=name, description=description))
    defines = {
        "_topdir": str(base / "rpm"),
        "_buildhost": host,
        "use_source_date_epoch_as_buildtime": "1",
        "clamp_mtime_to_source_date_epoch": "1",
        "_rpmfilename": "%{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}.rpm",
    }
    words = [word for key, value in defines.items() for word in ("-D", f"{key} {value}")]
    subprocess.run(
        ["rpmbuild", "-ba", "--quiet", *words, str(base / f"{name}.spec")],
        check=True,
        capture_output=True,
        env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000"},
    )
    return base / "rpm"


@pytest.fixture(scope="session")
def rpms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directories RPMS and SRPMS with two clean packages and two that tell too much."""
    base = tmp_path_factory.mktemp("rpms")
    for name in ("one", "two"):
        made = make_rpm(base, name)
    make_rpm(base, "host", host=HOST)
    make_rpm(base, "told", description=f"Built by hand on {HOST.upper()}.")
    return made


@pytest.fixture
def workspace(tmp_path: Path, rpms: Path) -> Path:
    path = tmp_path / "workspace"
    for kind, pattern in (("RPMS", "{}-1-1.noarch.rpm"), ("SRPMS", "{}-1-1.src.rpm")):
        for phase, name in (("std", "one"), ("rt", "two")):
            place = path / phase / "rpmbuild" / kind
            place.mkdir(parents=True)
            shutil.copy(rpms / kind / pattern.format(name), place)
    (path / "export").mkdir()
    (path / "export/bootimage.iso").write_bytes(b"\0iso" * 1000)
    (path / "logs").mkdir()
    (path / "logs/packages.log").write_text(f"built on {HOST} in /home/ann/x\nbuild70 is fine\n")
    return path


@pytest.fixture
def arguments(tmp_path: Path, workspace: Path) -> dict:
    artifacts = [
        {"from": f"{p}/rpmbuild/{k}/*.rpm", "type": f"outputs/{k}", "phase": p, "required": True}
        for p in ("std", "rt")
        for k in ("RPMS", "SRPMS")
    ]
    artifacts.append({"from": "export/*.iso", "type": "outputs/iso", "phase": None})
    return {
        "tree": str(tmp_path / "tree" / ID),
        "workspace": str(workspace),
        "artifacts": artifacts,
        "log_directory": str(workspace / "logs"),
        "logs": [],
        "directories": ["inputs/downloads", "outputs/wheels"],
        "secret_terms": [HOST, "build7", "/home/ann"],
        "keep": ["build.json"],
    }


def collect(arguments: dict, **changes: object) -> dict:
    reply = call("collect_artifacts", {**arguments, **changes})
    assert not reply["failed"], reply["msg"]
    return reply


def files(tree: str) -> set[str]:
    return {str(path.relative_to(tree)) for path in Path(tree).rglob("*") if not path.is_dir()}


def repoquery(directory: str) -> set[str]:
    """Ask as a stock client does."""
    options = ["-q", "--repofrompath", f"x,file://{directory}", "--repo", "x", "--forcearch=x86_64"]
    done = subprocess.run(
        ["dnf", *options, "--setopt=cachedir=" + directory + ".dnf", "repoquery"],
        check=True,
        capture_output=True,
        text=True,
    )
    return set(done.stdout.split())


def test_the_tree_is_the_specifications(arguments):
    reply = collect(arguments)
    assert reply["changed"] is True
    assert reply["problems"] == []
    assert {path for path in files(arguments["tree"]) if "/repodata/" not in path} == {
        "outputs/RPMS/std/one-1-1.noarch.rpm",
        "outputs/RPMS/rt/two-1-1.noarch.rpm",
        "outputs/SRPMS/std/one-1-1.src.rpm",
        "outputs/SRPMS/rt/two-1-1.src.rpm",
        "outputs/iso/bootimage.iso",
        "outputs/logs/packages.log",
    }
    assert (Path(arguments["tree"]) / "inputs/downloads").is_dir()
    assert reply["artifacts"]["outputs/RPMS/std"]["files"] == 1
    assert reply["iso"] == {
        "path": "outputs/iso/bootimage.iso",
        "size": 4000,
        "sha256": hashlib.sha256(b"\0iso" * 1000).hexdigest(),
    }


def test_dnf_works_at_each_phase_and_at_the_top(arguments):
    collect(arguments)
    outputs = arguments["tree"] + "/outputs"
    assert repoquery(outputs + "/RPMS/std") == {"one-0:1-1.noarch"}
    assert repoquery(outputs + "/RPMS") == {"one-0:1-1.noarch", "two-0:1-1.noarch"}
    assert repoquery(outputs + "/SRPMS/rt") == {"two-0:1-1.src"}


def test_a_second_run_changes_nothing_and_same_packages_give_same_metadata(arguments, tmp_path):
    collect(arguments)
    assert collect(arguments)["changed"] is False
    for path in Path(arguments["workspace"]).rglob("*.rpm"):
        os.utime(path)
    other = str(tmp_path / "other" / ID)
    collect(arguments, tree=other)
    assert files(other) == files(arguments["tree"])
    for name in files(other):
        assert (Path(other) / name).read_bytes() == (Path(arguments["tree"]) / name).read_bytes()


def test_nothing_in_the_tree_is_linked_to_the_workspace(arguments):
    collect(arguments)
    for name in files(arguments["tree"]):
        path = Path(arguments["tree"]) / name
        assert path.stat().st_nlink == 1
        assert not path.is_symlink()
        assert path.stat().st_mode & 0o777 == 0o644


def test_a_run_again_as_failed_leaves_logs_and_what_is_kept(arguments):
    collect(arguments)
    tree = Path(arguments["tree"])
    (tree / "build.json").write_text("{}")
    (tree / "outputs/success").write_text("")
    reply = collect(arguments, artifacts=[], directories=[])
    assert reply["changed"] is True
    assert files(arguments["tree"]) == {"build.json", "outputs/logs/packages.log"}
    assert not (tree / "inputs").exists()


def test_logs_are_redacted_by_whole_words(arguments):
    collect(arguments)
    log = (Path(arguments["tree"]) / "outputs/logs/packages.log").read_text()
    assert log == "built on [redacted] in [redacted]/x\nbuild70 is fine\n"


def test_private_words_are_cut_out_of_logs_and_stop_nothing(arguments, rpms):
    """An admin may have written what a package says of itself."""
    (Path(arguments["workspace"]) / "logs/packages.log").write_text(f"Ann Lee ran it on {HOST}\n")
    (Path(arguments["workspace"]) / "logs/ann lee.log").write_text("x")
    reply = collect(arguments, private_terms=["Ann Lee", "one"])
    log = (Path(arguments["tree"]) / "outputs/logs/packages.log").read_text()
    assert log == "[redacted] ran it on [redacted]\n"
    assert reply["problems"] == []
    assert (Path(arguments["tree"]) / "outputs/RPMS/std/one-1-1.noarch.rpm").exists()


def test_a_word_on_the_edge_of_a_block_is_redacted(arguments):
    """Logs are read in blocks of 1 MiB; a word that lies across two is still one word."""
    text = "x" * ((1 << 20) - 4) + f" {HOST} end"
    (Path(arguments["workspace"]) / "logs/packages.log").write_text(text + "\n" + text)
    collect(arguments)
    log = (Path(arguments["tree"]) / "outputs/logs/packages.log").read_text()
    assert HOST not in log
    assert log.count("[redacted] end") == 2


def test_logs_that_are_no_text_are_left_out_and_named(arguments):
    workspace = Path(arguments["workspace"])
    (workspace / "logs/core.log").write_bytes(b"\x7fELF\0\0")
    (workspace / f"logs/{HOST}.log").write_text("x")
    (workspace / "logs/new\nline.log").write_text("x")
    os.mkfifo(workspace / "logs/fifo.log")
    (workspace / "logs/shadow.log").symlink_to("/etc/shadow")
    reply = collect(arguments)
    assert reply["problems"] == []
    assert len(reply["skipped"]) == 5
    assert "logs/core.log: it is not text" in reply["skipped"]
    logs = Path(arguments["tree"]) / "outputs/logs"
    assert [path.name for path in logs.iterdir()] == ["packages.log"]


def test_further_logs_keep_their_path(arguments):
    deep = Path(arguments["workspace"]) / "std/results/one-1-1/build.log"
    deep.parent.mkdir(parents=True)
    deep.write_text("x")
    collect(arguments, logs=["std/results/**/*.log", "std/**/*.log"])
    assert (Path(arguments["tree"]) / "outputs/logs/std/results/one-1-1/build.log").exists()


@pytest.mark.parametrize(("name", "field"), [("host", "Buildhost"), ("told", "Description")])
def test_a_header_that_names_the_build_server_is_a_problem(arguments, rpms, name, field):
    shutil.copy(rpms / f"RPMS/{name}-1-1.noarch.rpm", arguments["workspace"] + "/std/rpmbuild/RPMS")
    found = [p for p in collect(arguments)["problems"] if f" {field}:" in p]
    assert len(found) == 1
    assert f"outputs/RPMS/std/{name}-1-1.noarch.rpm has" in found[0]
    assert HOST in found[0].lower()


def test_a_common_build_host_is_no_secret(arguments):
    assert collect(arguments, secret_terms=[HOST])["problems"] == []


@pytest.mark.parametrize(
    ("plant", "said"),
    [
        (lambda p: p.symlink_to("/etc/shadow"), "outside"),
        (lambda p: p.symlink_to("../../secret"), "outside"),
        (lambda p: p.symlink_to("/proc/self/environ"), "outside"),
        (lambda p: p.symlink_to(p.name), "symbolic links"),
        (lambda p: p.symlink_to("nowhere"), "No such file"),
        (os.mkfifo, "not a regular file"),
        (lambda p: p.symlink_to("/dev/zero"), "not a regular file"),
        (lambda p: p.write_text("no rpm"), "not an RPM"),
        (lambda p: p.write_bytes(b"\xed\xab\xee\xdb" + b"\0" * 200), "damaged"),
    ],
)
def test_a_hostile_artifact_is_refused_by_name(arguments, tmp_path, plant, said):
    """%build of any package ran here, so a name that we collect may be anything."""
    (tmp_path / "secret").write_text("the publishing key")
    plant(Path(arguments["workspace"]) / "export/evil.rpm")
    entry = {"from": "export/*.rpm", "type": "outputs/RPMS", "phase": "evil"}
    reply = collect(arguments, artifacts=[entry])
    assert len(reply["problems"]) == 1
    assert reply["problems"][0].startswith("export/evil.rpm cannot be published: ")
    assert said in reply["problems"][0]
    left = [p for p in files(arguments["tree"]) if "evil" in p]
    assert all(
        "publishing key" not in (Path(arguments["tree"]) / p).read_text("latin1") for p in left
    )


def test_a_linked_directory_that_leads_out_is_refused(arguments, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "key.rpm").write_text("secret")
    (Path(arguments["workspace"]) / "link").symlink_to(outside)
    reply = collect(
        arguments, artifacts=[{"from": "link/*.rpm", "type": "outputs/RPMS", "phase": "std"}]
    )
    assert "outside" in reply["problems"][0]


def test_links_inside_the_builds_own_directories_become_files(arguments, tmp_path):
    mirror = tmp_path / "mirrors"
    mirror.mkdir()
    (mirror / "kernel.tar").write_text("kernel")
    downloads = Path(arguments["workspace"]) / "downloads"
    downloads.mkdir()
    (downloads / "kernel.tar").symlink_to(mirror / "kernel.tar")
    entries = [{"from": "downloads/*", "type": "inputs/downloads"}]
    assert "outside" in collect(arguments, artifacts=entries)["problems"][0]
    assert collect(arguments, artifacts=entries, roots=[str(mirror)])["problems"] == []
    copy = Path(arguments["tree"]) / "inputs/downloads/kernel.tar"
    assert copy.read_text() == "kernel"
    assert not copy.is_symlink()


def test_names_that_the_mirror_would_refuse_are_named_here(arguments):
    (Path(arguments["workspace"]) / "export/a b$(id).iso").write_text("x")
    (Path(arguments["workspace"]) / "export/bootimage.iso").unlink()
    (Path(arguments["workspace"]) / "export/-rf").write_text("x")
    reply = collect(arguments, artifacts=[{"from": "export/*", "type": "outputs/installer"}])
    assert len(reply["problems"]) == 2


def test_two_files_for_one_place_are_refused_unless_they_are_the_same(arguments):
    workspace = Path(arguments["workspace"])
    for place in ("a", "b"):
        (workspace / place).mkdir()
        (workspace / place / "x.tgz").write_text("same")
    entries = [{"from": f"{place}/*.tgz", "type": "outputs/helm-charts"} for place in ("a", "b")]
    assert collect(arguments, artifacts=entries)["problems"] == []
    (workspace / "b/x.tgz").write_text("other")
    assert collect(arguments, artifacts=entries)["problems"] == [
        "b/x.tgz cannot be published: a/x.tgz is outputs/helm-charts/x.tgz already"
    ]


def test_a_stage_that_yields_nothing_is_a_problem(arguments):
    shutil.rmtree(Path(arguments["workspace"]) / "rt")
    problems = collect(arguments)["problems"]
    assert "nothing matches rt/rpmbuild/RPMS/*.rpm, which should yield outputs/RPMS/rt" in problems


def test_directories_that_link_in_circles_end(arguments):
    workspace = Path(arguments["workspace"])
    (workspace / "logs/loop").symlink_to(".")
    (workspace / "logs/up").symlink_to("..")
    (workspace / "std/here.log").write_text("x")
    assert collect(arguments, logs=["**/here.log"])["artifacts"]["outputs/logs"]["files"] == 2


def test_a_full_disk_is_one_clear_error(arguments, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)],
        check=False,
        capture_output=True,
    )
    if mounted.returncode != 0:
        pytest.skip("this machine may not mount a tmpfs")
    try:
        (Path(arguments["workspace"]) / "export/bootimage.iso").write_bytes(b"x" * 200_000)
        reply = call("collect_artifacts", {**arguments, "tree": str(small / ID)})
    finally:
        subprocess.run(["umount", str(small)], check=True)
    assert reply["failed"]
    assert "No space left on device" in reply["msg"]


def test_check_mode_touches_nothing(arguments):
    assert call("collect_artifacts", arguments, check=True)["artifacts"] == {}
    assert not Path(arguments["tree"]).exists()
