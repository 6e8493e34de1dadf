"""The sample's own packages: the same bytes everywhere, in order, and none a second time."""

from __future__ import annotations

import hashlib
import subprocess

import pytest
from conftest import ACCOUNT, HOME, result, summary

# All kinds but those made of large downloads, which have tests of their own with the ISO.
REPOSITORIES = ("integ", "utilities", "config")


def sample_tree(new_tree, name):
    tree = new_tree(name)
    for repository in REPOSITORIES:
        tree.add(repository, f"cgcs-root/stx/{repository}")
    tree.commit()
    return tree


@pytest.fixture(scope="module")
def first(new_tree):
    """A tree, its workspace, and the build's output."""
    tree = sample_tree(new_tree, "first")
    workspace = tree.path.parent / "workspace"
    done = tree.run("build-pkgs", workspace=workspace)
    assert done.returncode == 0, done.stdout + done.stderr
    return tree, workspace, done.stdout


def packages(workspace):
    """Name -> sha256 of every source and binary RPM."""
    found = workspace.glob("*/rpmbuild/*RPMS/*.rpm")
    return {
        str(p.relative_to(workspace)): hashlib.sha256(p.read_bytes()).hexdigest() for p in found
    }


def test_library_is_built_before_what_needs_it(first):
    _, _, out = first
    lines = out.splitlines()
    done = next(i for i, x in enumerate(lines) if x.startswith("built   libsampleclock"))
    start = next(i for i, x in enumerate(lines) if x.startswith("start   sample-clockd"))
    assert done < start


def test_every_kind_lies_where_starlingx_puts_it(first):
    _, workspace, _ = first
    rpms = {p.name for p in (workspace / "std/rpmbuild/RPMS").glob("*.rpm")}
    assert "libsampleclock-devel-1.0-1.tis.x86_64.rpm" in rpms
    assert "sample-inventory-wheels-1.0-1.tis.noarch.rpm" in rpms
    assert (workspace / "rt/rpmbuild/RPMS/sample-tuned-rt-1.0-1.tis.x86_64.rpm").is_file()
    for directory in ("std/rpmbuild/RPMS", "std/rpmbuild/SRPMS", "rt/rpmbuild/RPMS"):
        assert (workspace / directory / "repodata/repomd.xml").is_file()
    built = result(workspace, "sample-clockd-1.0-1.tis")
    assert (built / "success").exists()
    assert "rpmbuild" in (built / "build.log").read_text() or (built / "build.log").stat().st_size


def test_context_has_the_line_of_each_git(first):
    tree, workspace, _ = first
    lines = (workspace / "CONTEXT").read_text().splitlines()
    head = subprocess.run(
        ["git", "-c", "safe.directory=*", "-C", str(tree.repo / "stx/integ"), "rev-parse", "HEAD"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    assert f"(cd ./cgcs-root/stx/integ && git checkout -f {head})" in lines
    assert lines[0].startswith("(cd ./cgcs-root && ")


def test_same_sources_give_the_same_bytes(first, new_tree):
    """Another path, another time, another umask, another project's name, another number of jobs."""
    _, workspace, _ = first
    other = sample_tree(new_tree, "second/somewhere/else")
    again = other.path.parent / "a-workspace"
    done = other.run(
        "build-pkgs", "--serial", workspace=again, umask="077",
        MY_BUILD_ENVIRONMENT="someone-else", LANG="de_DE.UTF-8", TZ="Asia/Tokyo",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert packages(again) == packages(workspace)


def test_a_package_says_nothing_of_who_built_it_where(first):
    _, workspace, _ = first
    for path in sorted(workspace.glob("*/rpmbuild/*RPMS/*.rpm")):
        header = subprocess.run(
            ["rpm", "-qp", "--nosignature", "--xml", str(path)],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        content = subprocess.run(["rpm2cpio", str(path)], capture_output=True, check=True).stdout
        for word in (ACCOUNT, str(HOME), str(workspace)):
            assert word not in header, path.name
            assert word.encode() not in content, path.name
        assert "reproducible" in header


def test_second_run_in_the_workspace_builds_nothing(first):
    tree, workspace, _ = first
    before = packages(workspace)
    done = tree.run("build-pkgs", workspace=workspace)
    assert done.returncode == 0
    assert summary(workspace)["built"] == []
    assert packages(workspace) == before


def test_new_workspace_takes_over_what_did_not_change(first, new_tree):
    """A changed library rebuilds itself and what was built against it, and nothing else."""
    _, workspace, _ = first
    tree = sample_tree(new_tree, "changed")
    source = tree.repo / "stx/integ/libsampleclock/libsampleclock/sampleclock.c"
    source.write_text(
        source.read_text().replace("return -1;", "return -1L;", 1) + "int more = 1;\n"
    )
    tree.commit()
    after = tree.path.parent / "workspace"
    done = tree.run("build-pkgs", workspace=after, BUILD_AVOIDANCE_DIR=str(workspace))
    assert done.returncode == 0, done.stdout + done.stderr
    assert summary(after)["built"] == ["libsampleclock", "sample-clockd"]
    assert "sample-inventory" in summary(after)["reused"]
    assert summary(after, "rt") == {"built": [], "reused": ["sample-tuned-rt"], "failed": []}


def test_damaged_package_is_not_taken_over(first, new_tree):
    _, workspace, _ = first
    tree = sample_tree(new_tree, "damaged")
    copy = tree.path.parent / "previous"
    subprocess.run(["cp", "-a", str(workspace), str(copy)], check=True)
    rpm = next(result(copy, "sample-config-1.0-1.tis").glob("*.rpm"))
    rpm.write_bytes(rpm.read_bytes()[:-1] + b"x")
    after = tree.path.parent / "workspace"
    done = tree.run("build-pkgs", "--std", workspace=after, BUILD_AVOIDANCE_DIR=str(copy))
    assert done.returncode == 0
    assert summary(after)["built"] == ["sample-config"]


def test_clean_makes_one_package_build_again(first):
    tree, workspace, _ = first
    done = tree.run("build-pkgs", "--clean", "sample-status", workspace=workspace)
    assert done.returncode == 0, done.stderr
    assert not list((workspace / "std/rpmbuild/RPMS").glob("sample-status-*"))
    done = tree.run("build-pkgs", "sample-status", workspace=workspace)
    assert done.returncode == 0
    assert summary(workspace) == {"built": ["sample-status"], "reused": [], "failed": []}
    assert list((workspace / "std/rpmbuild/RPMS").glob("sample-status-*"))


def test_unknown_package_is_refused_by_name(first):
    tree, workspace, _ = first
    done = tree.run("build-pkgs", "no-such-package", workspace=workspace)
    assert done.returncode == 1
    assert "no package is called no-such-package" in done.stderr
