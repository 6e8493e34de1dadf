"""Schedules: what every cron reads, and when an entry is due."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stxmirror.errors import StxMirrorError
from stxmirror.schedule import last_due, next_due, parse

PROJECT = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 11, 22, 3, 0, 30, tzinfo=timezone.utc)  # a Sunday

ACCEPTED = [
    *("0 2 * * *", "*/15 * * * *", "0-59/15 0-23 1-31 1-12 0-7", "5,10 1-3,7-9 1,15 */3 1-5"),
    *("00 02 01 01 00", "59 23 31 12 7", "* * * * *", "*,5 2 * * *", "5-5 2 * * *"),
    *("0 2 29 2 *", "0 2 30 2 1", "*/59 */23 */31 */12 */7", "0-5/10 2 * * *"),
]
# What one of the crons refuses, and then passes over the whole file.
REFUSED_BY_CRON = [
    *("5/10 * * * *", "60 2 * * *", "0 24 * * *", "0 2 0 * *", "0 2 32 * *", "0 2 * 13 *"),
    *("0 2 * 0 *", "0 2 * * 8", "*/0 2 * * *", "1x 2 * * *", "x1 2 * * *"),
    *("1- 2 * * *", "-1 2 * * *", "1,,2 2 * * *", ",1 2 * * *", "1, 2 * * *"),
    *("*/ 2 * * *", "*/x 2 * * *", "0 2 * *", "@yearlyy"),
    *("? 2 * * *", "0 2 L * *", "*/-1 2 * * *", "1/2/3 2 * * *"),
    *("0 2 1-32 * *", "0 2 * 1-13 *"),
]
# What the crons read differently, or what nobody means.
REFUSED_BY_US = [
    *("@daily", "0 2 * * mon", "0 2 * jan *", "0 2 * * mon-fri", "*/60 2 * * *", "000 2 * * *"),
    *(" 0 2 * * *", "0  2 * * *", "0\t2 * * *", "0 2 * * *\n", "0 2 * * * ", "0 2 30 2 *", ""),
    # Debian's cron reads these, as never, as a list, or up to the sign that it does not know.
    *("9-5 2 * * *", "0 2 * * sat-sun", "** 2 * * *", "1-2-3 2 * * *", "5~10 2 * * *"),
    *(
        "*-5 2 * * *",
        "0 2 * * * *",
        "0 2 31 2,4,6,9,11 *",
        "\u0660 2 * * *",
        "0 2 * * *\nroot id",
        None,
        5,
    ),
]


@pytest.mark.parametrize(
    ("schedule", "last", "following"),
    [
        ("0 2 * * *", "2026-11-22 02:00", "2026-11-23 02:00"),
        ("0 3 * * *", "2026-11-22 03:00", "2026-11-23 03:00"),
        ("1 3 * * *", "2026-11-21 03:01", "2026-11-22 03:01"),
        ("*/15 * * * *", "2026-11-22 03:00", "2026-11-22 03:15"),
        ("30 1-2 * * *", "2026-11-22 02:30", "2026-11-23 01:30"),
        ("0 2 * * 1-5", "2026-11-20 02:00", "2026-11-23 02:00"),
        ("0 2 * * 7", "2026-11-22 02:00", "2026-11-29 02:00"),
        ("0 2 * * 0", "2026-11-22 02:00", "2026-11-29 02:00"),
        ("0 2 * * 5-7", "2026-11-22 02:00", "2026-11-27 02:00"),
        ("0 2 1 * *", "2026-11-01 02:00", "2026-12-01 02:00"),
        # Both days restricted: either is enough.
        ("0 2 1 * 4", "2026-11-19 02:00", "2026-11-26 02:00"),
        ("0 2 20 * 1", "2026-11-20 02:00", "2026-11-23 02:00"),
        # A field that begins with a star does not restrict: both must fit.
        ("0 2 */2 * 4", "2026-11-19 02:00", "2026-12-03 02:00"),
        ("0 2 13 * */6", "2026-09-13 02:00", "2026-12-13 02:00"),
        ("0 2 29 2 *", "2024-02-29 02:00", "2028-02-29 02:00"),
        ("0 2 30 2 1", "2026-02-23 02:00", "2027-02-01 02:00"),
        # A Sunday: as rare as it gets.
        ("0 2 29 2 */7", "2004-02-29 02:00", "2032-02-29 02:00"),
        ("5,10 4-23/8 * * *", "2026-11-21 20:10", "2026-11-22 04:05"),
        ("59 23 31 12 *", "2025-12-31 23:59", "2026-12-31 23:59"),
    ],
)
def test_when_it_is_due(schedule, last, following):
    assert last_due(schedule, NOW).strftime("%Y-%m-%d %H:%M") == last
    assert next_due(schedule, NOW).strftime("%Y-%m-%d %H:%M") == following


def test_what_is_due_this_very_minute_is_due():
    moment = NOW.replace(second=0)
    assert last_due("0 3 * * *", moment) == moment
    assert next_due("0 3 * * *", moment) == moment + timedelta(days=1)
    before = moment - timedelta(seconds=1)
    assert last_due("0 3 * * *", before) == moment - timedelta(days=1)
    assert next_due("0 3 * * *", before) == moment


def test_the_rarest_day_is_found_over_a_century_without_it():
    """2100 is no leap year: from one 29 February on a Sunday to the next it is forty years."""
    schedule = "0 2 29 2 */7"
    sunday = last_due(schedule, datetime(2100, 1, 1, tzinfo=timezone.utc))
    assert (sunday.year, next_due(schedule, sunday).year) == (2088, 2128)


@pytest.mark.parametrize("schedule", ACCEPTED)
def test_what_every_cron_reads_is_accepted(schedule):
    assert parse(schedule).minutes


@pytest.mark.parametrize("schedule", [*REFUSED_BY_CRON, *REFUSED_BY_US])
def test_what_a_cron_could_refuse_is_refused(schedule):
    with pytest.raises(StxMirrorError):
        parse(schedule)


def test_a_refusal_names_the_field_and_what_to_write():
    with pytest.raises(StxMirrorError, match=r"'5/10' is not a minute .*steps after \* or a range"):
        parse("5/10 * * * *")
    with pytest.raises(StxMirrorError, match="'0 2 30 2 \\*' is never due"):
        parse("0 2 30 2 *")
    with pytest.raises(StxMirrorError, match="'8' is not a day of the week"):
        parse("0 2 * * 8")


def field(low: int, high: int) -> st.SearchStrategy[str]:
    """A field of a schedule, often one that no cron reads."""
    number = st.integers(max(low - 1, 0), high + 1).map(str)
    span = st.builds("{}-{}".format, number, number)
    step = st.builds("{}/{}".format, st.one_of(st.just("*"), span, number), number)
    part = st.one_of(st.just("*"), number, span, step)
    return st.lists(part, min_size=1, max_size=3).map(",".join)


schedules = st.tuples(field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 7)).map(
    " ".join
)


def is_accepted(schedule: str) -> bool:
    try:
        parse(schedule)
    except StxMirrorError:
        return False
    return True


moments = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(timezone.utc))


@given(schedules.filter(is_accepted), moments)
def test_last_and_next_enclose_now_and_nothing_lies_between(schedule, now):
    before, after = last_due(schedule, now), next_due(schedule, now)
    assert before <= now < after
    assert next_due(schedule, before) == after
    assert last_due(schedule, after - timedelta(seconds=1)) == before
    assert parse(schedule).includes(before.date())
    assert before.time() in parse(schedule).times()


@given(moments)
def test_it_is_the_newest_and_never_in_the_future(now):
    due = last_due("7 */6 * * *", now)
    assert due <= now
    assert (now - due).total_seconds() < 6 * 3600
    assert (due.minute, due.hour % 6) == (7, 0)


@pytest.fixture
def written(template, make_stream) -> list[str]:
    """What role scheduler writes into cron's file, without comments and environment."""
    entries = [
        make_stream(name=f"s{number}", match=f"f/x{number}", schedule=line)
        for number, line in enumerate(ACCEPTED)
    ]
    entries.append(make_stream(name="old", match="r/1.0", schedule="0 2 * * *", retired=True))
    entries.append(make_stream(name="by-hand", match="r/2.0"))
    path = PROJECT / "roles/scheduler/templates/crontab.j2"
    content = template(
        f"lookup('ansible.builtin.template', '{path}')",
        scheduler_streams=entries,
        scheduler_prune_schedule="30 6 * * *",
        ansible_managed="two\nlines",
    )
    assert content.endswith("\n")
    return [line for line in content.splitlines() if line[:1] not in "#SPM"]


