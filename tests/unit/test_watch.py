"""Facts in, verdicts out."""

from __future__ import annotations

import pytest

from stxmirror.times import parse_time
from stxmirror.watch import (
    builds,
    checks,
    drift,
    facts_host,
    facts_keys,
    host,
    keys,
)
from stxmirror.watch.model import CRITICAL, OK, UNKNOWN, WARNING, Verdict, worst

NOW = parse_time("2026-11-22T12:00:00Z").timestamp()
DAY = 86400


def system(**changes):
    return {"path": "/", "used": 10.0, "inodes": 1.0, "read_only": False, **changes}


LIMITS = {"warning": 85, "critical": 95}


@pytest.mark.parametrize(
    ("used", "state"), [(84.9, OK), (85, WARNING), (94.9, WARNING), (95, CRITICAL), (100, CRITICAL)]
)
def test_room(used, state):
    assert host.disk([system(used=used)], LIMITS, NOW)[0].state == state


def test_a_path_has_limits_of_its_own_and_a_read_only_file_system_is_critical():
    limits = {**LIMITS, "paths": {"/localdisk": {"warning": 97, "critical": 99}}}
    facts = [system(used=96), system(path="/localdisk", used=96)]
    assert [v.state for v in host.disk(facts, limits, NOW)] == [CRITICAL, OK]
    limits = {**LIMITS, "read_only_is_critical": True}
    assert host.disk([system(read_only=True)], limits, NOW)[0].state == CRITICAL


def test_inodes_that_are_not_counted_are_no_verdict_and_nothing_found_is_unknown():
    facts = [system(inodes=None), system(path="/x", inodes=99)]
    assert [(v.subject, v.state) for v in host.inodes(facts, LIMITS, NOW)] == [("/x", CRITICAL)]
    assert host.disk([], LIMITS, NOW)[0].state == UNKNOWN


def test_memory_and_swap():
    limits = {"warning": 10, "critical": 4}
    for available, state in ((11, OK), (10, WARNING), (4, CRITICAL)):
        facts = {"MemTotal": 100, "MemAvailable": available}
        assert host.memory(facts, limits, NOW)[0].state == state
    limits = {"warning": 50, "critical": 90}
    for total, free, state in ((0, 0, OK), (100, 51, OK), (100, 50, WARNING), (100, 5, CRITICAL)):
        assert host.swap({"SwapTotal": total, "SwapFree": free}, limits, NOW)[0].state == state


def test_clock():
    for synchronised, state in ((True, OK), (False, WARNING)):
        facts = {"max_error_seconds": 0.1, "synchronised": synchronised}
        assert host.clock(facts, {}, NOW)[0].state == state


def test_units():
    limits = {"critical": ["ssh.service"], "ignored": ["odd.service"]}
    found = host.units(["ssh.service", "odd.service", "a.service"], limits, NOW)
    assert [(v.subject, v.state) for v in found] == [
        ("a.service", WARNING),
        ("ssh.service", CRITICAL),
    ]
    assert host.units(["odd.service"], limits, NOW)[0].state == OK


def test_mounts_that_belong_there_are_left_alone():
    facts = {
        "mounts": [
            {"path": path, "type": "tmpfs"}
            for path in ("/localdisk", "/localdisk/designer", "/localdisk/x", "/localdiskette/y")
        ],
        "loops": [
            {"device": "/dev/loop0", "file": "/localdisk/a.img"},
            {"device": "/dev/loop1", "file": "/srv/b.img"},
        ],
        "expected": ["/localdisk/designer"],
        "builds": [],
    }
    limits = {"roots": ["/localdisk"], "expected": []}
    found = host.mounts(facts, limits, NOW)
    assert [v.subject for v in found] == ["/localdisk/x", "/dev/loop0"]
    assert host.mounts({**facts, "builds": ["stx-build@m.service"]}, limits, NOW)[0].state == OK


@pytest.mark.parametrize(
    ("seconds", "limit", "state"),
    [(100, 200, OK), (400, 200, OK), (600, 200, CRITICAL), (5, None, WARNING)],
)
def test_units_past_their_limit(seconds, limit, state):
    unit = {"id": "stx-build@m.service", "seconds": seconds, "limit": limit}
    facts = {"hold": None, "units": [unit], "running": []}
    assert worst(host.locks(facts, {"hold_warning_hours": 24}, NOW)) == state


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
    facts = {"required": True, "why": "kernel", "since": NOW - days * DAY}
    limits = {"warning_days": 1, "critical_days": 14}
    assert host.reboot(facts, limits, NOW)[0].state == state
    assert host.reboot({**facts, "required": None}, limits, NOW)[0].state == UNKNOWN
    assert host.reboot({**facts, "required": False}, limits, NOW)[0].state == OK


@pytest.mark.parametrize(
    ("fact", "state"),
    [
        ({"ends": NOW + 31 * DAY}, OK),
        ({"ends": NOW + 30 * DAY}, WARNING),
        ({"ends": NOW + 6 * DAY}, CRITICAL),
        ({"ends": NOW - 6 * DAY}, CRITICAL),
        ({"ends": None}, OK),
        ({"ends": None, "revoked": True}, CRITICAL),
        ({"error": "No such file"}, UNKNOWN),
    ],
)
def test_ends_of_keys(fact, state):
    limits = {"warning_days": 30, "critical_days": 7}
    assert keys.openpgp([{"path": "k", **fact}], limits, NOW)[0].state == state
    assert keys.certificates([], limits, NOW)[0].state == OK


