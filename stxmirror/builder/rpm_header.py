"""What an RPM says of itself, read without rpm: a build host of another distribution may have none.

The format is that of the Linux Standard Base: a lead of 96 bytes, the signature's header, padded to
8 bytes, then the header, then the payload.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from typing import Protocol

LEAD = b"\xed\xab\xee\xdb"
HEADER = b"\x8e\xad\xe8\x01"
BUILD_TIME = 1006
PAYLOAD_DIGEST = 5092
PAYLOAD_DIGEST_ALGORITHM = 5093
# Of the signature's header: header and payload together, in the packages of before rpm 4.14.
SIGNATURE_MD5 = 1004
# rpm's numbers for digests (RFC 4880, 9.4).
_ALGORITHMS = {8: "sha256", 9: "sha384", 10: "sha512", 11: "sha224", 2: "sha1", 1: "md5"}
TEXT_TYPES = (6, 8, 9)  # string, list of strings, translated string
TAGS = {
    **{1000: "Name", 1001: "Version", 1002: "Release", 1004: "Summary", 1005: "Description"},
    **{1007: "Buildhost", 1010: "Distribution", 1011: "Vendor", 1014: "License"},
    **{1015: "Packager", 1016: "Group", 1020: "URL", 1044: "Source RPM", 1094: "Cookie"},
    **{1081: "Changelog name", 1082: "Changelog text", 1117: "Base names", 1118: "Dir names"},
    **{1122: "Optflags", 1123: "Disturl", 1047: "Provides", 1049: "Requires"},
    **{1023: "Prein", 1024: "Postin", 1025: "Preun", 1026: "Postun"},
}


class NotAnRpm(Exception):
    """What is wrong with the file, without its name."""


class Readable(Protocol):
    """What bytes can be read from, in order."""

    def read(self, size: int, /) -> bytes:
        """Return at most so many bytes; less than that at the end only."""


@dataclass(frozen=True)
class Header:
    """What the headers of an RPM say.

    ``build_time`` is seconds since the epoch; ``texts`` are its texts by field. ``payload_digest``
    (algorithm, hex digits) is of what follows the headers; ``header_md5`` of header and payload, in
    packages made before rpm 4.14; ``header`` are the bytes of the header itself.
    """

    build_time: int
    texts: list[tuple[str, bytes]]
    payload_digest: tuple[str, str] | None
    header_md5: bytes | None
    header: bytes


def read_header(file: Readable) -> Header:
    """Return what an RPM's headers say; the file is then at the beginning of its payload."""
    if file.read(96)[:4] != LEAD:
        raise NotAnRpm("it is not an RPM")
    signature_index, signature, _ = _read_section(file)
    file.read(-len(signature) % 8)
    index, store, raw = _read_section(file)
    entries = sorted(index, key=lambda entry: entry[2])
    ends = [entry[2] for entry in entries[1:]] + [len(store)]
    build_time, texts = 0, []
    digest, algorithm = "", 8
    for (tag, kind, at, _), end in zip(entries, ends):
        if tag == BUILD_TIME and at + 4 <= len(store):
            (build_time,) = struct.unpack_from(">I", store, at)
        elif tag == PAYLOAD_DIGEST_ALGORITHM and at + 4 <= len(store):
            (algorithm,) = struct.unpack_from(">I", store, at)
        elif kind in TEXT_TYPES:
            texts.append((TAGS.get(tag, f"number {tag}"), store[at:end]))
            if tag == PAYLOAD_DIGEST:
                digest = store[at:end].split(b"\0")[0].decode("ascii", "replace")
    known = _ALGORITHMS.get(algorithm)
    md5 = next(
        (signature[at : at + 16] for tag, _, at, _ in signature_index if tag == SIGNATURE_MD5), None
    )
    return Header(
        build_time=build_time,
        texts=texts,
        payload_digest=(known, digest.lower()) if digest and known else None,
        header_md5=md5,
        header=raw,
    )


class PayloadCheck:
    """Compares a payload, fed in blocks, with what the package's headers say of it."""

    def __init__(self, header: Header) -> None:
        """Begin behind the headers."""
        self.wanted = ""
        if header.payload_digest:
            algorithm, self.wanted = header.payload_digest
            self.total = hashlib.new(algorithm, usedforsecurity=False)
        elif header.header_md5:
            self.wanted = header.header_md5.hex()
            self.total = hashlib.new("md5", header.header, usedforsecurity=False)

    def update(self, block: bytes) -> None:
        """Take in the next bytes of the payload."""
        if self.wanted:
            self.total.update(block)

    def finish(self) -> None:
        """Raise if the payload is not the one that the package was made with."""
        if self.wanted and self.total.hexdigest() != self.wanted:
            raise NotAnRpm("its payload is damaged or cut short: its digest is not its header's")


def _read_section(file: Readable) -> tuple[list[tuple[int, int, int, int]], bytes, bytes]:
    """Return the index of a header, its store, and all of its bytes."""
    intro = file.read(16)
    if len(intro) != 16 or intro[:4] != HEADER:
        raise NotAnRpm("its RPM header is damaged")
    count, size = struct.unpack(">II", intro[8:])
    # The limits of rpm itself: a header that claims more is a trick.
    if count > 0xFFFF or size > 0x0FFFFFFF:
        raise NotAnRpm("its RPM header is damaged")
    index, store = file.read(16 * count), file.read(size)
    if len(index) != 16 * count or len(store) != size:
        raise NotAnRpm("it is an RPM cut short")
    entries = [
        (tag, kind, at, number) for tag, kind, at, number in struct.iter_unpack(">IIII", index)
    ]
    return entries, store, intro + index + store
