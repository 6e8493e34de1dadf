"""What an RPM says of itself, read from bytes that may be anything."""

from __future__ import annotations

import contextlib
import hashlib
import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rpm_files import make_rpm

from stxmirror.builder import rpm_header
from stxmirror.builder.rpm_header import NotAnRpm, PayloadCheck, read_header

INT, STRING, BINARY = 4, 6, 7
MAGIC = b"\x8e\xad\xe8\x01\0\0\0\0"
PAYLOAD = b"what is installed"


def section(*entries: tuple[int, int, bytes]) -> bytes:
    """Return a header with entries (tag, type, bytes)."""
    index, store = b"", b""
    for tag, kind, content in entries:
        count = 1 if kind != BINARY else len(content)
        index += struct.pack(">IIII", tag, kind, len(store), count)
        store += content
    return MAGIC + struct.pack(">II", len(entries), len(store)) + index + store


def rpm(
    *entries: tuple[int, int, bytes], signature: bytes = b"", payload: bytes = PAYLOAD
) -> bytes:
    """Return an RPM: lead, signature, padding, header, payload."""
    signature = signature or section()
    (size,) = struct.unpack_from(">I", signature, 12)
    lead = b"\xed\xab\xee\xdb" + b"\0" * 92
    return lead + signature + b"\0" * (-size % 8) + section(*entries) + payload


def number(value: int) -> bytes:
    return struct.pack(">I", value)


def digest_entries(algorithm: int, name: str) -> list[tuple[int, int, bytes]]:
    digest = hashlib.new(name, PAYLOAD).hexdigest().upper().encode() + b"\0"
    return [(5092, STRING, digest), (5093, INT, number(algorithm))]


def judge(content: bytes) -> rpm_header.Header:
    """Read a package as the collector does."""
    file = io.BytesIO(content)
    header = read_header(file)
    check = PayloadCheck(header)
    while block := file.read(5):
        check.update(block)
    check.finish()
    return header


@pytest.mark.parametrize("padding", range(9))
def test_names_and_time_are_found_whatever_the_signatures_length(padding):
    signature = section((1000, BINARY, b"s" * padding))
    content = rpm((1000, STRING, b"one\0"), (1006, INT, number(1_700_000_000)), signature=signature)
    header = judge(content)
    assert header.build_time == 1_700_000_000
    assert header.texts == [("Name", b"one\0")]


def test_fields_are_named_as_rpm_names_them(tmp_path):
    """Whoever has to mend a package looks for its field by this name."""
    package = make_rpm(tmp_path, "one") / "RPMS/one-1-1.noarch.rpm"
    with package.open("rb") as file:
        texts = {name: content.rstrip(b"\0") for name, content in read_header(file).texts}
    expected = {
        "Name": b"one",
        "Version": b"1",
        "Release": b"1",
        "Summary": b"A package",
        "Description": b"Hello.",
        "Buildhost": b"builder",
        "Distribution": b"A distribution",
        "Vendor": b"A vendor",
        "License": b"Apache-2.0",
        "Packager": b"A packager",
        "Group": b"Development/Tools",
        "URL": b"https://example.org/one",
        "Source RPM": b"one-1-1.src.rpm",
        "Changelog name": b"Ann Lee <ann@example.org> - 1-1",
        "Changelog text": b"- First",
        "Base names": b"one\0hello",
        "Prein": b"echo pre",
        "Postin": b"echo post",
        "Preun": b"echo preun",
        "Postun": b"echo postun",
    }
    assert {name: texts.get(name) for name in expected} == expected
    assert b"-O" in texts["Optflags"]
    assert texts["Dir names"].startswith(b"/usr/share/\0")
    assert b"other" in texts["Requires"]
    assert b"one" in texts["Provides"]
    assert texts["Cookie"].startswith(b"builder ")


def test_fields_that_have_no_name_here_are_searched_all_the_same():
    assert judge(rpm((7777, 9, b"x\0"), (7778, BINARY, b"y"))).texts == [("number 7777", b"x\0")]


@pytest.mark.parametrize(
    ("algorithm", "name"),
    [(8, "sha256"), (9, "sha384"), (10, "sha512"), (11, "sha224"), (2, "sha1"), (1, "md5")],
)
def test_the_payload_is_compared_with_its_digest(algorithm, name):
    entries = digest_entries(algorithm, name)
    for given_entries in (entries, entries[::-1]):
        judge(rpm(*given_entries))
        for payload in (PAYLOAD[:-1], b"W" + PAYLOAD[1:], PAYLOAD + b"x", b""):
            with pytest.raises(NotAnRpm, match="damaged or cut short"):
                judge(rpm(*given_entries, payload=payload))


def test_a_digest_without_an_algorithm_is_sha256():
    judge(rpm(digest_entries(8, "sha256")[0]))


def old(header: bytes, payload: bytes) -> bytes:
    """Return the signature of a package of before rpm 4.14."""
    md5 = hashlib.md5(header + payload, usedforsecurity=False).digest()
    return section((1000, INT, number(0)), (1004, BINARY, md5))


@pytest.mark.parametrize("entries", [[(1000, STRING, b"one\0")], digest_entries(99, "md5")])
def test_an_old_package_is_compared_with_its_md5(entries):
    signature = old(section(*entries), PAYLOAD)
    judge(rpm(*entries, signature=signature))
    with pytest.raises(NotAnRpm, match="damaged or cut short"):
        judge(rpm(*entries, signature=signature, payload=PAYLOAD[:-1]))
    changed = [(1001, STRING, b"two\0"), *entries[1:]]
    with pytest.raises(NotAnRpm, match="damaged or cut short"):
        judge(rpm(*changed, signature=signature))


def test_headers_that_claim_more_than_rpm_allows_are_refused():
    for count, size in ((0x10000, 0), (0, 0x10000000), (0xFFFFFFFF, 0xFFFFFFFF)):
        content = b"\xed\xab\xee\xdb" + b"\0" * 92 + MAGIC + struct.pack(">II", count, size)
        with pytest.raises(NotAnRpm, match="damaged"):
            judge(content + b"\0" * 64)


def test_a_number_that_lies_outside_of_the_header_is_none():
    index = struct.pack(">IIII", 1006, INT, 2**31, 1) + struct.pack(">IIII", 5093, INT, 1, 1)
    header = MAGIC + struct.pack(">II", 2, 4) + index + number(1)
    content = b"\xed\xab\xee\xdb" + b"\0" * 92 + section() + header
    assert judge(content).build_time == 0


@given(st.integers(0, 400), st.binary(max_size=3))
def test_whatever_is_cut_or_changed_is_read_or_refused(at, instead):
    content = rpm((1000, STRING, b"one\0"), *digest_entries(8, "sha256"))
    for odd in (content[:at], content[:at] + instead + content[at + len(instead) :]):
        with contextlib.suppress(NotAnRpm):
            judge(odd)