def test_of_the_parts_that_sign_the_last_one_counts_and_the_whole_key_ends_them_all():
    pub = "pub:u:255:22:AAAA:1:{}::u:::scSC::::::23::0:\n"
    sub = "sub:{}:255:22:BBBB:1:{}:::::s::::::23:\n"
    assert facts_keys.openpgp_end(pub.format("")) == {"ends": None, "revoked": False}
    assert facts_keys.openpgp_end(pub.format(50) + sub.format("u", 90))["ends"] == 50
    assert facts_keys.openpgp_end(pub.format("") + sub.format("u", 90))["ends"] is None
    only_subs = pub.replace(":scSC:", ":cSC:")
    assert facts_keys.openpgp_end(only_subs.format("") + sub.format("u", 90))["ends"] == 90
    with pytest.raises(ValueError, match="no public key"):
        facts_keys.openpgp_end("")


def test_ssh_keys():
    good = {"path": "k", "kind": "ED25519", "bits": 256, "made": NOW, "open": False}
    limits = {"max_age_days": 100}
    for change, state in (
        ({}, OK),
        ({"made": NOW - 101 * DAY}, WARNING),
        ({"kind": "RSA", "bits": 2048}, WARNING),
        ({"kind": "DSA", "bits": 1024}, WARNING),
        ({"open": True}, CRITICAL),
        ({"error": "gone"}, UNKNOWN),
    ):
        assert keys.ssh_keys([{**good, **change}], limits, NOW)[0].state == state
    assert keys.ssh_keys([], limits, NOW)[0].state == UNKNOWN


STREAMS = {"grace_minutes": 60, "warning_days": 2, "critical_days": 7}


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
    success = {"id": "master/sample/20261122T020005Z", "finished": good} if good else None
    return {
        "ref": "master",
        "schedule": "0 2 * * *",
        "status": {"last_attempt": last, "last_success": success},
        "logs": ["/l"],
        "running": False,
        "known_since": 0.0,
    }


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
        ({**stream(started="2026-11-21T02:00:00Z"), "running": True}, OK, "good"),
        ({**stream(started="2026-11-21T02:00:00Z"), "schedule": None}, OK, "good"),
        ({**stream(**FAILED), "schedule": None}, WARNING, "failed"),
        ({**stream("2026-11-01T02:00:00Z", **FAILED), "schedule": None}, OK, "21 days ago: last"),
        ({**stream(), "status": None}, CRITICAL, "never built, though due"),
        ({**stream(), "status": None, "known_since": NOW}, UNKNOWN, "never built yet"),
        ({**stream(), "status": None, "schedule": None}, OK, "on demand only"),
        # The schedule was changed after that hour.
        ({**stream(started="2026-11-21T02:00:00Z"), "known_since": NOW - 60}, OK, "good"),
        ({**stream(), "error": "cannot be read"}, UNKNOWN, "cannot be read"),
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
    found = facts_host.uploads({"directories": [str(tmp_path)]})
    assert [entry["path"] for entry in found] == [f"{tmp_path}/0a", f"{tmp_path}/trash/old"]


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
    facts = {"finished": finished, "known_since": since, "log": "/l"}
    limits = {"warning_days": 2, "critical_days": 7}
    assert builds.prune(facts, limits, NOW)[0].state == state


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        (None, UNKNOWN),
        ({"checked": "2026-11-22T01:00:00Z", "changes": [], "failed": []}, OK),
        ({"checked": "2026-11-22T01:00:00Z", "changes": ["a"] * 30, "failed": []}, WARNING),
        ({"checked": "2026-11-22T01:00:00Z", "changes": [], "failed": ["a"]}, UNKNOWN),
        ({"checked": "2026-11-12T01:00:00Z", "changes": [], "failed": []}, WARNING),
    ],
)
def test_drift(facts, state):
    assert drift.drift(facts, {"max_age_days": 2}, NOW)[0].state == state


def test_the_unknown_is_never_fine():
    assert worst([]) == UNKNOWN
    ok, warning = Verdict("a", "", OK, ""), Verdict("b", "", WARNING, "")
    unknown, critical = Verdict("c", "", UNKNOWN, ""), Verdict("d", "", CRITICAL, "")
    assert worst([ok, warning]) == WARNING
    assert worst([ok, warning, unknown]) == UNKNOWN
    assert worst([critical, unknown]) == CRITICAL


def test_what_cannot_be_collected_is_unknown_and_the_rest_goes_on():
    settings = {
        "uploads": {"directories": ["/nonexistent"], "warning_hours": 1},
        "memory": {"warning": 10},
        "nonsense": {},
        "certificates": {"paths": ["/nonexistent"], "warning_days": 2, "critical_days": 1},
    }
    found = checks.run(settings, NOW)
    assert [(v.check, v.state) for v in found] == [(name, UNKNOWN) for name in settings]
