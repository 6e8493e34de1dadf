"""build.json as the mirror reads it: the shape that its schema promises, for the type checker.

The objects stay the JSON that they are, because a published record is shown and never changed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Optional, TypedDict, cast

from stxmirror import fields, records
from stxmirror.errors import StxMirrorError


class Manifest(TypedDict):
    """Where the list of repositories came from; ``revision`` is ``None`` if it was not fetched."""

    url: str
    file: str
    branch: str
    revision: str | None


class Stage(TypedDict):
    """One stage of the profile as it went."""

    name: str
    command: list[str]
    result: str
    started: str | None
    finished: str | None
    seconds: float
    cpu_seconds: float
    peak_memory_bytes: int
    exit_code: int | None
    attempts: int
    log: str | None


class Content(TypedDict):
    """How many files of one artifact type there are, and their bytes."""

    files: int
    bytes: int


class Iso(TypedDict):
    """The ISO: its path in the build, its size in bytes, its SHA-256 in hexadecimal."""

    path: str
    size: int
    sha256: str


class Check(TypedDict):
    """What one check of the ISO found."""

    result: str
    seconds: float


class Commit(TypedDict):
    """One commit: its id and the first line of its message."""

    sha: str
    subject: str


# With keys that are words of the language.
Change = TypedDict(
    "Change",
    {"path": str, "from": Optional[str], "to": Optional[str], "commits": "list[Commit]"},
)


class Packages(TypedDict):
    """How many packages were built, and how many taken from the build before."""

    built: int
    reused: int


class Record(TypedDict):
    """build.json; times are JSON times."""

    id: str
    stream: str
    ref: str
    manifest: Manifest
    reason: str
    trigger: str
    parent: str | None
    from_stage: str | None
    started: str
    finished: str | None
    result: str
    missing: list[str]
    failed_stage: str | None
    excerpt: list[str]
    stages: list[Stage]
    artifacts: dict[str, Content]
    iso: Iso | None
    images: list[str]
    sanity: dict[str, Check]
    changes: list[Change]
    previous_good: str | None
    packages: Packages


def read(data: bytes) -> Record:
    """Return the record in the bytes of a build.json, checked against its schema, or raise."""
    try:
        raw = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise StxMirrorError("build.json is not JSON: close the build again") from error
    return cast(Record, records.check(raw))


def kept(raw: object) -> Record:
    """Return a record that :func:`read` had checked before the mirror kept it beside a tombstone.

    Not checked again: a later version of the schema must not take its page away.
    """
    found: Mapping[str, object] = fields.mapping(raw, "the build.json that was kept")
    return cast(Record, found)
