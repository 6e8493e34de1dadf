"""What is cut out of logs, and what stops a publication."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stxmirror import redact
from stxmirror.builder.secret_terms import Terms

TERMS = redact.derive_terms(
    ["yow7.example.com", "builder"],
    ["192.0.2.7/24", "2001:db8::7%eth0", "127.0.0.1"],
    ["/home/ann"],
)


def cut(text, terms=TERMS):
    return Terms(terms).redact(text.encode()).decode()


def test_what_is_derived():
    assert TERMS == ["yow7.example.com", "2001:db8::7", "/home/ann", "192.0.2.7", "yow7"]


@pytest.mark.parametrize(
    ("hostnames", "addresses", "homes"),
    [
        (["builder", "localhost", "mirror", "root", "Builder", "localhost.localdomain."], [], []),
        (["", " ", "b1", "127.0.0.1"], [], []),
        ([], ["127.0.0.1/8", "::1", "::", "0.0.0.0/8", "not an address", ""], []),
        ([], [], ["/", "/root", "/var/lib/misc", "/usr/sbin", "/nonexistent", "", "/home"]),
        ([], [], ["home/ann/x"]),
    ],
)
def test_what_is_no_secret(hostnames, addresses, homes):
    assert redact.derive_terms(hostnames, addresses, homes) == []


def test_a_word_of_three_letters_names_a_server():
    assert redact.derive_terms(["yow"], [], []) == ["yow"]
    assert redact.private_terms([], [], ["x.y"], []) == ["x.y"]


def test_a_common_name_in_a_domain_keeps_its_full_name():
    assert redact.derive_terms(["builder.example.com"], [], []) == ["builder.example.com"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("built on yow7.example.com", "built on [redacted]"),
        ("YOW7: ok", "[redacted]: ok"),
        ("yow77 yow7x xyow7 my_yow7", "yow77 yow7x xyow7 my_yow7"),
        ("yow7-eth0", "[redacted]-eth0"),
        ("from 192.0.2.7:22", "from [redacted]:22"),
        ("192.0.2.70 1192.0.2.7", "192.0.2.70 1192.0.2.7"),
        ("-I/home/ann/include", "-I[redacted]/include"),
        ("/home/anna", "/home/anna"),
        ("[2001:db8::7]", "[[redacted]]"),
        ("builder@localhost", "builder@localhost"),
    ],
)
def test_whole_words_longest_first(text, expected):
    assert cut(text) == expected


@given(st.lists(st.sampled_from([*TERMS, " ", ":", "x", "\n", "é", "@"]), max_size=20))
def test_after_redaction_nothing_is_found(pieces):
    text = "".join(pieces)
    once = cut(text)
    assert Terms(TERMS).find(once.encode()) is None
    assert cut(once) == once
    assert bool(Terms(TERMS).find(text.encode())) == (once != text)


def test_order_of_terms_does_not_matter():
    text = "yow7.example.com yow7"
    assert cut(text) == cut(text, TERMS[::-1])


def test_bytes_are_searched_as_text_is():
    content = b"\x00\xffELF\x00Yow7.Example.com\x00/home/ann/x\x00"
    assert Terms(TERMS).find(content) == "Yow7.Example.com"
    assert Terms(TERMS).find(b"\x00\xff") is None


def test_no_terms_change_nothing():
    assert cut("yow7", []) == "yow7"
    assert Terms([""]).find(b"yow7") is None


ADMINS = [
    {
        "name": "mark",
        "full_name": "Mark  Example",
        "keys": ["ssh-ed25519 AAAA mark@laptop3", "ssh-ed25519 AAAA work key"],
    },
    {"name": "jdoe2", "full_name": "Jane"},
    {"name": "builder"},
]


def test_what_is_private():
    terms = redact.private_terms(
        ADMINS,
        ["192.0.2.130/25", "198.51.100.7/32", "10.0.0.0/8", "not a network"],
        ["Ops@example.com", "", "smtp.example.com"],
        ["yow7.example.com"],
    )
    assert set(terms) == {
        "Mark Example",
        "mark@laptop3",
        "jdoe2",
        *(f"{name}@{host}" for name in ("mark", "jdoe2") for host in ("yow7", "yow7.example.com")),
        "builder@yow7",
        "builder@yow7.example.com",
        "192.0.2.128/25",
        "198.51.100.7",
        "ops@example.com",
        "smtp.example.com",
    }


def test_what_everybody_has_is_not_private():
    everybodys = ["127.0.0.1/32", "::1", "192.168.0.0/16"]
    assert redact.private_terms([], everybodys, ["localhost", "Mirror.local"], []) == []


@pytest.mark.parametrize(("account", "found"), [("jd2", False), ("jd-2", True), ("abcd", False)])
def test_an_account_is_cut_out_where_it_cannot_be_a_word(account, found):
    assert (account in redact.private_terms([{"name": account}], [], [], ["yow7"])) == found


def test_an_admin_without_an_account_has_a_name():
    assert redact.private_terms([{"full_name": "Jane Doe"}], [], [], ["yow7"]) == ["Jane Doe"]


def test_an_admin_called_mark_does_not_cut_up_all_logs():
    terms = redact.private_terms(ADMINS, [], [], ["yow7"]) + TERMS
    log = "mark the package as built; JANE DOE\nmark@yow7:/home/ann$ id jdoe2 MARK EXAMPLE"
    expected = (
        "mark the package as built; JANE DOE\n[redacted]:[redacted]$ id [redacted] [redacted]"
    )
    assert cut(log, terms) == expected
