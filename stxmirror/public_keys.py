"""Public keys of people, as OpenSSH writes them: read for real, and judged.

No message repeats what it refuses: it may be somebody's private key.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

from stxmirror.errors import StxMirrorError

RSA_MIN_BITS = 3072
MAKE_ONE = "`ssh-keygen -t ed25519` makes a good pair"

_ED25519 = ("ssh-ed25519", "sk-ssh-ed25519@openssh.com")
# Some hardware keys know nothing else. Elsewhere NIST's curves are refused, as on hardened hosts.
_SK_ECDSA = "sk-ecdsa-sha2-nistp256@openssh.com"
TYPES = (*_ED25519, _SK_ECDSA, "ssh-rsa")
_REFUSED = ("ssh-dss", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521")
_TYPE_WITHIN = re.compile(
    r"(?:^|[\s,\"])(?:" + "|".join(re.escape(kind) for kind in (*TYPES, *_REFUSED)) + r")\s+AAAA"
)
# The last is how OpenSSH's private keys begin, without the line that says so.
_PRIVATE = re.compile(r"PRIVATE KEY|PuTTY-User-Key-File|SSH2 ENCRYPTED|b3BlbnNzaC1rZXktdjE")


@dataclass(frozen=True)
class PublicKey:
    """One public key: its type, its bytes, and what its line says about it."""

    kind: str
    blob: bytes
    comment: str


def read_public_key(line: object) -> PublicKey:
    """Return the one public key that ``line`` holds, or say what to write instead."""
    if not isinstance(line, str):
        raise StxMirrorError("is no text: write the line of a .pub file, in quotes")
    text = line.strip()
    if not text:
        raise StxMirrorError("is empty: write the line of a .pub file")
    if _PRIVATE.search(text):
        raise StxMirrorError(
            "is a private key: take it out, and hold it for known to everybody who can read the "
            f"inventory. {MAKE_ONE}; the line of its .pub file belongs here"
        )
    if text.startswith("---- BEGIN SSH2 PUBLIC KEY"):
        raise StxMirrorError(
            "is in another program's form: `ssh-keygen -i -f FILE` writes OpenSSH's line"
        )
    if len(text.splitlines()) > 1:
        raise StxMirrorError("has more than one line: write each key as an entry of its own")
    if not text.isprintable():
        raise StxMirrorError("holds characters that cannot be printed: copy the .pub file anew")
    kind, _, rest = text.partition(" ")
    encoded, _, comment = rest.strip().partition(" ")
    if kind == "ssh-dss":
        raise StxMirrorError(f"is a DSA key, which is too weak: {MAKE_ONE}")
    if kind in _REFUSED:
        raise StxMirrorError(f"is an ECDSA key, which hardened hosts do not take: {MAKE_ONE}")
    if kind not in TYPES:
        raise StxMirrorError(_no_type(text))
    if _TYPE_WITHIN.search(comment):
        raise StxMirrorError("has another key behind it: write each key as an entry of its own")
    _check(kind, _decoded(encoded))
    return PublicKey(kind, _decoded(encoded), comment.strip())


def _no_type(text: str) -> str:
    if "-cert-v01@openssh.com" in text.partition(" ")[0]:
        return "is a certificate: write the public key that it was made for"
    if _TYPE_WITHIN.search(text):
        return (
            "has something before the key: an admin's key carries no options, so begin the line "
            "with the key's type"
        )
    if re.match(r"[~./]", text):
        return "looks like a file's name: write what the .pub file holds"
    return (
        "is no public key: write the line of a .pub file, such as `ssh-ed25519 AAAA...`; "
        f"{MAKE_ONE}"
    )


def _decoded(encoded: str) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as problem:
        raise StxMirrorError("cannot be read: copy the .pub file anew, as one line") from problem


def _check(kind: str, blob: bytes) -> None:
    fields = _fields(blob)
    if not fields or fields[0] != kind.encode():
        raise StxMirrorError("holds another type of key than it says: copy the .pub file anew")
    if kind in _ED25519:
        # A security key's last field says for what it was made: "ssh:".
        whole = len(fields) == (3 if kind.startswith("sk-") else 2) and len(fields[1]) == 32
    elif kind == _SK_ECDSA:
        point = fields[2] if len(fields) == 4 else b""
        whole = len(point) == 65 and point[0] == 4 and fields[1] == b"nistp256"
    else:
        whole = len(fields) == 3 and int.from_bytes(fields[1], "big") > 1
        if whole and (bits := int.from_bytes(fields[2], "big").bit_length()) < RSA_MIN_BITS:
            raise StxMirrorError(
                f"is an RSA key of {bits} bits, which is too weak: {MAKE_ONE}; an RSA key needs "
                f"{RSA_MIN_BITS} bits"
            )
    if not whole:
        raise StxMirrorError("is cut off or damaged: copy the .pub file anew, as one line")


def _fields(blob: bytes) -> list[bytes]:
    """Take apart what SSH strings together: four bytes of length, then so many of content."""
    fields = []
    while blob:
        size = int.from_bytes(blob[:4], "big")
        if len(blob) < 4 + size:
            raise StxMirrorError("is cut off or damaged: copy the .pub file anew, as one line")
        fields.append(blob[4 : 4 + size])
        blob = blob[4 + size :]
    return fields
