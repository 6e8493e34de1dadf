"""What ``/etc/stx-mirror/watch.json`` says: where to look, and what is too much."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from stxmirror import fields

Raw = Mapping[str, object]


@dataclass(frozen=True)
class Settings:
    """The whole file; ``checks`` has the settings of each check, in the order of the report."""

    checks: Raw
    prometheus_file: str
    memory: str
    mail_to: str
    mail_repeat_hours: float

    @classmethod
    def parse(cls, raw: object, what: str) -> Settings:
        """Read the file, or raise."""
        entry = fields.mapping(raw, what)
        return cls(
            checks=fields.mapping(entry.get("checks"), f"'checks' in {what}"),
            prometheus_file=fields.required(entry, "prometheus_file", str, what),
            memory=fields.required(entry, "memory", str, what),
            mail_to=fields.required(entry, "mail_to", str, what),
            mail_repeat_hours=fields.number(entry, "mail_repeat_hours", what),
        )


@dataclass(frozen=True)
class Nothing:
    """A check that needs no settings."""

    @classmethod
    def parse(cls, raw: Raw, what: str) -> Nothing:
        """Read nothing."""
        return cls()


@dataclass(frozen=True)
class Limits:
    """From where on a number is a warning, and from where on critical."""

    warning: float
    critical: float

    @classmethod
    def parse(cls, raw: Raw, what: str) -> Limits:
        """Read both, or raise."""
        return cls(fields.number(raw, "warning", what), fields.number(raw, "critical", what))


@dataclass(frozen=True)
class Days:
    """From how many days on something is a warning, and from how many on critical."""

    warning: float
    critical: float

    @classmethod
    def parse(cls, raw: Raw, what: str) -> Days:
        """Read both, or raise."""
        return cls(
            fields.number(raw, "warning_days", what), fields.number(raw, "critical_days", what)
        )


@dataclass(frozen=True)
class Disks:
    """Which file systems count, and how full they may be; ``paths`` have limits of their own."""

    limits: Limits
    types: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    paths: Mapping[str, Limits] = field(default_factory=dict)
    read_only_is_critical: bool = False

    @classmethod
    def parse(cls, raw: Raw, what: str) -> Disks:
        """Read them; a path that gives one limit only has the general one for the other."""
        limits = Limits.parse(raw, what)
        general: Raw = {"warning": limits.warning, "critical": limits.critical}
        paths = fields.optional(raw, "paths", dict, what) or {}
        return cls(
            limits=limits,
            types=tuple(fields.strings(raw, "types", what)),
            skip=tuple(fields.strings(raw, "skip", what)),
            paths={
                path: Limits.parse({**general, **fields.mapping(own, what)}, f"{path} in {what}")
                for path, own in paths.items()
            },
            read_only_is_critical=bool(fields.optional(raw, "read_only_is_critical", bool, what)),
        )


@dataclass(frozen=True)
class Units:
    """Whose failure is critical, and whose is nobody's trouble."""

    critical: tuple[str, ...]
    ignored: tuple[str, ...]

    @classmethod
    def parse(cls, raw: Raw, what: str) -> Units:
        """Read both, or raise."""
        return cls(
            tuple(fields.strings(raw, "critical", what)),
            tuple(fields.strings(raw, "ignored", what)),
        )


@dataclass(frozen=True)
class MountPlaces:
    """Below which directories builds mount, and what belongs there."""

    roots: tuple[str, ...]
    expected: tuple[str, ...]

    @classmethod
    def parse(cls, raw: Raw, what: str) -> MountPlaces:
        """Read both, or raise."""
        return cls(
            tuple(fields.strings(raw, "roots", what)),
            tuple(fields.strings(raw, "expected", what)),
        )


@dataclass(frozen=True)
class LockPlaces:
    """Where holds and traces of builds lie, and from when on a hold is reported."""

    hold: str
    runner: str
    hold_warning_hours: float

    @classmethod
    def parse(cls, raw: Raw, what: str) -> LockPlaces:
        """Read them, or raise."""
        return cls(
            hold=fields.required(raw, "hold", str, what),
            runner=fields.required(raw, "runner", str, what),
            hold_warning_hours=fields.number(raw, "hold_warning_hours", what),
        )


@dataclass(frozen=True)
class Uploads:
    """Where uploads lie, and how old one may be."""

    directories: tuple[str, ...]
    warning_hours: float

    @classmethod
    def parse(cls, raw: Raw, what: str) -> Uploads:
        """Read both, or raise."""
        return cls(
            tuple(fields.strings(raw, "directories", what)),
            fields.number(raw, "warning_hours", what),
        )


@dataclass(frozen=True)
class Verify:
    """Where a mirror leaves what it found, and how long ago it may have looked."""

    file: str
    known_since: str
    days: Days

    @classmethod
    def parse(cls, raw: Raw, what: str) -> Verify:
        """Read them, or raise."""
        return cls(
            fields.required(raw, "file", str, what),
            fields.required(raw, "known_since", str, what),
            Days.parse(raw, what),
        )


@dataclass(frozen=True)
class ExpiringFiles:
    """Files of certificates or keys, and when their end is near."""

    paths: tuple[str, ...]
    days: Days

    @classmethod
    def parse(cls, raw: Raw, what: str) -> ExpiringFiles:
        """Read both, or raise."""
        return cls(tuple(fields.strings(raw, "paths", what)), Days.parse(raw, what))


@dataclass(frozen=True)
class SshKeys:
    """Which public keys to look at, and how old a key may be."""

    paths: tuple[str, ...]
    max_age_days: float

    @classmethod
    def parse(cls, raw: Raw, what: str) -> SshKeys:
        """Read both, or raise."""
        return cls(
            tuple(fields.strings(raw, "paths", what)), fields.number(raw, "max_age_days", what)
        )


@dataclass(frozen=True)
class Streams:
    """What this host builds, and how old the last good build may be.

    ``schedules`` has the schedule of each ref, ``None`` on demand; ``known_since`` is a file that
    is written whenever one of them changes.
    """

    state: str
    known_since: str
    schedules: Mapping[str, str | None]
    retired: tuple[str, ...]
    grace_minutes: float
    days: Days

    @classmethod
    def parse(cls, raw: Raw, what: str) -> Streams:
        """Read them, or raise."""
        entries = [fields.mapping(entry, what) for entry in fields.items(raw, "streams", what)]
        return cls(
            state=fields.required(raw, "state", str, what),
            known_since=fields.required(raw, "known_since", str, what),
            schedules={
                fields.required(entry, "ref", str, what): fields.optional(
                    entry, "schedule", str, what
                )
                for entry in entries
            },
            retired=tuple(fields.strings(raw, "retired", what)),
            grace_minutes=fields.number(raw, "grace_minutes", what),
            days=Days.parse(raw, what),
        )


@dataclass(frozen=True)
class Prune:
    """Where pruning leaves its time and its log, and how long ago that time may be."""

    state: str
    known_since: str
    log: str
    days: Days

    @classmethod
    def parse(cls, raw: Raw, what: str) -> Prune:
        """Read them, or raise."""
        return cls(
            state=fields.required(raw, "state", str, what),
            known_since=fields.required(raw, "known_since", str, what),
            log=fields.required(raw, "log", str, what),
            days=Days.parse(raw, what),
        )


@dataclass(frozen=True)
class Drift:
    """The file of the last comparison with the code, and how old it may be."""

    file: str
    max_age_days: float

    @classmethod
    def parse(cls, raw: Raw, what: str) -> Drift:
        """Read both, or raise."""
        return cls(
            fields.required(raw, "file", str, what), fields.number(raw, "max_age_days", what)
        )
