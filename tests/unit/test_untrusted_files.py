"""Files where builds write are found and opened without trusting who owns them."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest

from stxmirror.builder import untrusted_files
from stxmirror.builder.untrusted_files import Unusable, check_name, expand, open_inside, read_inside


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    for path in ("a.log", "b/c.log", "b/d/e.log", "b/.git/f.log", ".hidden.log", "b/g.txt"):
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(path)
    (tmp_path / "tree-of-another").mkdir()
    (tmp_path / "tree-of-another/secret").write_text("secret")
    return tree


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.log", ["a.log"]),
        ("**/*.log", ["a.log", "b/c.log", "b/d/e.log"]),
        ("**", ["a.log", "b/c.log", "b/d/e.log", "b/g.txt"]),
        ("b/**", ["b/c.log", "b/d/e.log", "b/g.txt"]),
        ("*/c.log", ["b/c.log"]),
        ("b/[cg].*", ["b/c.log", "b/g.txt"]),
        (".*.log", [".hidden.log"]),
        ("b/.git/*", ["b/.git/f.log"]),
        ("./b//g.txt", ["b/g.txt"]),
        ("b", []),
        ("nothing", []),
        ("nothing/*", []),
        ("B/*", []),
    ],
)
def test_a_glob_matches_files(tree, pattern, found):
    assert expand(pattern, str(tree)) == [f"{tree}/{path}" for path in found]
    assert expand(f"{tree}/{pattern}", "/nowhere") == [f"{tree}/{path}" for path in found]


def test_links_to_directories_are_followed_by_name_only(tree):
    (tree / "loop").symlink_to(".")
    assert expand("**/a.log", str(tree)) == [f"{tree}/a.log"]
    assert expand("loop/a.log", str(tree)) == [f"{tree}/loop/a.log"]
    (tree / "dangling").symlink_to("nowhere")
    assert expand("dang*", str(tree)) == [f"{tree}/dangling"]


def test_what_really_lies_inside_is_read(tree):
    (tree / "b/link").symlink_to("../a.log")
    (tree.parent / "way").symlink_to(tree)
    for path in ("a.log", "b/link"):
        assert read_inside(tree / path, [tree]) == b"a.log"
        assert read_inside(tree / path, ["/nowhere", tree]) == b"a.log"
        assert read_inside(tree.parent / "way" / path, [tree]) == b"a.log"
        assert read_inside(tree / path, [f"{tree.parent}/way/"]) == b"a.log"


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("../../tree-of-another/secret", "outside"),
        ("/etc/passwd", "outside"),
        ("/dev/null", "not a regular file"),
        ("../b", "not a regular file"),
        ("nowhere", "No such file"),
    ],
)
def test_what_leads_out_is_not_opened(tree, target, words):
    (tree / "b/link").symlink_to(target)
    with pytest.raises(Unusable, match=words), open_inside(tree / "b/link", [tree]):
        raise AssertionError


def test_what_may_not_be_read_is_named(tree, monkeypatch):
    """The tests may run as root, who may read everything."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(Unusable, match="may not read"), open_inside(tree / "a.log", [tree]):
        raise AssertionError


def test_a_pipe_holds_nobody_up(tree):
    os.mkfifo(tree / "pipe")
    with pytest.raises(Unusable, match="regular"), open_inside(tree / "pipe", [tree]):
        raise AssertionError


def test_a_file_that_is_exchanged_after_the_check_is_not_what_is_read(tree):
    with open_inside(tree / "a.log", [tree]) as file:
        (tree / "a.log").unlink()
        (tree / "a.log").symlink_to("/etc/passwd")
        assert file.read() == b"a.log"


def test_no_handle_stays_open(tree):
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - counts the handle of its own, too
    for path in ("a.log", "b", "nowhere"):
        with contextlib.suppress(Unusable):
            read_inside(tree / path, [tree])
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_of_a_report_that_is_too_long_the_rest_is_not_read(tree, monkeypatch):
    monkeypatch.setattr(untrusted_files, "SMALL_FILE", 3)
    assert read_inside(tree / "a.log", [tree]) == b"a.l"


@pytest.mark.parametrize("name", ["a", "A-1.2_3+4~5^6@7%8=9,10:x.rpm", "_x", "x" * 255])
def test_names_that_the_mirror_takes(name):
    check_name(name)


@pytest.mark.parametrize(
    "name", ["", ".x", "-x", "a b", "a\n", "a/b", "caf\xe9", "x" * 256, "$(id)", "a;b", "\udce9"]
)
def test_names_that_it_does_not(name):
    with pytest.raises(Unusable):
        check_name(name)
