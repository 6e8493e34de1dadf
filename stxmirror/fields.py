"""Typed values out of what came as JSON: each file or request is read here once, then trusted.

A ``raw`` is whatever the JSON held. The functions return a value of the type asked for, or raise
:class:`StxMirrorError` with a sentence that names ``what`` was read and which key is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from stxmirror.errors import StxMirrorError

_T = TypeVar("_T")


def mapping(raw: object, what: str) -> Mapping[str, object]:
    """Return ``raw`` if it is a JSON object, else raise."""
    if not isinstance(raw, Mapping):
        raise StxMirrorError(f"{what} is {_shown(raw)}, not a JSON object: correct it")
    return raw


def required(raw: Mapping[str, object], key: str, kind: type[_T], what: str) -> _T:
    """Return the value of ``key``, which must be there and of the type ``kind``."""
    value = raw.get(key)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise StxMirrorError(f"{what} lacks a usable '{key}': correct it")
    return value


def optional(raw: Mapping[str, object], key: str, kind: type[_T], what: str) -> _T | None:
    """Return the value of ``key``, of the type ``kind``; ``None`` if it is not given or null."""
    return None if raw.get(key) is None else required(raw, key, kind, what)


def number(raw: Mapping[str, object], key: str, what: str) -> float:
    """Return the number ``key``; in JSON, ``true`` is none."""
    value = raw.get(key)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    raise StxMirrorError(f"{what} lacks a usable '{key}': correct it")


def items(raw: Mapping[str, object], key: str, what: str) -> Sequence[object]:
    """Return the list ``key``."""
    value = raw.get(key)
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return value
    raise StxMirrorError(f"{what} lacks a usable '{key}': correct it")


def strings(raw: Mapping[str, object], key: str, what: str) -> list[str]:
    """Return the list of strings ``key``."""
    found = [value for value in items(raw, key, what) if isinstance(value, str)]
    if len(found) != len(items(raw, key, what)):
        raise StxMirrorError(f"{what} lacks a usable '{key}': correct it")
    return found


def _shown(raw: object) -> str:
    text = repr(raw)
    return text if len(text) <= 80 else f"{text[:77]}..."
