"""Facts in, verdicts out."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from watched_streams import STREAMS

from stxmirror.times import parse_time
from stxmirror.watch import (
    builds,
    checks,
    drift,
    facts,
    facts_host,
    host,
    settings,
)
from stxmirror.watch.model import CRITICAL, OK, UNKNOWN, WARNING, Verdict, worst

NOW = parse_time("2026-11-22T12:00:00Z").timestamp()
DAY = 86400


def system(**changes):
    return facts.FileSystem(**{"path": "/", "used": 10.0, "inodes": 1.0, **changes})


def disks(**changes):
    raw = {"types": ["ext4"], "skip": [], "warning": 85, "critical": 95, **changes}
    return settings.Disks.parse(raw, "a test")


LIMITS = disks()
EXPIRING = settings.ExpiringFiles((), settings.Days(warning=30, critical=7))


@pytest.mark.parametrize(
    ("used", "state"), [(84.9, OK), (85, WARNING), (94.9, WARNING), (95, CRITICAL), (100, CRITICAL)]
)
def test_room(used, state):
    assert host.disk([system(used=used)], LIMITS, NOW)[0].state == state


def test_a_path_has_limits_of_its_own_and_a_read_only_file_system_is_critical():
    limits = disks(paths={"/localdisk": {"warning": 97, "critical": 99}, "/x": {"critical": 97}})
    found = [system(path=path, used=96) for path in ("/", "/localdisk", "/x")]
    assert [v.state for v in host.disk(found, limits, NOW)] == [CRITICAL, OK, WARNING]
    limits = disks(read_only_is_critical=True)
    assert host.disk([system(is_read_only=True)], limits, NOW)[0].state == CRITICAL
    assert host.disk([system(is_read_only=True)], LIMITS, NOW)[0].state == OK


def test_inodes_that_are_not_counted_are_no_verdict_and_nothing_found_is_unknown():
    found = [system(inodes=None), system(path="/x", inodes=99)]
    assert [(v.subject, v.state) for v in host.inodes(found, LIMITS, NOW)] == [("/x", CRITICAL)]
    assert host.disk([], LIMITS, NOW)[0].state == UNKNOWN


def test_memory_and_swap():
    limits = settings.Limits(warning=10, critical=4)
    for available, state in ((11, OK), (10, WARNING), (4, CRITICAL)):
        found = facts.Memory(total=100, available=available, swap_total=0, swap_free=0)
        assert host.memory(found, limits, NOW)[0].state == state
    limits = settings.Limits(warning=50, critical=90)
    for total, free, state in ((0, 0, OK), (100, 51, OK), (100, 50, WARNING), (100, 5, CRITICAL)):
        found = facts.Memory(total=1, available=1, swap_total=total, swap_free=free)
        assert host.swap(found, limits, NOW)[0].state == state


def test_clock():
    for synchronised, state in ((True, OK), (False, WARNING)):
        found = facts.Clock(0.1, synchronised)
        assert host.clock(found, settings.Nothing(), NOW)[0].state == state


def test_units():
    limits = settings.Units(critical=("ssh.service",), ignored=("odd.service",))
    found = host.units(["ssh.service", "odd.service", "a.service"], limits, NOW)
    assert [(v.subject, v.state) for v in found] == [
        ("a.service", WARNING),
        ("ssh.service", CRITICAL),
    ]
    assert host.units(["odd.service"], limits, NOW)[0].state == OK


def test_mounts_that_belong_there_are_left_alone():
    places = ("/localdisk", "/localdisk/designer", "/localdisk/x", "/localdiskette/y")
    found = facts.Mounts(
        mounts=tuple(facts.Mount(path, "tmpfs") for path in places),
        loops=(
            facts.Loop("/dev/loop0", "/localdisk/a.img"),
            facts.Loop("/dev/loop1", "/srv/b.img"),
        ),
        expected=("/localdisk/designer",),
        builds=(),
    )
    limits = settings.MountPlaces(roots=("/localdisk",), expected=())
    assert [v.subject for v in host.mounts(found, limits, NOW)] == ["/localdisk/x", "/dev/loop0"]
    during = replace(found, builds=("stx-build@m.service",))
    assert host.mounts(during, limits, NOW)[0].state == OK


def test_a_mount_point_may_hold_any_white_space():
    odd = "/mnt/form\x0cfeed\x85\u2028"
    text = f"36 35 8:1 / {odd}\\040x ro,noatime shared:1 - ext4 /dev/sda1 rw\n"
    (mount,) = facts_host.parse_mounts(text)
    assert mount == facts.Mount(f"{odd} x", "ext4", "8:1", is_read_only=True)


LOCKS = settings.LockPlaces(hold="/h", runner="/r", hold_warning_hours=24)


@pytest.mark.parametrize(
    ("seconds", "limit", "state"),
    [(100, 200, OK), (400, 200, OK), (600, 200, CRITICAL), (5, None, WARNING)],
)
def test_units_past_their_limit(seconds, limit, state):
    unit = facts.Unit("stx-build@m.service", seconds, limit)
    assert worst(host.locks(facts.Locks(None, (), (unit,)), LOCKS, NOW)) == state


def test_a_forgotten_hold_and_a_trace_without_a_build_are_named():
    hold = facts.Hold(NOW - 24 * 3600, "new disks")
    found = facts.Locks(hold, ("/r/master/running.json",), ())
    assert [(v.subject, v.state) for v in host.locks(found, LOCKS, NOW)] == [
        ("hold-builds", WARNING),
        ("/r/master/running.json", WARNING),
    ]
    assert worst(host.locks(found, LOCKS, NOW - 1)) == WARNING
    fresh = facts.Locks(facts.Hold(NOW - 24 * 3600 + 1, ""), (), ())
    assert worst(host.locks(fresh, LOCKS, NOW)) == OK


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("2h 30min", 9000), ("1min 5s", 65), ("1d", 86400), ("500ms", 0.5), ("infinity", None)],
)
def test_systemd_s_lengths_of_time(text, seconds):
    assert facts_host.span_seconds(text) == seconds


def test_a_length_of_time_that_is_none_is_not_taken_for_short():
    with pytest.raises(ValueError, match="no length of time"):
        facts_host.span_seconds("soon")


@pytest.mark.parametrize(("days", "state"), [(0.5, OK), (1, WARNING), (14, CRITICAL)])
def test_reboot_by_age(days, state):
    found = facts.Reboot(True, "kernel", NOW - days * DAY)
    limits = settings.Days(warning=1, critical=14)
    assert host.reboot(found, limits, NOW)[0].state == state
    assert host.reboot(replace(found, is_required=None), limits, NOW)[0].state == UNKNOWN
    assert host.reboot(replace(found, is_required=False), limits, NOW)[0].state == OK


def stream(started="2026-11-22T02:00:00Z", good="2026-11-22T04:00:00Z", **attempt):
    last = {
        "request": "r",
        "id": "master/sample/20261122T020005Z",
        "reason": "on schedule",
        "started": started,
        "finished": started,
        "result": "success",
        "failed_stage": None,
        "why": "",
        "published": True,
        "unpublished_why": "",
        **attempt,
    }
    success = facts.GoodBuild("master/sample/20261122T020005Z", good) if good else None
    return facts.Stream(
        ref="master",
        schedule="0 2 * * *",
        status=facts.Status(facts.Attempt.parse(last), success),
        known_since=0.0,
        logs=("/l",),
    )


FAILED = {"result": "fail", "failed_stage": "packages", "why": "no room"}


@pytest.mark.parametrize(
    ("found", "state", "words"),
    [
        (stream(), OK, "last build is good"),
        (stream(**FAILED), WARNING, "last build failed in packages: no room"),
        (stream(good="2026-11-14T04:00:00Z", **FAILED), CRITICAL, "8 days ago"),
        (stream(good=None, **FAILED), WARNING, "no good build"),
        (stream(published=False, unpublished_why="mirror is down"), WARNING, "not published"),
        # Nothing new for weeks: the old build is still what the sources give.
        (stream(good="2026-10-01T04:00:00Z", result="nothing-new"), OK, "nothing was new"),
        (stream(started="2026-11-21T02:00:00Z"), CRITICAL, "was due at 2026-11-22 02:00 UTC"),
        (replace(stream(started="2026-11-21T02:00:00Z"), is_running=True), OK, "good"),
        (replace(stream(started="2026-11-21T02:00:00Z"), schedule=None), OK, "good"),
        (replace(stream(**FAILED), schedule=None), WARNING, "failed"),
        (replace(stream("2026-11-01T02:00:00Z", **FAILED), schedule=None), OK, "21 days ago: last"),
        (replace(stream(), status=None), CRITICAL, "never built, though due"),
        (replace(stream(), status=None, known_since=NOW), UNKNOWN, "never built yet"),
        (replace(stream(), status=None, schedule=None), OK, "on demand only"),
        # The schedule was changed after that hour.
        (replace(stream(started="2026-11-21T02:00:00Z"), known_since=NOW - 60), OK, "good"),
        (replace(stream(), error="cannot be read"), UNKNOWN, "cannot be read"),
        (stream(result="odd"), UNKNOWN, "odd"),
    ],
)
def test_streams(found, state, words):
    verdict = builds.streams([found], STREAMS, NOW)[0]
    assert (verdict.state, words in verdict.text) == (state, True), verdict.text


def test_a_build_that_is_due_just_now_gets_a_moment():
    late = parse_time("2026-11-22T02:59:00Z").timestamp()
    found = stream(started="2026-11-21T02:00:00Z")
    assert builds.streams([found], STREAMS, late)[0].state == OK


def test_of_a_mirror_s_staging_only_uploads_are_found(tmp_path):
    for name in ("scratch", "trash/old", "0a"):
        (tmp_path / name).mkdir(parents=True)
    found = facts_host.uploads(settings.Uploads((str(tmp_path),), 1))
    assert [entry.path for entry in found] == [f"{tmp_path}/0a", f"{tmp_path}/trash/old"]


def test_the_logs_of_a_failure_are_named():
    assert "log: /l" in builds.streams([stream(**FAILED)], STREAMS, NOW)[0].details


@pytest.mark.parametrize(
    ("finished", "since", "state"),
    [
        ("2026-11-22T06:30:00Z", 0, OK),
        ("2026-11-20T06:30:00Z", 0, WARNING),
        ("2026-11-10T06:30:00Z", 0, CRITICAL),
        (None, 0, CRITICAL),
        (None, NOW, UNKNOWN),
    ],
)
def test_prune(finished, since, state):
    wanted = settings.Prune("/s", "/k", "/l", settings.Days(warning=2, critical=7))
    assert builds.prune(facts.Prune(finished, since, "/l"), wanted, NOW)[0].state == state


VERIFY = settings.Verify("/f", "/k", settings.Days(warning=2, critical=7))
PROBLEM = {
    "id": "master/sample/20261101T020000Z",
    "path": "outputs/RPMS/std/a.rpm",
    "why": "its bytes are not the published ones",
    "since": "2026-11-20T00:00:00Z",
}


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, OK),
        ({"checked": "2026-11-20T06:30:00Z"}, WARNING),
        ({"checked": "2026-11-10T06:30:00Z"}, CRITICAL),
        ({"oldest": "2026-10-24T00:00:00Z"}, OK),
        ({"oldest": "2026-10-20T00:00:00Z"}, WARNING),
        ({"checked": None, "known_since": NOW}, UNKNOWN),
        ({"checked": None, "known_since": 0}, CRITICAL),
    ],
)
def test_how_long_ago_a_mirror_was_read(changes, state):
    found = facts.Verified("2026-11-22T03:30:00Z", 0, 28, "2026-11-01T00:00:00Z")
    assert host.verify(replace(found, **changes), VERIFY, NOW)[0].state == state


def test_damage_on_a_mirror_is_critical_for_each_build(tmp_path):
    """With what mends it and since when it may be; what the file says is what mirrorctl wrote."""
    stray = {"id": None, "path": "master/x", "why": "it is not part of the mirror", "since": None}
    path = tmp_path / "verify.json"
    content = {"checked": "2026-11-22T03:30:00Z", "days": 28, "oldest": None, "unread": 3}
    path.write_text(json.dumps({**content, "problems": [PROBLEM, stray, PROBLEM]}))
    wanted = replace(VERIFY, file=str(path), known_since=str(tmp_path))
    verdicts = host.verify(facts_host.verified(wanted), wanted, NOW)
    assert [(v.subject, v.state) for v in verdicts] == [
        ("master/x", CRITICAL),
        (PROBLEM["id"], CRITICAL),
        ("", OK),
    ]
    assert "and 1 more: sudo mirrorctl repair master/" in verdicts[1].text
    assert "was intact at 2026-11-20T00:00:00Z" in verdicts[1].details[0]
    assert facts_host.verified(replace(wanted, file="/nonesuch")).checked is None


@pytest.mark.parametrize(
    ("raw", "state"),
    [
        (None, UNKNOWN),
        ({"checked": "2026-11-22T01:00:00Z", "changes": [], "failed": []}, OK),
        ({"checked": "2026-11-22T01:00:00Z", "changes": ["a"] * 30, "failed": []}, WARNING),
        ({"checked": "2026-11-22T01:00:00Z", "changes": [], "failed": ["a"]}, UNKNOWN),
        ({"checked": "2026-11-12T01:00:00Z", "changes": [], "failed": []}, WARNING),
    ],
)
def test_drift(raw, state):
    found = None if raw is None else facts.Drift.parse(raw)
    assert drift.drift(found, settings.Drift("/d", max_age_days=2), NOW)[0].state == state


def test_the_unknown_is_never_fine():
    assert worst([]) == UNKNOWN
    ok, warning = Verdict("a", "", OK, ""), Verdict("b", "", WARNING, "")
    unknown, critical = Verdict("c", "", UNKNOWN, ""), Verdict("d", "", CRITICAL, "")
    assert worst([ok, warning]) == WARNING
    assert worst([ok, warning, unknown]) == UNKNOWN
    assert worst([critical, unknown]) == CRITICAL


def test_what_cannot_be_collected_is_unknown_and_the_rest_goes_on():
    wanted = {
        "uploads": {"directories": ["/nonexistent"], "warning_hours": 1},
        "memory": {"warning": 10},
        "nonsense": {},
        "certificates": {"paths": ["/nonexistent"], "warning_days": 2, "critical_days": 1},
    }
    found = checks.run(wanted, NOW)
    assert [(v.check, v.state) for v in found] == [(name, UNKNOWN) for name in wanted]
