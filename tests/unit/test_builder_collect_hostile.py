"""A workspace that means harm, or that a stage saw otherwise, is gathered all the same."""

from __future__ import annotations

import os
import shutil

import pytest
from gathering import files, gather, one

from stxmirror.builder.collect import Wanted

pytest_plugins = ("gathering",)


@pytest.mark.parametrize(
    ("plant", "words"),
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
def test_a_hostile_artifact_is_refused_by_name(make, tree, workspace, plant, words):
    """%build of any package ran here, so a name that we collect may be anything."""
    (workspace.parent / "secret").write_text("the publishing key")
    plant(workspace / "export/evil.rpm")
    (problem,) = gather(make(), one("export/*.rpm", "outputs/RPMS/evil")).problems
    assert problem.startswith("export/evil.rpm cannot be published: ")
    assert words in problem
    assert not any("evil" in path or ".part" in path for path in files(tree))


def test_a_linked_directory_that_leads_out_is_refused(make, workspace, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "key.rpm").write_text("secret")
    (workspace / "link").symlink_to(outside)
    (problem,) = gather(make(), one("link/*.rpm", "outputs/RPMS/std")).problems
    assert "outside" in problem


def test_links_inside_the_builds_own_directories_become_files(make, tree, workspace, tmp_path):
    mirror = tmp_path / "mirrors"
    mirror.mkdir()
    (mirror / "kernel.tar").write_text("kernel")
    downloads = workspace / "downloads"
    downloads.mkdir()
    (downloads / "kernel.tar").symlink_to(mirror / "kernel.tar")
    wanted = one("downloads/*", "inputs/downloads")
    assert "outside" in gather(make(), wanted).problems[0]
    assert gather(make(roots=[workspace, mirror]), wanted).problems == []
    copy = tree / "inputs/downloads/kernel.tar"
    assert copy.read_text() == "kernel"
    assert not copy.is_symlink()


@pytest.fixture
def shown(make, tmp_path):
    """A collector of a stage that saw its downloads as /import/mirrors, and those downloads."""
    downloads = tmp_path / "streams/master"
    (downloads / "x").mkdir(parents=True)
    (downloads / "x/kernel.tar").write_text("kernel")
    (tmp_path / "streams/other").mkdir()
    (tmp_path / "streams/other/key").write_text("secret")
    roots = [tmp_path / "workspace", downloads]
    return make(roots=roots, view={"/import/mirrors": str(downloads)})


@pytest.mark.parametrize(
    "target", ["/import/mirrors/x/kernel.tar", "/import/mirrors/y/../x/kernel.tar", "second"]
)
def test_links_in_the_stages_own_view_are_followed(shown, tree, workspace, target):
    (workspace / "export/second").symlink_to("/import/mirrors/x/kernel.tar")
    (workspace / "export/kernel.tar").symlink_to(target)
    assert gather(shown, one("export/*.tar", "inputs/downloads")).problems == []
    assert (tree / "inputs/downloads/kernel.tar").read_text() == "kernel"


def test_downloads_are_named_as_the_stage_saw_them(shown, tree):
    assert gather(shown, one("/import/mirrors/**/*.tar", "inputs/downloads")).problems == []
    assert (tree / "inputs/downloads/kernel.tar").read_text() == "kernel"


@pytest.mark.parametrize(
    "target",
    ["/import/mirrors/../other/key", "/import/mirrors/out", "/import/mirrorsx", "/etc/passwd"],
)
def test_links_out_of_the_stages_own_view_are_not_followed(
    shown, tree, workspace, tmp_path, target
):
    (tmp_path / "streams/master/out").symlink_to("../other/key")
    (workspace / "export/kernel.tar").symlink_to(target)
    (problem,) = gather(shown, one("export/*.tar", "inputs/downloads")).problems
    assert problem.startswith("export/kernel.tar cannot be published: ")
    assert not (tree / "inputs/downloads/kernel.tar").exists()


def test_names_that_the_mirror_would_refuse_are_named_here(make, workspace):
    (workspace / "export/a b$(id).iso").write_text("x")
    (workspace / "export/bootimage.iso").unlink()
    (workspace / "export/-rf").write_text("x")
    assert len(gather(make(), one("export/*", "outputs/installer")).problems) == 2


def test_two_files_for_one_place_are_refused_unless_they_are_the_same(make, workspace):
    for place in ("a", "b"):
        (workspace / place).mkdir()
        (workspace / place / "x.tgz").write_text("same")
    wanted = [*one("a/*.tgz"), *one("b/*.tgz")]
    found = gather(make(), wanted)
    assert found.problems == []
    assert found.totals["outputs/helm-charts"]["files"] == 1
    (workspace / "b/x.tgz").write_text("other")
    assert gather(make(), wanted).problems == [
        "b/x.tgz cannot be published: a/x.tgz is outputs/helm-charts/x.tgz already"
    ]


def test_a_stage_that_yields_nothing_is_a_problem_where_it_has_to(make, workspace):
    shutil.rmtree(workspace / "rt")
    problems = gather(make()).problems
    assert "nothing matches rt/rpmbuild/RPMS/*.rpm, which should yield outputs/RPMS/rt" in problems
    assert gather(make(), [Wanted("rt/*", "outputs/RPMS/rt", required=False)]).problems == []


def test_directories_that_link_in_circles_end(make, workspace):
    (workspace / "logs/loop").symlink_to(".")
    (workspace / "logs/up").symlink_to("..")
    (workspace / "std/here.log").write_text("x")
    collector = make()
    collector.collect_logs("**/here.log", str(workspace))
    assert gather(collector).totals["outputs/logs"]["files"] == 2
