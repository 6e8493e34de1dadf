"""When a machine has had its time."""

from __future__ import annotations

import pytest

from stxmirror.builder.deadline import Deadline, Expired, Limits, Usage

LIMITS = Limits(cpu=100, still=60, wall=500)
# What the machine had used when the check began.
BEFORE = Usage(cpu=40, waited=400, disk_bytes=10_000)


@pytest.fixture
def deadline():
    """A check that began at second 1000, of a machine that had run before."""
    return Deadline(LIMITS, 1000, BEFORE)


def used(cpu: float = 0, waited: float = 0, disk_bytes: int = 0) -> Usage:
    """What the machine has used since the check began, besides what it had used before."""
    return Usage(BEFORE.cpu + cpu, BEFORE.waited + waited, BEFORE.disk_bytes + disk_bytes)


def test_the_limits_come_from_one_number():
    assert Limits.within(300) == Limits(cpu=300, still=300, wall=1800)


def test_a_machine_that_was_just_started_has_used_nothing():
    assert Usage() == Usage(cpu=0, waited=0, disk_bytes=0)


def test_only_what_was_used_since_the_check_began_counts(deadline):
    assert deadline.seconds(1007) == 7
    assert deadline.cpu_seconds(used(cpu=3)) == 3
    assert deadline.check(1001, used(cpu=100), wrote=True) is None
    assert deadline.check(1002, used(cpu=100.1), wrote=True) is Expired.CPU


def test_a_machine_that_writes_may_go_on_until_the_clock_says_no(deadline):
    for second in range(1001, 1501):
        assert deadline.check(second, used(), wrote=second % 50 == 0) is None
    assert deadline.check(1501, used(), wrote=True) is Expired.WALL


def test_a_machine_stands_still_from_its_last_progress_on(deadline):
    assert deadline.check(1030, used(), wrote=True) is None
    assert deadline.check(1090, used(), wrote=False) is None
    assert deadline.check(1090.1, used(), wrote=False) is Expired.STILL


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (used(cpu=31), used(cpu=62)),
        (used(waited=31), used(waited=62)),
        (used(cpu=15, waited=16), used(cpu=30, waited=32)),
        (used(disk_bytes=1), used(disk_bytes=2)),
    ],
)
def test_work_and_access_to_a_disk_are_progress_each_time(deadline, first, second):
    assert deadline.check(1059, first, wrote=False) is None
    assert deadline.check(1118, second, wrote=False) is None
    assert deadline.check(1178, second, wrote=False) is None
    assert deadline.check(1179, second, wrote=False) is Expired.STILL


def test_a_machine_that_only_waits_makes_no_progress(deadline):
    assert deadline.check(1030, used(cpu=10, waited=5), wrote=False) is None
    assert deadline.check(1060, used(cpu=20, waited=10), wrote=False) is None
    assert deadline.check(1061, used(cpu=20, waited=10), wrote=False) is Expired.STILL
