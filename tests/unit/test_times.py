"""The two ways of writing a moment."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stxmirror import times
from stxmirror.errors import StxMirrorError

moments = st.datetimes(timezones=st.just(timezone.utc)).map(lambda t: t.replace(microsecond=0))


@given(moments)
def test_both_forms_read_back(moment):
    assert times.parse_build_date(times.format_build_date(moment)) == moment
    assert times.parse_time(times.format_time(moment)) == moment


def test_another_zone_is_brought_to_utc():
    there = timezone(timedelta(hours=-5))
    moment = datetime(2026, 11, 20, 21, 0, 0, tzinfo=there)
    assert times.format_build_date(moment) == "20261121T020000Z"
    assert times.format_time(moment) == "2026-11-21T02:00:00Z"


def test_a_time_without_a_zone_is_not_guessed():
    with pytest.raises(StxMirrorError, match="no zone"):
        times.format_time(datetime(2026, 11, 20))


def test_for_ever_stays_for_ever():
    assert times.format_time(None) is None
    assert times.add_days(datetime.max.replace(tzinfo=timezone.utc), 1) is None


@pytest.mark.parametrize("text", ["", "2026-11-20", "2026-02-30T00:00:00Z", "now", None, 20261120])
def test_anything_else_is_refused(text):
    with pytest.raises(StxMirrorError):
        times.parse_time(text)


def test_days_are_added_as_days():
    moment = datetime(2026, 11, 1, 2, 0, 0, tzinfo=timezone.utc)
    assert times.add_days(moment, 14) == datetime(2026, 11, 15, 2, 0, 0, tzinfo=timezone.utc)
    assert times.add_days(moment, 0.5) == datetime(2026, 11, 1, 14, 0, 0, tzinfo=timezone.utc)


@pytest.mark.parametrize("text", ["20261120T020000", "20261320T020000Z", "20261120T020000Z\n", 7])
def test_what_is_no_build_date_is_told_the_shape(text):
    with pytest.raises(StxMirrorError, match="build-date: write a real UTC time as YYYYMMDDT"):
        times.parse_build_date(text)


def test_a_year_has_four_digits():
    early = datetime(7, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
    assert times.format_time(early) == "0007-01-02T03:04:05Z"
    assert times.format_build_date(early) == "00070102T030405Z"
