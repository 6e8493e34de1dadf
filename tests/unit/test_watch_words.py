"""What each verdict of a watch says, word for word: people act on it, and monitoring parses it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone

import pytest
from watched_streams import STREAMS

from stxmirror.times import format_time, parse_time
from stxmirror.watch import builds, drift, facts, host, keys, settings
from stxmirror.watch.model import CRITICAL, OK, UNKNOWN, WARNING, Verdict

NOW = parse_time("2026-11-22T12:00:00Z").timestamp()
HOUR = 3600
DAY = 86400


def system(**changes):
    return facts.FileSystem(**{"path": "/", "used": 10.0, "inodes": 1.0, **changes})


LIMITS = settings.Disks.parse(
    {"types": ["ext4"], "skip": [], "warning": 85, "critical": 95, "read_only_is_critical": True},
    "a test",
)


def test_disks_and_inodes():
    assert host.disk([system(used=87.25)], LIMITS, NOW) == [
        Verdict("disk", "/", WARNING, "87.2 % of its room is used", value=87.25, unit="percent")
    ]
    assert host.inodes([system(is_read_only=True)], LIMITS, NOW) == [
        Verdict(
            *("inodes", "/", CRITICAL, "it is mounted read-only; 1.0 % of its inodes are used"),
            value=1.0,
            unit="percent",
        )
    ]
    for check, name in ((host.disk, "disk"), (host.inodes, "inodes")):
        text = "no file system was found to look at"
        assert check([], LIMITS, NOW) == [Verdict(name, "", UNKNOWN, text)]


def test_memory_and_swap():
    limits = settings.Limits(warning=10, critical=4)
    found = facts.Memory(total=200, available=30, swap_total=50, swap_free=46)
    assert host.memory(found, limits, NOW) == [
        Verdict("memory", "", OK, "15.0 % is available", value=15.0, unit="percent")
    ]
    limits = settings.Limits(warning=50, critical=90)
    assert host.swap(found, limits, NOW) == [
        Verdict("swap", "", OK, "8.0 % is used", value=8.0, unit="percent")
    ]
    none = replace(found, swap_total=0, swap_free=0)
    assert host.swap(none, limits, NOW) == [Verdict("swap", "", OK, "there is none")]


def test_clock():
    found = facts.Clock(0.25, True)
    assert host.clock(found, settings.Nothing(), NOW) == [
        Verdict("clock", "", OK, "it is right within 0.250 s", value=0.25, unit="seconds")
    ]
    text = "it is not synchronised: build-dates and promises go by it"
    assert host.clock(replace(found, is_synchronised=False), settings.Nothing(), NOW) == [
        Verdict("clock", "", WARNING, text, value=0.25, unit="seconds")
    ]


def test_units():
    limits = settings.Units(critical=(), ignored=())
    assert host.units([], limits, NOW) == [
        Verdict("units", "", OK, "none has failed", value=0, unit="failed")
    ]
    text = "it has failed: systemctl status a.service"
    assert host.units(["a.service"], limits, NOW) == [Verdict("units", "a.service", WARNING, text)]


def test_mounts():
    places = settings.MountPlaces(roots=("/import", "/localdisk/"), expected=("/localdisk/kept",))
    found = facts.Mounts(
        mounts=(facts.Mount("/localdisk/x", "tmpfs"), facts.Mount("/localdisk/kept", "ext4")),
        loops=(facts.Loop("/dev/loop0", "/localdisk/a.img"),),
        expected=(),
        builds=(),
    )
    assert host.mounts(found, places, NOW) == [
        Verdict("mounts", "/localdisk/x", WARNING, "tmpfs is mounted and no build runs"),
        Verdict(
            "mounts", "/dev/loop0", WARNING, "it still has /localdisk/a.img, and no build runs"
        ),
    ]
    assert host.mounts(replace(found, builds=("m",)), places, NOW) == [
        Verdict("mounts", "", OK, "a build runs, mounts are its own")
    ]
    assert host.mounts(replace(found, mounts=(), loops=()), places, NOW) == [
        Verdict("mounts", "", OK, "no build left any behind")
    ]


def test_locks():
    places = settings.LockPlaces(hold="/h", runner="/r", hold_warning_hours=24)
    held = facts.Hold(NOW - 30 * HOUR, "")
    late = facts.Unit("late", 2000, 1699)
    in_time, endless = facts.Unit("in-time", 2000, 1700), facts.Unit("endless", 5, None)
    found = facts.Locks(held, ("/r/a",), (late, in_time, endless))
    assert host.locks(found, places, NOW) == [
        Verdict("locks", "hold-builds", WARNING, "no build starts since 30 h: no reason"),
        Verdict("locks", "late", CRITICAL, "it should have ended 5 min ago and still runs"),
        Verdict("locks", "endless", WARNING, "it runs without a time limit"),
    ]
    traces = facts.Locks(None, ("/r/a",), ())
    assert host.locks(traces, places, NOW) == [
        Verdict("locks", "/r/a", WARNING, "it says that a build runs, and none does")
    ]
    assert host.locks(facts.Locks(None, (), ()), places, NOW) == [
        Verdict("locks", "", OK, "none is older than it should be")
    ]


def test_uploads():
    wanted = settings.Uploads((), 2)
    found = [facts.Leftover("/a", NOW - 2 * HOUR), facts.Leftover("/b", NOW - 2 * HOUR + 1)]
    assert host.uploads(found, wanted, NOW) == [
        Verdict("uploads", "/a", WARNING, "it lies there since 2 h")
    ]
    assert host.uploads(found[1:], wanted, NOW) == [
        Verdict("uploads", "", OK, "none is older than it may be")
    ]


def test_reboot():
    limits = settings.Days(warning=1, critical=14)
    found = facts.Reboot(True, "linux-image", NOW - 2 * DAY)
    assert host.reboot(found, limits, NOW) == [
        Verdict("reboot", "", WARNING, "pending for 2 days: linux-image", value=2.0, unit="days")
    ]
    # A clock that was set back.
    (early,) = host.reboot(replace(found, since=NOW + DAY), limits, NOW)
    assert (early.state, early.value) == (OK, 0.0)
    assert host.reboot(replace(found, is_required=False), limits, NOW) == [
        Verdict("reboot", "", OK, "none is pending", value=0, unit="days")
    ]
    text = "this host has nothing that says whether a restart is pending"
    assert host.reboot(replace(found, is_required=None), limits, NOW) == [
        Verdict("reboot", "", UNKNOWN, text)
    ]


ID = "master/sample/20261122T020005Z"


def stream(good="2026-11-22T00:00:00Z", schedule="0 2 * * *", **attempt):
    last = {
        "request": "r",
        "id": ID,
        "reason": "on schedule",
        "started": "2026-11-22T02:00:00Z",
        "finished": "2026-11-22T02:30:00Z",
        "result": "success",
        "failed_stage": None,
        "why": "",
        "published": True,
        "unpublished_why": "",
        **attempt,
    }
    success = facts.GoodBuild(ID, good) if good else None
    status = facts.Status(facts.Attempt.parse(last), success)
    return facts.Stream("master", schedule, status, known_since=0.0, logs=("/l",))


FAILED = {"result": "fail", "failed_stage": "packages", "why": "no room"}


def judged(found):
    (verdict,) = builds.streams([found], STREAMS, NOW)
    assert (verdict.check, verdict.subject) == ("streams", "master")
    return verdict


@pytest.mark.parametrize(
    ("found", "state", "text", "details"),
    [
        (stream(), OK, "last build is good; last good build {ID}, 12 h ago", ()),
        (
            stream(**FAILED),
            WARNING,
            "last build failed in packages: no room; last good build {ID}, 12 h ago",
            (f"run of 2026-11-22T02:00:00Z (on schedule), {ID}", "log: /l"),
        ),
        (
            stream(good=None, **{**FAILED, "failed_stage": None, "id": None}),
            WARNING,
            "last build failed: no room; no good build",
            ("run of 2026-11-22T02:00:00Z (on schedule), no id", "log: /l"),
        ),
        (
            stream(published=False, unpublished_why="it is down"),
            WARNING,
            "last build is not published: it is down; last good build {ID}, 12 h ago",
            (f"publish it: stx-mirror publish {ID}", "log: /l"),
        ),
        (
            stream(published=False, why="no key"),
            WARNING,
            "last build is not published: no key; last good build {ID}, 12 h ago",
            (f"publish it: stx-mirror publish {ID}", "log: /l"),
        ),
        (stream(good=None), WARNING, "last build is good; no good build", ()),
        (
            stream(result="nothing-new"),
            OK,
            "nothing was new; last good build {ID}, 12 h ago",
            (),
        ),
        (
            stream(result="odd"),
            UNKNOWN,
            "last build ended as 'odd'; last good build {ID}, 12 h ago",
            (),
        ),
    ],
)
def test_streams(found, state, text, details):
    verdict = judged(found)
    assert (verdict.state, verdict.text) == (state, text.replace("{ID}", ID))
    assert verdict.details == details
    assert (verdict.value, verdict.unit) == (0.5 if found.status.good else None, "days")


@pytest.mark.parametrize(
    ("days", "state"), [(1.99, OK), (2, WARNING), (6.99, WARNING), (7, CRITICAL)]
)
def test_how_old_the_last_good_build_of_a_schedule_may_be(days, state):
    text = format_time(datetime.fromtimestamp(NOW - days * DAY, tz=timezone.utc))
    assert judged(stream(good=text)).state == state
    assert judged(stream(good=text, schedule=None)).state == OK


def test_a_stream_on_demand_is_nobodys_trouble_after_a_while():
    failed = {**FAILED, "started": "2026-11-20T11:00:00Z", "finished": "2026-11-20T12:00:00Z"}
    assert judged(stream(schedule=None, **failed)).state == WARNING
    earlier = judged(stream(schedule=None, **{**failed, "finished": "2026-11-20T11:59:59Z"}))
    assert earlier.state == OK
    assert earlier.text.startswith("2 days ago: last build failed in packages: no room; last good")


def test_what_nobody_knows_and_what_has_a_schedule_does_not_become_fine_with_time():
    long_ago = {"started": "2026-11-19T02:00:00Z", "finished": "2026-11-19T03:00:00Z"}
    assert judged(stream(schedule=None, **long_ago, result="odd")).state == UNKNOWN
    assert judged(stream(schedule="0 2 * * 4", **FAILED, **long_ago)).state == WARNING


def test_where_nothing_was_new_nothing_is_published():
    assert judged(stream(result="nothing-new", published=False)).text.startswith("nothing was new;")


def test_a_stream_that_did_not_start():
    late = stream(started="2026-11-22T01:59:59Z")
    assert judged(late).state == CRITICAL
    assert judged(late).text.startswith(
        "overdue: it was due at 2026-11-22 02:00 UTC and did not start; last build is good;"
    )
    assert judged(replace(late, schedule="no schedule")).state == OK
    due = parse_time("2026-11-22T02:00:00Z").timestamp()
    assert judged(replace(late, known_since=due)).state == OK
    assert judged(replace(late, known_since=due - 1)).state == CRITICAL
    # An hour's grace, and not a second more.
    states = [builds.streams([late], STREAMS, due + HOUR + s)[0].state for s in (-1, 0)]
    assert states == [OK, CRITICAL]


def test_a_stream_that_was_never_built():
    new = replace(stream(), status=None)
    assert judged(new) == Verdict(
        "streams", "master", CRITICAL, "never built, though due at 2026-11-22 02:00 UTC"
    )
    assert judged(replace(new, is_running=True)) == Verdict(
        "streams", "master", UNKNOWN, "never built yet"
    )
    assert judged(replace(new, schedule=None)) == Verdict(
        "streams", "master", OK, "never built yet, and on demand only"
    )
    assert builds.streams([], STREAMS, NOW) == [Verdict("streams", "", OK, "this host builds none")]


def test_prune():
    wanted = settings.Prune("/s", "/k", "/l", settings.Days(warning=2, critical=7))

    def judge(finished, since=0.0):
        (verdict,) = builds.prune(facts.Prune(finished, since, "/l"), wanted, NOW)
        return verdict

    assert judge("2026-11-21T12:00:00Z") == Verdict(
        "prune", "", OK, "it last went through 24 h ago", value=1.0, unit="days"
    )
    assert judge("2026-11-19T12:00:00Z") == Verdict(
        "prune", "", WARNING, "it last went through 3 days ago; see /l", value=3.0, unit="days"
    )
    assert judge(None, NOW - 2 * DAY + 1) == Verdict("prune", "", UNKNOWN, "it has not run yet")
    assert judge(None, NOW - 2 * DAY) == Verdict(
        "prune", "", CRITICAL, "it never went through; see /l"
    )


def test_drift():
    wanted = settings.Drift("/d", max_age_days=2)

    def judge(checked="2026-11-22T00:00:00Z", changes=(), failed=()):
        raw = {"checked": checked, "changes": list(changes), "failed": list(failed)}
        (verdict,) = drift.drift(facts.Drift.parse(raw), wanted, NOW)
        return verdict

    when = "compared 12 h ago"
    same = f"nothing differs from the code; {when}"
    assert judge() == Verdict("drift", "", OK, same, value=0, unit="tasks")
    assert judge(changes=["a"]) == Verdict(
        *("drift", "", WARNING, f"1 task would change this host; {when}", ("a",)),
        value=1,
        unit="tasks",
    )
    many = [str(number) for number in range(22)]
    assert judge(changes=many) == Verdict(
        *("drift", "", WARNING, f"22 tasks would change this host; {when}"),
        (*many[:20], "and 2 more"),
        value=22,
        unit="tasks",
    )
    assert judge(changes=many[:20]).details == tuple(many[:20])
    assert judge(failed=many) == Verdict(
        "drift", "", UNKNOWN, f"the comparison failed; {when}", tuple(many[:20])
    )
    assert judge(checked="2026-11-20T12:00:00Z").state == OK
    old = judge(checked="2026-11-20T11:59:59Z")
    assert old.state == WARNING
    assert old.text.endswith("; no comparison for more than 2 days")
    assert drift.drift(None, wanted, NOW) == [
        Verdict(
            "drift", "", UNKNOWN, "this host was never compared with the code: run script/drift"
        )
    ]


def test_ssh_keys():
    limits = settings.SshKeys(paths=(), max_age_days=100)
    key = facts.SshKey("k", "ED25519", 256, NOW - 10 * DAY, is_open=False)

    def judge(**changes):
        (verdict,) = keys.ssh_keys([replace(key, **changes)], limits, NOW)
        assert (verdict.check, verdict.subject, verdict.unit) == ("ssh_keys", "k", "days")
        return verdict.state, verdict.text, verdict.value

    assert judge() == (OK, "ED25519, 10 days old", 10.0)
    assert judge(made=NOW - 100 * DAY) == (
        *(WARNING, "ED25519, 100 days old: time for a new one", 100.0),
    )
    weak = "2048 bits of RSA are too weak"
    assert judge(kind="RSA", bits=2048) == (WARNING, weak, 10.0)
    assert judge(kind="RSA", bits=3071)[0] == WARNING
    assert judge(kind="DSA", bits=4096)[1] == "4096 bits of DSA are too weak"
    open_ = "others than its owner can read the private key"
    assert judge(is_open=True, kind="DSA") == (CRITICAL, open_, 10.0)


def test_expiry():
    wanted = settings.ExpiringFiles((), settings.Days(warning=30, critical=7))
    assert keys.certificates([facts.Certificates("c", NOW + 40 * DAY)], wanted, NOW) == [
        Verdict("certificates", "c", OK, "it expires in 40 days", value=40.0, unit="days")
    ]
    assert keys.certificates([facts.Certificates("c", NOW)], wanted, NOW) == [
        Verdict("certificates", "c", CRITICAL, "it expired 0 days ago", value=0.0, unit="days")
    ]
    (soon,) = keys.certificates([facts.Certificates("c", NOW + 0.9 * DAY)], wanted, NOW)
    assert (soon.state, soon.text) == (CRITICAL, "it expires in 1 days")
    for check, name in ((keys.certificates, "certificates"), (keys.openpgp, "openpgp")):
        assert check([], wanted, NOW) == [Verdict(name, "", OK, "there are none to look at")]
        gone = facts.Unreadable("k", "No such file")
        assert check([gone], wanted, NOW) == [Verdict(name, "k", UNKNOWN, "No such file")]
