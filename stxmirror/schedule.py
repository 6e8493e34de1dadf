"""When a schedule in cron's five fields was due last; all times are UTC."""

from __future__ import annotations

from datetime import datetime, timedelta

from stxmirror.errors import StxMirrorError

_FIELDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
# The rarest schedule there is, 29 February, falls due within eight years.
_DAYS_BACK = 8 * 366


def last_due(schedule: str, now: datetime) -> datetime | None:
    """Return the newest moment up to ``now`` at which cron starts the entry, or ``None``.

    As cron has it: with both days restricted, either is enough.
    """
    fields = schedule.split()
    if len(fields) != len(_FIELDS):
        raise StxMirrorError(f"{schedule!r} is not five cron fields, such as 0 2 * * *")
    minutes, hours, days, months, weekdays = (
        _numbers(field, low, high) for field, (low, high) in zip(fields, _FIELDS)
    )
    weekdays = {number % 7 for number in weekdays}
    either = not fields[2].startswith("*") and not fields[4].startswith("*")
    for back in range(_DAYS_BACK):
        day = now - timedelta(days=back)
        in_month, in_week = day.day in days, day.isoweekday() % 7 in weekdays
        if day.month not in months or not (in_month or in_week if either else in_month and in_week):
            continue
        for hour in sorted(hours, reverse=True):
            for minute in sorted(minutes, reverse=True):
                moment = day.replace(hour=hour, minute=minute, second=0, microsecond=0)
                if moment <= now:
                    return moment
    return None


def _numbers(field: str, low: int, high: int) -> set[int]:
    found: set[int] = set()
    for part in field.split(","):
        numbers, _, step = part.partition("/")
        first, dash, last = numbers.partition("-")
        try:
            if numbers == "*":
                begin, end = low, high
            else:
                begin = int(first)
                end = int(last) if dash else high if step else begin
            found.update(range(begin, end + 1, int(step or 1)))
        except ValueError as error:
            raise StxMirrorError(f"{field!r} is not a field of a cron schedule") from error
    return found
