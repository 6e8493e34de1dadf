"""OpenPGP keys as people hand them on, read without gpg: a mirror has gpgv at most.

Their fingerprints (RFC 9580, 5.5.4), and the keyring that gpgv takes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator

_BLOCK = re.compile(
    r"^-----BEGIN PGP PUBLIC KEY BLOCK-----[ \t]*\r?$(.*?)^-----END PGP PUBLIC KEY BLOCK-----",
    re.DOTALL | re.MULTILINE,
)
_PUBLIC_KEY = 6
_PARTIAL = range(224, 255)


def fingerprints(text: str) -> list[str]:
    """Return the fingerprints of the armoured public keys in ``text``, in groups as gpg has them.

    Of each key the primary one's, which people compare. What cannot be read is left out: a page
    without a fingerprint says less, and nothing that is wrong.
    """
    found = [
        _fingerprint(body)
        for block in _blocks(text)
        for tag, body in _packets(block)
        if tag == _PUBLIC_KEY
    ]
    return [" ".join(re.findall("....", digest)) for digest in found if digest]


def keyring(text: str) -> bytes:
    """Return the armoured public keys in ``text`` as gpgv reads them; all others are left out."""
    return b"".join(_blocks(text))


def _blocks(text: str) -> Iterator[bytes]:
    """Yield what the armours in a text hold, those that can be read to their end."""
    for block in _BLOCK.findall(text):
        try:
            data = _bytes(block)
            for tag, body in _packets(data):
                if tag == _PUBLIC_KEY:
                    _fingerprint(body)
        except (IndexError, ValueError):
            continue
        yield data


def _bytes(block: str) -> bytes:
    """Return what an armour holds: after its headers, before its checksum."""
    lines = [line.strip() for line in block.strip("\r\n").split("\n")]
    if "" in lines:
        lines = lines[lines.index("") + 1 :]
    try:
        return base64.b64decode(
            "".join(line for line in lines if not line.startswith("=")), validate=True
        )
    except binascii.Error as problem:
        raise ValueError(str(problem)) from problem


def _packets(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        head = data[at]
        at += 1
        if head & 0xC0 == 0xC0:
            tag, first = head & 0x3F, data[at]
            if first < 192:
                size, at = first, at + 1
            elif first < 224:
                size, at = (first - 192 << 8) + data[at + 1] + 192, at + 2
            elif first in _PARTIAL:
                raise ValueError("a key comes in one piece")
            else:
                size, at = int.from_bytes(data[at + 1 : at + 5], "big"), at + 5
        elif head & 0x80 and head & 3 != 3:
            tag, width = head >> 2 & 0xF, 1 << (head & 3)
            size, at = int.from_bytes(data[at : at + width], "big"), at + width
        else:
            raise ValueError("no packet begins here")
        if at + size > len(data):
            raise ValueError("a packet is cut off")
        yield tag, data[at : at + size]
        at += size


def _fingerprint(body: bytes) -> str:
    version = body[0]
    if version == 4:
        head = b"\x99" + len(body).to_bytes(2, "big")
        # Not for security here: the format says which hash names a key.
        return hashlib.sha1(head + body, usedforsecurity=False).hexdigest().upper()
    if version in (5, 6):
        head = bytes([0x95 + version]) + len(body).to_bytes(4, "big")
        return hashlib.sha256(head + body).hexdigest().upper()
    return ""
