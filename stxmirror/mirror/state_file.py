"""What the mirror's state files look like: one JSON object each, with a checksum of itself.

``sha256`` is the SHA-256 of the object without that key, written as :func:`encode` writes it: so a
file whose values are not those that were saved is never believed. Files of versions before this one
have no ``sha256``: they are read as long as they hold nothing but the keys of that time.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping

from stxmirror import fields
from stxmirror.errors import StxMirrorError

_CHECKSUM = "sha256"


class Damaged(StxMirrorError):
    """A state file that is not what was saved; ``str()`` says how it shows."""


def encode(value: Mapping[str, object]) -> bytes:
    """Return the bytes of a state file that holds ``value``."""
    return _plain({**value, _CHECKSUM: _digest(value)})


def decode(data: bytes, keys: Collection[str]) -> Mapping[str, object]:
    """Return the object in a state file, or raise :class:`Damaged`.

    ``keys`` are those that a file without checksum may have.
    """
    value = dict(salvage(data))
    if not value:
        raise Damaged("it is no JSON object with values" if data else "it is empty")
    digest = value.pop(_CHECKSUM, None)
    if digest is None:
        if not value.keys() <= set(keys):
            raise Damaged("it has keys that no version wrote")
    elif digest != _digest(value):
        raise Damaged("its checksum differs")
    return value


def salvage(data: bytes) -> Mapping[str, object]:
    """Return the object in a state file that may be damaged; an empty one if there is none."""
    try:
        return fields.mapping(json.loads(data), "a state file")
    except (ValueError, RecursionError):
        return {}


def _digest(value: Mapping[str, object]) -> str:
    return hashlib.sha256(_plain(value)).hexdigest()


def _plain(value: Mapping[str, object]) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True) + "\n").encode("ascii")
