"""What an RPM says of itself, read without rpm: a build host of another distro may have none."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import struct

LEAD = b"\xed\xab\xee\xdb"
HEADER = b"\x8e\xad\xe8\x01"
BUILD_TIME = 1006
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


def read_header(file):
    """Return ``(build time in seconds, [(field, bytes)])`` of an RPM's texts, or raise.

    The format is that of the Linux Standard Base: a lead of 96 bytes, the signature's header,
    padded to 8 bytes, then the header.
    """
    if file.read(96)[:4] != LEAD:
        raise NotAnRpm("it is not an RPM")
    _, store = _read_section(file)
    file.read(-len(store) % 8)
    index, store = _read_section(file)
    entries = sorted(index, key=lambda entry: entry[2])
    ends = [entry[2] for entry in entries[1:]] + [len(store)]
    build_time, texts = 0, []
    for (tag, kind, at, _), end in zip(entries, ends):
        if tag == BUILD_TIME and at + 4 <= len(store):
            (build_time,) = struct.unpack_from(">I", store, at)
        elif kind in TEXT_TYPES:
            texts.append((TAGS.get(tag, f"number {tag}"), store[at:end]))
    return build_time, texts


def _read_section(file):
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
    return list(struct.iter_unpack(">IIII", index)), store
