"""What the forced commands let through, word by word."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stxmirror.errors import StxMirrorError
from stxmirror.mirror import dispatch

TOKEN = "0123456789abcdef" * 2
RSYNC = f"rsync --server -vlogDtpre.iLsfxCIvu --log-format=%i . {TOKEN}/"
BUILD = "master/sample/20260101T020000Z"


@pytest.mark.parametrize(
    ("role", "command"),
    [
        ("publish", f"mirrorctl begin {BUILD}"),
        ("publish", f"mirrorctl promote '{BUILD}'"),
        ("publish", "mirrorctl known"),
        ("publish", RSYNC),
        ("publish", RSYNC.rstrip("/")),
        ("prune", "mirrorctl list"),
        ("prune", "mirrorctl prune"),
    ],
)
def test_what_each_key_is_for(role: str, command: str) -> None:
    assert dispatch.allowed(role, command)


@pytest.mark.parametrize("role", ["publish", "prune"])
@given(
    st.text(max_size=80)
    | st.lists(
        st.sampled_from(
            [
                *("mirrorctl", "begin", "promote", "known", "list", "prune", "hold", "withdraw"),
                *("dispatch", "verify", "repair"),
                *("rsync", "--server", "--sender", ".", "..", "/", "-e.x", TOKEN, BUILD, ";", "'"),
                *("--config", "/x", f"{TOKEN}/..", f"../{TOKEN}", f"./{TOKEN}", "-s", "--daemon"),
            ]
        ),
        max_size=6,
    ).map(" ".join)
)
def test_nothing_else_comes_through(role: str, command: str) -> None:
    try:
        words = dispatch.allowed(role, command)
    except StxMirrorError as error:
        said = str(error)
        assert said.isprintable(), said
        return
    if words[0] == "rsync":
        assert role == "publish"
        assert "--sender" not in words
        assert words[1] == "--server"
        assert words[-1].rstrip("/") == TOKEN
        assert all(word.startswith("-") for word in words[1:-2])
    else:
        verbs = {"publish": {"begin", "promote", "known"}, "prune": {"list", "prune"}}[role]
        assert words[0] == "mirrorctl"
        assert words[1] in verbs
        assert len(words) == (3 if words[1] in ("begin", "promote") else 2)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("", "no shell"),
        (f"rsync --server --sender -e.x . {TOKEN}/", "only sends"),
        (f"rsync --server -e.x . {TOKEN}/ /etc", "one directory"),
        (f"rsync --server -e.x . {TOKEN}/sub", "not an upload"),
        ("rsync --server -e.x . /srv/mirror/public", "not an upload"),
        (f"rsync --server '-e.x;id' . {TOKEN}", "characters that no upload needs"),
        (f"rsync --server -se.x {TOKEN}", "one directory"),
        ("rsync --server", "one directory"),
    ],
)
def test_a_refusal_says_what_would_be_right(command: str, words: str) -> None:
    with pytest.raises(StxMirrorError, match=words):
        dispatch.allowed("publish", command)
