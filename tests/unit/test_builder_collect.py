"""What a build made is gathered with real RPMs and metadata tools."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from gathering import ALL, HOST, ID, RPMS, SECRET, files, gather, one
from rpm_files import cut_to_a_third, flipped, with_only_md5

from stxmirror.builder import collect as collecting
from stxmirror.builder.secret_terms import Terms
from stxmirror.builder.untrusted_files import Unusable

pytest_plugins = ("gathering",)


def repoquery(directory: Path) -> set[str]:
    """Ask as a stock client does."""
    url = f"x,file://{directory}"
    options = ["-q", "--repofrompath", url, "--repo", "x", "--forcearch=x86_64"]
    done = subprocess.run(
        ["dnf", *options, f"--setopt=cachedir={directory}.dnf", "repoquery"],
        check=True,
        capture_output=True,
        text=True,
    )
    return set(done.stdout.split())


def test_the_tree_is_the_specifications(make, tree):
    found = gather(make())
    assert found.problems == []
    assert {path for path in files(tree) if "/repodata/" not in path} == {
        "outputs/RPMS/std/one-1-1.noarch.rpm",
        "outputs/RPMS/rt/two-1-1.noarch.rpm",
        "outputs/SRPMS/std/one-1-1.src.rpm",
        "outputs/SRPMS/rt/two-1-1.src.rpm",
        "outputs/iso/bootimage.iso",
        "outputs/logs/packages.log",
    }
    assert (tree / "inputs/downloads").is_dir()
    assert found.totals["outputs/RPMS/std"]["files"] == 1
    assert found.iso == {
        "path": "outputs/iso/bootimage.iso",
        "size": 4000,
        "sha256": hashlib.sha256(b"\0iso" * 1000).hexdigest(),
    }


def test_an_iso_is_published_under_one_name(make, tree, workspace):
    (workspace / "export/bootimage.iso").rename(workspace / "export/bootimage-2.iso")
    found = gather(make(), ALL)
    assert found.iso["path"] == "outputs/iso/bootimage.iso"
    assert (tree / "outputs/iso/bootimage.iso").stat().st_size == 4000


def test_everybody_may_read_what_is_gathered(make, tree):
    before = os.umask(0o077)
    try:
        gather(make())
    finally:
        os.umask(before)
    assert {(tree / name).stat().st_mode & 0o777 for name in files(tree)} == {0o644}


def test_the_digests_are_those_of_all_files(make, tree):
    found = gather(make())
    assert found.digests == {
        path: hashlib.sha256((tree / path).read_bytes()).hexdigest() for path in files(tree)
    }


def test_dnf_works_at_each_phase_and_at_the_top(make, tree):
    gather(make())
    outputs = tree / "outputs"
    assert repoquery(outputs / "RPMS/std") == {"one-0:1-1.noarch"}
    assert repoquery(outputs / "RPMS") == {"one-0:1-1.noarch", "two-0:1-1.noarch"}
    assert repoquery(outputs / "SRPMS/rt") == {"two-0:1-1.src"}


def test_the_same_packages_give_the_same_tree(make, tree, workspace, tmp_path):
    gather(make())
    for path in workspace.rglob("*.rpm"):
        os.utime(path)
    other = tmp_path / "other" / ID
    other.mkdir(parents=True)
    gather(make(tree=other))
    assert files(other) == files(tree)
    for name in files(other):
        assert (other / name).read_bytes() == (tree / name).read_bytes()


def test_collecting_again_leaves_nothing_of_before(make, tree, workspace):
    gather(make())
    (tree / "build.json").write_text("{}")
    (tree / "outputs/success").write_text("")
    found = gather(make())
    assert found.problems == []
    assert "outputs/success" not in files(tree)
    (workspace / "rt/rpmbuild/RPMS/two-1-1.noarch.rpm").rename(
        workspace / "std/rpmbuild/RPMS/two-1-1.noarch.rpm"
    )
    found = gather(make(), [RPMS[0]])
    assert found.totals["outputs/RPMS/std"]["files"] == 2
    assert {path for path in files(tree) if "/repodata/" not in path} == {
        "build.json",
        "outputs/RPMS/std/one-1-1.noarch.rpm",
        "outputs/RPMS/std/two-1-1.noarch.rpm",
        "outputs/logs/packages.log",
    }
    gather(make(), [])
    assert files(tree) == {"build.json", "outputs/logs/packages.log"}


def test_nothing_in_the_tree_is_linked_to_the_workspace(make, tree):
    gather(make())
    for name in files(tree):
        path = tree / name
        assert path.stat().st_nlink == 1
        assert not path.is_symlink()
        assert path.stat().st_mode & 0o777 == 0o644


def test_every_artifact_is_opened_once_and_read_once(make, monkeypatch):
    opened: Counter[str] = Counter()
    read: Counter[str] = Counter()
    real = collecting.open_inside

    class Counting:
        def __init__(self, path: str) -> None:
            self.path = path
            self.around = real(path, [Path(path).parent])

        def __enter__(self):
            self.file = self.around.__enter__()
            opened[self.path] += 1
            return self

        def __exit__(self, *error):
            return self.around.__exit__(*error)

        def read(self, size):
            block = self.file.read(size)
            read[self.path] += len(block)
            return block

        def seek(self, *where):
            # Whether it is text is looked at first.
            assert self.path.endswith(".log")
            read[self.path] = 0
            return self.file.seek(*where)

    monkeypatch.setattr(collecting, "open_inside", lambda path, roots: Counting(path))
    gather(make(), metadata=False)
    assert len(opened) == 6
    assert set(opened.values()) == {1}
    assert read == {path: Path(path).stat().st_size for path in opened}


def test_logs_are_redacted_by_whole_words(make, tree):
    gather(make())
    log = (tree / "outputs/logs/packages.log").read_text()
    assert log == "built on [redacted] in [redacted]/x\nbuild70 is fine\n"


def test_private_words_are_cut_out_of_logs_and_stop_nothing(make, tree, workspace):
    """An admin may have written what a package says of itself."""
    (workspace / "logs/packages.log").write_text(f"Ann Lee ran it on {HOST}\n")
    (workspace / "logs/ann lee.log").write_text("x")
    found = gather(make(log_terms=Terms([*SECRET, "Ann Lee", "one"])))
    assert (tree / "outputs/logs/packages.log").read_text() == "[redacted] ran it on [redacted]\n"
    assert found.problems == []
    assert (tree / "outputs/RPMS/std/one-1-1.noarch.rpm").exists()


@pytest.mark.parametrize("before", ["\n", ""])
def test_a_word_on_the_edge_of_a_block_is_redacted(make, tree, workspace, before):
    """Logs are read in blocks of 1 MiB; a word that lies across two is still one word."""
    text = "x" * ((1 << 20) - 4 - len(before)) + f" {HOST} end"
    (workspace / "logs/packages.log").write_text(before + text + "\n" + text)
    gather(make())
    log = (tree / "outputs/logs/packages.log").read_text()
    assert HOST not in log
    assert log.count("[redacted] end") == 2


def test_logs_that_are_no_text_are_left_out_and_named(make, tree, workspace):
    (workspace / "logs/core.log").write_bytes(b"\x7fELF\0\0")
    (workspace / f"logs/{HOST}.log").write_text("x")
    (workspace / "logs/new\nline.log").write_text("x")
    os.mkfifo(workspace / "logs/fifo.log")
    (workspace / "logs/shadow.log").symlink_to("/etc/shadow")
    found = gather(make())
    assert found.problems == []
    assert len(found.left_out) == 5
    assert "logs/core.log: it is not text" in found.left_out
    assert [path.name for path in (tree / "outputs/logs").iterdir()] == ["packages.log"]


def test_further_logs_keep_their_path(make, tree, workspace):
    deep = workspace / "std/results/one-1-1/build.log"
    deep.parent.mkdir(parents=True)
    deep.write_text("x")
    collector = make()
    for pattern in ("std/results/**/*.log", "std/**/*.log"):
        collector.collect_logs(pattern, str(workspace))
    assert (tree / "outputs/logs/std/results/one-1-1/build.log").exists()
    assert collector.found.totals["outputs/logs"]["files"] == 1


@pytest.mark.parametrize(("name", "field"), [("host", "Buildhost"), ("told", "Description")])
def test_a_header_that_names_the_build_server_is_a_problem(make, rpms, workspace, name, field):
    shutil.copy(rpms / f"RPMS/{name}-1-1.noarch.rpm", workspace / "std/rpmbuild/RPMS")
    problems = [p for p in gather(make()).problems if f" {field}:" in p]
    assert len(problems) == 1
    assert f"outputs/RPMS/std/{name}-1-1.noarch.rpm has" in problems[0]
    assert HOST in problems[0].lower()


def test_a_file_that_is_named_after_the_build_server_is_a_problem(make, workspace):
    (workspace / "export/charts-build7.tgz").write_text("x")
    (problem,) = gather(make(), one("export/*.tgz")).problems
    assert "its name has 'build7'" in problem


@pytest.mark.parametrize("name", ["escape", "bell"])
def test_a_package_that_metadata_cannot_describe_is_named(make, rpms, workspace, name):
    """createrepo_c leaves it out and reports success unless it is told not to."""
    shutil.copy(rpms / f"RPMS/{name}-1-1.noarch.rpm", workspace / "std/rpmbuild/RPMS")
    with pytest.raises(Unusable, match=rf"outputs/RPMS.* {name} "):
        gather(make())


@pytest.mark.parametrize(("options", "code"), [("-x 'one*'", 0), ("", 2)])
def test_metadata_that_lacks_a_package_is_refused(make, monkeypatch, tmp_path, options, code):
    """Whether the tool's exit code says so or the number of packages."""
    tools = tmp_path / "tools"
    tools.mkdir()
    real = shutil.which("createrepo_c")
    tool = tools / "createrepo_c"
    tool.write_text(
        f"#!/bin/sh\necho 'C_CREATEREPOLIB: odd.rpm' >&2\n{real} {options} \"$@\"\nexit {code}\n"
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    with pytest.raises(Unusable, match=r"outputs/S?RPMS.*odd\.rpm"):
        gather(make())


@pytest.mark.parametrize("damage", [flipped, cut_to_a_third])
@pytest.mark.parametrize("age", [bytes, with_only_md5])
def test_a_damaged_payload_is_named(make, workspace, age, damage):
    """rpm on a user's machine would be the first to notice."""
    package = workspace / "std/rpmbuild/RPMS/one-1-1.noarch.rpm"
    package.write_bytes(age(package.read_bytes()))
    assert gather(make(), RPMS, metadata=False).problems == []
    package.write_bytes(damage(package.read_bytes()))
    (problem,) = gather(make(), RPMS).problems
    assert problem.startswith("std/rpmbuild/RPMS/one-1-1.noarch.rpm cannot be published: ")
    assert "payload is damaged or cut short" in problem


def test_a_package_cut_within_its_header_is_named(make, tree, workspace):
    package = workspace / "std/rpmbuild/RPMS/one-1-1.noarch.rpm"
    whole = package.read_bytes()
    for length in (3, 100, 500, 1500):
        package.write_bytes(whole[:length])
        (problem,) = gather(make(), RPMS).problems
        assert problem.startswith("std/rpmbuild/RPMS/one-1-1.noarch.rpm cannot be published: ")
        assert not (tree / "outputs/RPMS/std/one-1-1.noarch.rpm").exists()
