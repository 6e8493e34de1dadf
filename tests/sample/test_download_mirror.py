"""download_mirror.sh and what makes its downloads usable to a build."""

from __future__ import annotations

import os
import shutil

import pytest
from conftest import DOWNLOADS, HOME, SAMPLE, as_account, own

LAYOUT = "stx-r1/CentOS/pike"


@pytest.fixture
def own_tools(account):
    """stx-tools of this test's own, to write lists into."""
    path = HOME / "own-tools"
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(SAMPLE / "tools", path, ignore=shutil.ignore_patterns("__pycache__"))
    yield path
    shutil.rmtree(path)


def download(tools, mirror, downloads, project="lists"):
    (tools / "centos-mirror-tools/deb-dl.lst").write_text(downloads)
    own(tools)
    env = {"PATH": os.environ["PATH"], "MY_MIRROR": str(mirror), "PROJECT": project}
    return as_account(str(tools / "centos-mirror-tools/download_mirror.sh"), env=env)


def test_second_run_downloads_nothing(mirror, tools):
    env = {"PATH": os.environ["PATH"], "MY_MIRROR": str(mirror), "PROJECT": "test"}
    done = as_account(str(tools / "centos-mirror-tools/download_mirror.sh"), env=env)
    assert done.returncode == 0, done.stderr
    assert f"downloads: {len(DOWNLOADS)} named, 0 downloaded" in done.stdout
    assert "is there" in done.stdout


def test_damaged_file_is_downloaded_again(mirror, own_tools):
    path = next((mirror / LAYOUT / "downloads").glob("busybox-static_*.deb"))
    good = path.read_bytes()
    path.write_bytes(good[:-1] + b"?")
    done = download(own_tools, mirror, "busybox-static\n")
    assert done.returncode == 0, done.stderr
    assert "1 downloaded" in done.stdout
    assert path.read_bytes() == good


def test_missing_package_is_named_and_fails(mirror, own_tools):
    done = download(own_tools, mirror, "busybox-static\nno-such-package-anywhere\n", "missing")
    assert done.returncode == 1
    assert "Unable to locate package no-such-package-anywhere" in done.stderr
    log = own_tools / "centos-mirror-tools/logs/deb_missing.log"
    assert "no-such-package-anywhere" in log.read_text()
    assert not (mirror / LAYOUT / "missing.lst").exists()
    assert download(own_tools, mirror, "busybox-static\n", "missing").returncode == 0
    assert not log.exists()


def test_metapackage_stands_for_what_it_depends_on(mirror, own_tools):
    lines = "gcc depends:gcc-[0-9]*\n"
    done = download(own_tools, mirror, lines, "meta")
    assert done.returncode == 0, done.stderr
    index = (mirror / LAYOUT / "meta.lst").read_text().splitlines()
    assert [x for x in index if x.startswith("downloads/gcc-")]
    assert not any("%" in x or ":" in x for x in index)


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ("busy$(id)box\n", "deb-dl.lst:1: 'busy$(id)box' is no package name"),
        ("# x\nbusybox newest\n", "deb-dl.lst:2: 'newest' is not understood"),
        ("gcc depends:nothing-*\n", "gcc depends on 0 packages matching 'nothing-*'"),
    ],
)
def test_bad_line_is_refused_by_number(mirror, own_tools, lines, complaint):
    done = download(own_tools, mirror, lines, "bad")
    assert done.returncode == 1
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr


def test_links_name_only_what_this_download_named(mirror, own_tools, new_tree):
    """An older version that lies on the mirror for other builds is not linked."""
    old = mirror / LAYOUT / "downloads/busybox-static_0.1_amd64.deb"
    old.write_bytes(b"old")
    try:
        tree = new_tree("links")
        linked = [p.name for p in (tree.repo / "stx/downloads").iterdir()]
        assert len(linked) == len(DOWNLOADS)
        assert old.name not in linked
        binaries = list((tree.repo / "cgcs-centos-repo/Binary").rglob("*.rpm"))
        assert len(binaries) == 1
        assert (tree.repo / "cgcs-centos-repo/Binary/repodata/repomd.xml").is_file()
    finally:
        old.unlink()


def test_a_file_gone_from_the_mirror_fails_the_linking(mirror, own_tools, tmp_path, new_tree):
    tree = new_tree("gone")
    copy = HOME / "gone/mirror"
    layout = copy / LAYOUT
    layout.mkdir(parents=True)
    (layout / "test.lst").write_text("downloads/a_1_amd64.deb\nBinary/x86_64/r-1-1.x86_64.rpm\n")
    own(copy)
    env = tree.environ(HOME / "gone/unused")
    for script in ("populate_downloads.sh", "generate-cgcs-centos-repo.sh"):
        done = as_account(str(own_tools / "toCOPY" / script), str(layout), env=env)
        assert done.returncode == 1
        assert "is missing; run download_mirror.sh again" in done.stderr
    done = as_account(
        str(own_tools / "toCOPY/populate_downloads.sh"), str(layout), env={**env, "PROJECT": "x"}
    )
    assert done.returncode == 1
    assert "run download_mirror.sh first" in done.stderr