def test_every_line_that_the_role_writes_begins_with_a_schedule_of_ours(written):
    """The file is generated from these alone: what they may be is what cron meets."""
    assert [" ".join(line.split(" ")[:5]) for line in written] == [*ACCEPTED, "30 6 * * *"]
    assert {line.split(" ")[5] for line in written} == {"orchestrator"}
    # To cron a % is a line break, and a command ends at 1000 characters.
    assert not [line for line in written if "%" in line or len(line) > 998]


def test_the_real_cron_reads_what_the_role_writes(written, crontab):
    assert crontab("".join(f"{line}\n" for line in written))


@pytest.mark.parametrize(
    "line", ["5/10 * * * *", "0 2 30 2 *", "@daily", "", "0 2 * * *\n* * * * *"]
)
def test_when_builds_are_pruned_goes_through_the_same_grammar(template, line):
    from ansible.errors import AnsibleError

    assert template("'30 6 * * *' | checked_schedule") == "30 6 * * *"
    with pytest.raises(AnsibleError):
        template("line | checked_schedule", line=line)
    tasks = (PROJECT / "roles/scheduler/tasks/preflight.yml").read_text()
    assert "scheduler_prune_schedule | checked_schedule" in tasks


def test_the_real_cron_refuses_what_we_say_it_refuses(crontab):
    assert [line for line in REFUSED_BY_CRON if crontab(f"{line} true\n")] == []


def test_the_real_cron_reads_what_we_accept(crontab):
    assert crontab("".join(f"{line} true\n" for line in ACCEPTED))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(schedules.filter(is_accepted))
def test_the_real_cron_reads_whatever_we_accept(crontab, schedule):
    """Or it would pass over the whole file, and no stream would ever be built again."""
    assert crontab(f"{schedule} true\n")
