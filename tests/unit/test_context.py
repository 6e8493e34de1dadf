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
        "",
    ],
)
def test_anything_else_is_refused_with_its_line(line):
    with pytest.raises(StxMirrorError):
        context.parse(f"(cd ./ok && git checkout -f {B})\n{line}\n")


def test_a_path_twice_is_refused():
    line = f"(cd ./x && git checkout -f {A})\n"
    with pytest.raises(StxMirrorError, match="line 2"):
        context.parse(line + line)


@pytest.mark.parametrize(("path", "commit"), [("../x", A), ("x y", A), ("x", "HEAD"), ("x", None)])
def test_nothing_wrong_is_rendered(path, commit):
    with pytest.raises(StxMirrorError):
        context.render({path: commit})
