"""The two ways in which this project writes a moment: in paths and in JSON. Both are UTC."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import overload

from stxmirror.errors import StxMirrorError

_BUILD_DATE = re.compile(
    r"([0-9]{4})([0-9]{2})([0-9]{2})T([0-9]{2})([0-9]{2})([0-9]{2})Z", re.ASCII
)
_TIME = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})Z", re.ASCII)


def _parse(text: str, pattern: re.Pattern[str], what: str, shape: str) -> datetime:
    found = pattern.fullmatch(text) if isinstance(text, str) else None
    try:
        if found:
            year, month, day, hour, minute, second = (int(part) for part in found.groups())
            return datetime(year, month, day, hour, minute, second, tzinfo=timezone.utc)
    except ValueError:
        pass  # such as 31 February: the sentence below says it as well
    raise StxMirrorError(f"{text!r} is not a {what}: write a real UTC time as {shape}")


def parse_build_date(text: str) -> datetime:
    """Return the moment that a build-date (``20261101T020000Z``) names, aware, in UTC."""
    return _parse(text, _BUILD_DATE, "build-date", "YYYYMMDDTHHMMSSZ")


def format_build_date(when: datetime) -> str:
    """Return the build-date of an aware moment; parts of a second are dropped."""
    utc = in_utc(when)
    return f"{utc.year:04}{utc.month:02}{utc.day:02}T{utc.hour:02}{utc.minute:02}{utc.second:02}Z"


def parse_time(text: str) -> datetime:
    """Return the moment that a JSON time (``2026-11-01T02:00:00Z``) names, aware, in UTC."""
    return _parse(text, _TIME, "time", "YYYY-MM-DDTHH:MM:SSZ")


@overload
def format_time(when: datetime) -> str: ...


@overload
def format_time(when: datetime | None) -> str | None: ...


def format_time(when: datetime | None) -> str | None:
    """Return a moment as JSON has it; ``None``, which means forever, stays ``None``."""
    if when is None:
        return None
    utc = in_utc(when)
    return (
        f"{utc.year:04}-{utc.month:02}-{utc.day:02}T{utc.hour:02}:{utc.minute:02}:{utc.second:02}Z"
    )


def in_utc(when: datetime) -> datetime:
    """Return the same moment in UTC; a time without a zone is refused, not guessed."""
    if when.tzinfo is None:
        raise StxMirrorError(f"the time {when.isoformat()} has no zone: give an aware UTC time")
    return when.astimezone(timezone.utc)


def add_days(when: datetime, days: float) -> datetime | None:
    """Return ``when`` plus ``days``; ``None`` (forever) if that is past the calendar's end."""
    try:
        return when + timedelta(days=days)
    except OverflowError:
        return None
