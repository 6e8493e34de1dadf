"""Schedules in cron's five fields: what they may say, and when they are due. All times are UTC.

The grammar is what every cron of a supported host (Debian's, and cronie) reads in the same way:
numbers, ranges, lists, and steps after ``*`` or a range. One line that cron cannot read makes it
pass over the whole file, so nothing else may ever be written into one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cache

from stxmirror.errors import StxMirrorError

_FIELDS = (
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day of the month", 1, 31),
    ("month", 1, 12),
    ("day of the week", 0, 7),
)
_PART = re.compile(
    r"(?:\*|(?P<first>[0-9]{1,2})(?P<range>-(?P<last>[0-9]{1,2}))?)(?:/(?P<step>[0-9]{1,2}))?",
    re.ASCII,
)
# The rarest schedule, 29 February on a certain day of the week, is due after 40 years at the latest
# (2100 has no such day).
_DAYS = 41 * 366
# Within as many days of this one, everything is due that ever is.
_SOME_DAY = date(2000, 1, 1)


@dataclass(frozen=True)
class Schedule:
    """What the five fields name; made by :func:`parse` alone, so that each is due some day."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    # As cron has it: with both days restricted, either is enough.
    either_day: bool

    def includes(self, day: date) -> bool:
        """Whether it is due on that day."""
        if day.month not in self.months:
            return False
        in_month, in_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return in_month or in_week if self.either_day else in_month and in_week

    def times(self) -> tuple[time, ...]:
        """Return when it is due on such a day, the first time first."""
        return tuple(time(hour, minute) for hour in self.hours for minute in self.minutes)


@cache
def parse(schedule: str) -> Schedule:
    """Read a schedule such as ``0 2 * * *``.

    Raises :class:`StxMirrorError` for what a cron could refuse or read otherwise, and for what is
    never due.
    """
    fields = schedule.split(" ") if isinstance(schedule, str) else []
    if len(fields) != len(_FIELDS):
        raise StxMirrorError(
            f"{schedule!r} is not five cron fields parted by one space: write such as "
            '"0 2 * * *" (UTC)'
        )
    minutes, hours, days, months, weekdays = (
        _numbers(field, *limits) for field, limits in zip(fields, _FIELDS)
    )
    found = Schedule(
        minutes=tuple(sorted(minutes)),
        hours=tuple(sorted(hours)),
        days=frozenset(days),
        months=frozenset(months),
        # Sunday is 0 and 7.
        weekdays=frozenset(number % 7 for number in weekdays),
        either_day=not fields[2].startswith("*") and not fields[4].startswith("*"),
    )
    if not any(found.includes(day) for day in _days(_SOME_DAY, 1)):
        raise StxMirrorError(
            f"{schedule!r} is never due, because its months do not have its days: correct the "
            "third or the fourth field"
        )
    return found


def last_due(schedule: str, now: datetime) -> datetime:
    """Return the newest moment up to ``now`` at which cron starts the entry."""
    due = parse(schedule)
    moments = _moments(due, now, back=True)
    return next(moment for moment in moments if moment <= now)


def next_due(schedule: str, now: datetime) -> datetime:
    """Return the first moment after ``now`` at which cron starts the entry."""
    due = parse(schedule)
    return next(moment for moment in _moments(due, now, back=False) if moment > now)


def _moments(due: Schedule, now: datetime, *, back: bool) -> Iterator[datetime]:
    """Yield when it is due, from the day of ``now`` on, or from there back."""
    times = due.times()[::-1] if back else due.times()
    for day in _days(now.date(), -1 if back else 1):
        if due.includes(day):
            for moment in times:
                yield datetime.combine(day, moment, now.tzinfo)


def _days(first: date, step: int) -> Iterator[date]:
    return (first + timedelta(days=step * number) for number in range(_DAYS))


def _numbers(field: str, what: str, low: int, high: int) -> set[int]:
    found: set[int] = set()
    for part in field.split(","):
        read = _PART.fullmatch(part)
        if read is None:
            raise _refusal(field, what, low, high)
        first, last = (low, high) if read["first"] is None else (int(read["first"]),) * 2
        if read["range"]:
            last = int(read["last"])
        elif read["first"] and read["step"]:
            # Debian's cron refuses it.
            raise _refusal(field, what, low, high)
        step = int(read["step"] or 1)
        if not (low <= first <= last <= high and 1 <= step <= high):
            raise _refusal(field, what, low, high)
        found.update(range(first, last + 1, step))
    return found


def _refusal(field: str, what: str, low: int, high: int) -> StxMirrorError:
    return StxMirrorError(
        f"{field!r} is not a {what} that every cron reads: use *, numbers from {low} to {high}, "
        f"ranges, lists, and steps after * or a range, such as */5 or {low}-{high}/5"
    )
