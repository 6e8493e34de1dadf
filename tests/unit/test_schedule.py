"""When cron should have started something last."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stxmirror.errors import StxMirrorError
from stxmirror.schedule import last_due

NOW = datetime(2026, 11, 22, 3, 0, 30, tzinfo=timezone.utc)  # a Sunday


@pytest.mark.parametrize(
    ("schedule", "due"),
    [
        ("0 2 * * *", "2026-11-22 02:00"),
        ("0 3 * * *", "2026-11-22 03:00"),
        ("1 3 * * *", "2026-11-21 03:01"),
        ("*/15 * * * *", "2026-11-22 03:00"),
        ("30 1-2 * * *", "2026-11-22 02:30"),
        ("0 2 * * 1-5", "2026-11-20 02:00"),
        ("0 2 * * 7", "2026-11-22 02:00"),
        ("0 2 * * 0", "2026-11-22 02:00"),
        ("0 2 1 * *", "2026-11-01 02:00"),
        # Both days restricted: either is enough.
        ("0 2 1 * 4", "2026-11-19 02:00"),
        ("0 2 */2 * 4", "2026-11-19 02:00"),
        ("0 2 29 2 *", "2024-02-29 02:00"),
        ("5,10 4/8 * * *", "2026-11-21 20:10"),
    ],
)
def test_last_time(schedule, due):
    assert last_due(schedule, NOW).strftime("%Y-%m-%d %H:%M") == due


def test_a_day_that_never_comes():
    assert last_due("0 2 31 2 *", NOW) is None


@pytest.mark.parametrize("schedule", ["0 2 * *", "a 2 * * *", "0 2 * * mon", "0 2 * * */0"])
def test_what_is_no_schedule(schedule):
    with pytest.raises(StxMirrorError):
        last_due(schedule, NOW)


@given(st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(timezone.utc)))
def test_it_is_the_newest_and_never_in_the_future(now):
    due = last_due("7 */6 * * *", now)
    assert due <= now
    assert (now - due).total_seconds() < 6 * 3600
    assert (due.minute, due.hour % 6) == (7, 0)
