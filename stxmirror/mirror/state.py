"""What the mirror itself says of a build and of an upload, as its state files have it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from stxmirror import fields
from stxmirror.errors import StxMirrorError
from stxmirror.layout import BuildId
from stxmirror.mirror.manifest import Entry
from stxmirror.mirror.record import kept
from stxmirror.names import MARKERS
from stxmirror.records import BuildRecord
from stxmirror.retention import ListedBuild, Promise
from stxmirror.times import format_time, parse_time


@dataclass(frozen=True)
class Tombstone:
    """Why and when (a JSON time) a person withdrew a build, and what its build.json said."""

    reason: str
    when: str
    record: BuildRecord | None

    @classmethod
    def parse(cls, raw: object, what: str) -> Tombstone:
        """Read the tombstone of ``what``, or raise."""
        entry = fields.mapping(raw, f"the tombstone of {what}")
        record = entry.get("record")
        return cls(
            reason=fields.required(entry, "reason", str, what),
            when=_time(entry, "when", what),
            record=None if record is None else kept(record),
        )

    def to_json(self) -> dict[str, object]:
        """Return what :meth:`parse` reads."""
        return {"reason": self.reason, "when": self.when, "record": self.record}


# What the files of versions before the checksum hold.
BUILD_KEYS = frozenset(
    {
        *("id", "result", "published", "keep_until", "rule", "bytes"),
        *("hold", "notes", "tombstone"),
    }
)
UPLOAD_KEYS = frozenset({"id", "token", "began", "need", "need_bytes", "files"})


@dataclass(frozen=True)
class BuildState:
    """What is known of one build: ``published`` and the promise ``keep_until`` are JSON times.

    ``keep_until`` is ``None`` for forever, ``rule`` the stream whose rule made the promise,
    ``hold`` the reason of a person's mark. ``seals`` has the SHA-256 of what SHA256SUMS cannot
    list, as it was published.
    """

    id: BuildId
    result: str
    published: str
    keep_until: str | None
    rule: str | None
    bytes: int
    hold: str | None = None
    notes: tuple[str, ...] = ()
    tombstone: Tombstone | None = None
    seals: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, raw: object, what: str) -> BuildState:
        """Read the state file ``what``, or raise."""
        entry = fields.mapping(raw, what)
        tombstone = entry.get("tombstone")
        seals = fields.optional(entry, "seals", dict, what) or {}
        return cls(
            id=BuildId.parse(fields.required(entry, "id", str, what)),
            result=_result(entry, what),
            published=_time(entry, "published", what),
            keep_until=_time(entry, "keep_until", what) if _given(entry, "keep_until") else None,
            rule=fields.optional(entry, "rule", str, what),
            bytes=fields.required(entry, "bytes", int, what),
            hold=fields.optional(entry, "hold", str, what),
            notes=tuple(fields.strings(entry, "notes", what)) if _given(entry, "notes") else (),
            tombstone=None if tombstone is None else Tombstone.parse(tombstone, what),
            seals={name: fields.required(seals, name, str, what) for name in seals},
        )

    def to_json(self) -> dict[str, object]:
        """Return what :meth:`parse` reads."""
        return {
            "id": str(self.id),
            "result": self.result,
            "published": self.published,
            "keep_until": self.keep_until,
            "rule": self.rule,
            "bytes": self.bytes,
            "hold": self.hold,
            "notes": list(self.notes),
            "tombstone": self.tombstone.to_json() if self.tombstone else None,
            # Of builds that were published before there were any, nothing is made up.
            **({"seals": dict(self.seals)} if self.seals else {}),
        }

    @property
    def is_success(self) -> bool:
        """Whether the build ended well, be it withdrawn since or not."""
        return self.result == "success"

    def listed(self, *, is_publishing: bool) -> ListedBuild:
        """Return what retention needs to know of it."""
        until = None if self.keep_until is None else parse_time(self.keep_until)
        return ListedBuild(self.id, self.is_success, Promise(until), self.hold, is_publishing)


@dataclass(frozen=True)
class Upload:
    """An upload that was begun: of which build, when, and how many bytes are to come.

    What the build consists of is a file of its own, because it may be long and only that build's
    own verbs need it; ``list_sha256`` is the checksum of that file. It is ``None`` for an upload
    that an earlier version opened, whose state file holds the list itself.
    """

    id: BuildId
    token: str
    began: datetime
    need_bytes: int
    list_sha256: str | None

    @classmethod
    def parse(cls, raw: object, what: str) -> Upload:
        """Read the state file ``what``, or raise."""
        entry = fields.mapping(raw, what)
        if "files" not in entry:
            fields.required(entry, "list_sha256", str, what)
        return cls(
            id=BuildId.parse(fields.required(entry, "id", str, what)),
            token=fields.required(entry, "token", str, what),
            began=parse_time(fields.required(entry, "began", str, what)),
            need_bytes=fields.required(entry, "need_bytes", int, what),
            list_sha256=fields.optional(entry, "list_sha256", str, what),
        )

    def to_json(self) -> dict[str, object]:
        """Return what :meth:`parse` reads."""
        return {
            "id": str(self.id),
            "token": self.token,
            "began": format_time(self.began),
            "need_bytes": self.need_bytes,
            "list_sha256": self.list_sha256,
        }


def parse_list(raw: object, what: str) -> dict[str, Entry]:
    """Read what the build of an upload consists of out of the file ``what``, or raise."""
    return {path: _entry(known, what) for path, known in fields.mapping(raw, what).items()}


def list_to_json(files: Mapping[str, Entry]) -> dict[str, object]:
    """Return what :func:`parse_list` reads."""
    return {path: [entry.sha256, entry.size] for path, entry in files.items()}


def _given(entry: Mapping[str, object], key: str) -> bool:
    return entry.get(key) is not None


def _result(entry: Mapping[str, object], what: str) -> str:
    text = fields.required(entry, "result", str, what)
    if text not in MARKERS:
        raise StxMirrorError(f"{what} lacks a usable 'result': correct it")
    return text


def _time(entry: Mapping[str, object], key: str, what: str) -> str:
    """Return a JSON time as it stands there, once it is known to be one."""
    text = fields.required(entry, key, str, what)
    parse_time(text)
    return text


def _entry(raw: object, what: str) -> Entry:
    if isinstance(raw, list) and len(raw) == 2:
        sha256, size = raw
        if isinstance(sha256, str) and isinstance(size, int):
            return Entry(sha256, size)
    raise StxMirrorError(f"{what} lacks a usable 'files': correct it")
