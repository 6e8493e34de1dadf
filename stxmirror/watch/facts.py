"""What was found on a server, as the judges get it; moments are seconds since the epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stxmirror import fields


@dataclass(frozen=True)
class FileSystem:
    """How full a file system is, in percent; ``inodes`` is ``None`` where they are not counted."""

    path: str
    used: float
    inodes: float | None
    is_read_only: bool = False


@dataclass(frozen=True)
class Memory:
    """Memory and swap, in kB."""

    total: int
    available: int
    swap_total: int
    swap_free: int


@dataclass(frozen=True)
class Clock:
    """How wrong the kernel says its clock may be."""

    max_error_seconds: float
    is_synchronised: bool


@dataclass(frozen=True)
class Mount:
    """What is mounted where; ``device`` is the kernel's number of it."""

    path: str
    type: str
    device: str = ""
    is_read_only: bool = False


@dataclass(frozen=True)
class Loop:
    """A loop device and the file that it has, if any."""

    device: str
    file: str


@dataclass(frozen=True)
class Mounts:
    """What is mounted, what should be, which loop devices exist, and which builds run."""

    mounts: tuple[Mount, ...]
    loops: tuple[Loop, ...]
    expected: tuple[str, ...]
    builds: tuple[str, ...]


@dataclass(frozen=True)
class Hold:
    """Since when no build starts, and what the person who did that wrote."""

    since: float
    reason: str


@dataclass(frozen=True)
class Unit:
    """A build that runs, for how many seconds, and for how many it may; ``None`` is no limit."""

    id: str
    seconds: float
    limit: float | None


@dataclass(frozen=True)
class Locks:
    """The hold on builds, the traces of builds that run, and the builds that really do."""

    hold: Hold | None
    running: tuple[str, ...]
    units: tuple[Unit, ...]


@dataclass(frozen=True)
class Leftover:
    """Something in a mirror's staging or incoming, and when it last changed."""

    path: str
    since: float


@dataclass(frozen=True)
class Reboot:
    """Whether a restart is pending, ``None`` if this host cannot say."""

    is_required: bool | None
    why: str
    since: float


@dataclass(frozen=True)
class Unreadable:
    """A file that could not be read, and why."""

    path: str
    error: str


@dataclass(frozen=True)
class Certificates:
    """A file of X.509 certificates and when the first of them expires."""

    path: str
    ends: float


@dataclass(frozen=True)
class OpenPgpKey:
    """A key, and when it stops being good for signatures; ``None`` is never."""

    id: str
    ends: float | None
    is_revoked: bool = False


@dataclass(frozen=True)
class OpenPgpFile:
    """A file of public keys that readers verify with."""

    path: str
    keys: tuple[OpenPgpKey, ...]


@dataclass(frozen=True)
class SshKey:
    """A key pair by its private half: type, strength, age, and whether others can read it."""

    path: str
    kind: str
    bits: int
    made: float
    is_open: bool


@dataclass(frozen=True)
class Attempt:
    """The last run of a stream; times are JSON times."""

    request: str
    id: str | None
    reason: str
    started: str
    finished: str
    result: str
    failed_stage: str | None
    why: str
    is_published: bool
    unpublished_why: str

    @classmethod
    def parse(cls, raw: Mapping[str, object]) -> Attempt:
        """Read it out of a status file, or raise."""
        what = "the last attempt"
        return cls(
            request=str(raw.get("request")),
            id=fields.optional(raw, "id", str, what),
            reason=fields.optional(raw, "reason", str, what) or "",
            started=fields.required(raw, "started", str, what),
            finished=fields.required(raw, "finished", str, what),
            result=fields.required(raw, "result", str, what),
            failed_stage=fields.optional(raw, "failed_stage", str, what),
            why=fields.optional(raw, "why", str, what) or "",
            is_published=bool(fields.optional(raw, "published", bool, what)),
            unpublished_why=fields.optional(raw, "unpublished_why", str, what) or "",
        )


@dataclass(frozen=True)
class GoodBuild:
    """The last good build of a stream, and when it finished (a JSON time)."""

    id: str
    finished: str

    @classmethod
    def parse(cls, raw: object) -> GoodBuild:
        """Read it out of a status file, or raise."""
        entry = fields.mapping(raw, "the last success")
        return cls(
            id=fields.required(entry, "id", str, "the last success"),
            finished=fields.required(entry, "finished", str, "the last success"),
        )


@dataclass(frozen=True)
class Status:
    """What a stream's status file says: its last run, and its last good build if there is one."""

    attempt: Attempt
    good: GoodBuild | None


@dataclass(frozen=True)
class Stream:
    """A branch that this host builds; ``known_since`` is when its schedule was written.

    ``status`` is ``None`` if it was never built, ``schedule`` if it is built on demand only.
    """

    ref: str
    schedule: str | None
    status: Status | None
    known_since: float
    logs: tuple[str, ...] = ()
    is_running: bool = False
    error: str = ""


@dataclass(frozen=True)
class Prune:
    """When pruning last went through (a JSON time), since when it is meant to, and its log."""

    finished: str | None
    known_since: float
    log: str


@dataclass(frozen=True)
class Problem:
    """Something on a mirror that is not as it was published.

    ``id`` is the build, empty for what lies outside of them all; ``since`` the JSON time at which
    damaged bytes were last read intact, if that is known.
    """

    id: str
    path: str
    why: str
    since: str | None

    @classmethod
    def parse(cls, raw: object) -> Problem:
        """Read one of mirrorctl's, or raise."""
        entry = fields.mapping(raw, "a problem")
        return cls(
            id=fields.optional(entry, "id", str, "a problem") or "",
            path=fields.required(entry, "path", str, "a problem"),
            why=fields.required(entry, "why", str, "a problem"),
            since=fields.optional(entry, "since", str, "a problem"),
        )


@dataclass(frozen=True)
class Verified:
    """What a mirror's last reading of its tree found, and how far it has come; JSON times.

    ``days`` is within how many every byte is to be read, ``oldest`` when those were read that were
    read longest ago; ``known_since`` since when it is to be done.
    """

    checked: str | None
    known_since: float
    days: float | None = None
    oldest: str | None = None
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class Drift:
    """What the last comparison with the code found, and when (a JSON time)."""

    checked: str
    changes: tuple[str, ...]
    failed: tuple[str, ...]

    @classmethod
    def parse(cls, raw: object) -> Drift:
        """Read the file that ``script/drift`` writes, or raise."""
        what = "the comparison with the code"
        entry = fields.mapping(raw, what)
        return cls(
            checked=fields.required(entry, "checked", str, what),
            changes=tuple(fields.strings(entry, "changes", what)),
            failed=tuple(fields.strings(entry, "failed", what)),
        )
