"""What is cut out of logs, and what stops a publication."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stxmirror import redact

TERMS = redact.derive_terms(
    ["yow7.example.com", "builder"],
    ["192.0.2.7/24", "2001:db8::7%eth0", "127.0.0.1"],
    ["/home/ann"],
)


def test_what_is_derived():
    assert TERMS == ["yow7.example.com", "2001:db8::7", "/home/ann", "192.0.2.7", "yow7"]


@pytest.mark.parametrize(
    ("hostnames", "addresses", "homes"),
    [
        (["builder", "localhost", "mirror", "root", "Builder", "localhost.localdomain."], [], []),
        (["", " ", "b1"], [], []),
        ([], ["127.0.0.1/8", "::1", "::", "not an address", ""], []),
        ([], [], ["/", "/root", "/var/lib/misc", "/usr/sbin", "/nonexistent", "", "/home"]),
    ],
)
def test_what_is_no_secret(hostnames, addresses, homes):
    assert redact.derive_terms(hostnames, addresses, homes) == []


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
    assert redact.redact(text, TERMS) == expected


@given(st.lists(st.sampled_from([*TERMS, " ", ":", "x", "\n", "é", "@"]), max_size=20))
def test_after_redaction_nothing_is_found(pieces):
    text = "".join(pieces)
    once = redact.redact(text, TERMS)
    assert redact.find_terms(once, TERMS) == []
    assert redact.redact(once, TERMS) == once
    assert bool(redact.find_terms(text, TERMS)) == (once != text)


def test_order_of_terms_does_not_matter():
    text = "yow7.example.com yow7"
    assert redact.redact(text, TERMS) == redact.redact(text, TERMS[::-1])


def test_bytes_are_searched_as_text_is():
    content = b"\x00\xffELF\x00Yow7.Example.com\x00/home/ann/x\x00"
    assert redact.find_terms(content, TERMS) == ["yow7.example.com", "/home/ann"]
    assert redact.find_terms(b"\x00\xff", TERMS) == []


def test_no_terms_change_nothing():
    assert redact.redact("yow7", []) == "yow7"
    assert redact.find_terms("yow7", []) == []
    assert redact.find_terms(b"yow7", [""]) == []
