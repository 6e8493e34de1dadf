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


@given(contexts)
def test_it_reads_back(commits_of):
    text = context.render(commits_of)
    assert context.parse(text) == commits_of
    assert context.render(context.parse(text)) == text


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


@pytest.mark.parametrize(
    "line",
    [
        f"(cd ./../x && git checkout -f {A})",
        f"(cd ./x/../../y && git checkout -f {A})",
        f"(cd /etc && git checkout -f {A})",
        f"(cd ./$(id) && git checkout -f {A})",
        f"(cd ./x && git checkout -f {A}); id",
        f"(cd ./x && git checkout -f {A[:39]})",
        f"(cd ./x && git checkout -f {'A' * 40})",
        f"(cd ./x && git checkout -f master)",  # noqa: F541 - one shape with the others
        f" (cd ./x && git checkout -f {A})",
        f"(cd ./x && git checkout -f {A})\r",
        # None of these ends a line.
        *(f"(cd ./x && git checkout -f {A}){end}" for end in "\x0b\x0c\x1c\x1e\x85\u2028\u2029"),
        f"(cd ./x{A} && git checkout -f {A})\x0c(cd ./y && git checkout -f {B})",
        "",
    ],
)
def test_anything_else_is_refused_with_its_line(line):
    with pytest.raises(StxMirrorError, match="CONTEXT"):
        context.parse(f"(cd ./ok && git checkout -f {B})\n{line}\n")


def test_the_line_is_named_and_shown_in_short():
    with pytest.raises(StxMirrorError) as caught:
        context.parse(f"(cd ./ok && git checkout -f {B})\n{'x' * 999}\n")
    assert str(caught.value).startswith(f"line 2 of CONTEXT is '{'x' * 200}': write")


def test_the_last_line_may_lack_its_end():
    text = f"(cd ./x && git checkout -f {A})"
    assert context.parse(text) == context.parse(text + "\n") == {"x": A}
    assert context.parse("") == {}
    with pytest.raises(StxMirrorError, match="line 1"):
        context.parse("\n")


def test_a_path_twice_is_refused():
    line = f"(cd ./x && git checkout -f {A})\n"
    with pytest.raises(StxMirrorError, match="line 2"):
        context.parse(line + line)


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
    assert context.parse(context.render({path: A})) == {path: A}


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
