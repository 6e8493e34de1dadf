"""What a build made is gathered with real RPMs and metadata tools, from a hostile workspace."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from rpm_files import cut_to_a_third, flipped, make_rpm, with_only_md5

from stxmirror.builder import collect as collecting
from stxmirror.builder.collect import Collector, Gathered, Wanted
from stxmirror.builder.secret_terms import Terms
from stxmirror.builder.untrusted_files import Unusable

HOST = "build7.example.org"
SECRET = [HOST, "build7", "/home/ann"]
ID = "20261101T020000Z"


@pytest.fixture(scope="session")
def rpms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directories RPMS and SRPMS with clean packages, two that tell too much, two that are odd."""
    base = tmp_path_factory.mktemp("rpms")
    for name in ("one", "two"):
        made = make_rpm(base, name)
    make_rpm(base, "host", host=HOST)
    make_rpm(base, "told", description=f"Built by hand on {HOST.upper()}.")
    make_rpm(base, "escape", change="Use \x1b[1mbold\x1b[0m words")
    # rpmbuild takes a file with this character for no spec, and a macro may still make it.
    make_rpm(base, "bell", description="Rings%{lua:print(string.char(7))} twice.")
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
def tree(tmp_path: Path) -> Path:
    made = tmp_path / "publish" / ID
    made.mkdir(parents=True)
    return made


@pytest.fixture
def make(tmp_path: Path, workspace: Path, tree: Path):
    """Make a collector; keywords change how it is made."""

    def make(**changes: object) -> Collector:
        settings = {
            "tree": tree,
            "workspace": workspace,
            "roots": [workspace],
            "view": {},
            "terms": Terms(SECRET),
            "log_terms": Terms(SECRET),
            **changes,
        }
        target = settings.pop("tree")
        return Collector(target, **settings)

    return make


RPMS = [
    Wanted(f"{phase}/rpmbuild/{kind}/*.rpm", f"outputs/{kind}/{phase}", required=True)
    for phase in ("std", "rt")
    for kind in ("RPMS", "SRPMS")
]
ALL = [*RPMS, Wanted("export/*.iso", "outputs/iso", required=False)]


def gather(collector: Collector, wanted: list[Wanted] = ALL, *, metadata: bool = True) -> Gathered:
    for entry in wanted:
        collector.collect(entry)
    collector.collect_logs("**", f"{collector.workspace}/logs")
    collector.tidy(["inputs/downloads"], ["build.json"])
    if metadata and not collector.found.problems:
        collector.make_metadata()
    return collector.found


def one(source: str, place: str = "outputs/helm-charts") -> list[Wanted]:
    return [Wanted(source, place, required=True)]


def files(tree: Path) -> set[str]:
    return {str(path.relative_to(tree)) for path in tree.rglob("*") if not path.is_dir()}


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
