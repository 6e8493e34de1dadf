"""CONTEXT, byte for byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stxmirror import context
from stxmirror.errors import StxMirrorError

A, B, C = (letter * 40 for letter in "abc")
parts = st.text(alphabet="ab09._+-", min_size=1, max_size=8).filter(lambda p: p[0] in "ab09")
paths = st.lists(parts, min_size=1, max_size=4).map("/".join)
commits = st.integers(0, 16**40 - 1).map("{:040x}".format)
contexts = st.dictionaries(paths, commits, max_size=6)


def test_starlingx_line_shape():
    assert context.render({"stx-tools": B, "cgcs-root/stx/utilities": A, ".repo/manifests": C}) == (
        f"(cd ./.repo/manifests && git checkout -f {C})\n"
        f"(cd ./cgcs-root/stx/utilities && git checkout -f {A})\n"
        f"(cd ./stx-tools && git checkout -f {B})\n"
    )


@given(contexts, contexts)
def test_applying_the_difference_gives_the_newer(older, newer):
    changed = context.difference(older, newer)
    result = dict(older)
    for change in changed:
        assert change["from"] != change["to"]
        assert result.pop(change["path"], None) == change["from"]
        if change["to"] is not None:
            result[change["path"]] = change["to"]
    assert result == newer
    assert [change["path"] for change in changed] == sorted(c["path"] for c in changed)


# What a user would run with `sh`, or what a shell takes apart.
WRONG_PATHS = [
    *("b$(touch PWNED)", "b`id`", "b;id", "b&id", "b|id", "b>x", "b'", 'b"', "b\\c", "b\nc"),
    *("x y", "b@c", "~", "~/b", "b~c", "b,c", "b*c", "b{c}", "b\u2028c", "b\x0c", "\u0661"),
    *("", ".", "..", "../x", "x/..", "x/./y", "/x", "x/", "x//y", "-x", "x/-y", "+x", None, 7),
]


@pytest.mark.parametrize("path", WRONG_PATHS)
def test_no_path_is_rendered_that_a_shell_would_take_apart(path):
    with pytest.raises(StxMirrorError, match="cannot be the path of a repository"):
        context.render({path: A})


@pytest.mark.parametrize("path", ["a", "a/b", ".repo/manifests", "a..b", "_x", "a.b-c+d_e/9"])
def test_ordinary_paths_are_fine(path):
    assert context.render({path: A}) == f"(cd ./{path} && git checkout -f {A})\n"


@pytest.mark.parametrize("commit", ["HEAD", None, 7, A[:39], A + "a", "A" * 40, f"{A}\n", ""])
def test_only_whole_commits_are_rendered(commit):
    with pytest.raises(StxMirrorError, match=r"x is at .*, which is not a commit"):
        context.render({"x": commit})


def test_a_difference_names_what_came_and_what_went():
    assert context.difference({"a": A, "b": B, "c": C}, {"b": A, "c": C, "d": B}) == [
        {"path": "a", "from": A, "to": None},
        {"path": "b", "from": B, "to": A},
        {"path": "d", "from": None, "to": B},
    ]
