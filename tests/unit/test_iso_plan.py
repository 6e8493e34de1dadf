"""Which machines run when, how long they may take, and what is said of each check.

The host is one whose clock and machines are the test's.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from fake_iso_host import FakeHost, Script

from stxmirror import records
from stxmirror.builder import boot_plan, iso_checks
from stxmirror.builder.boot_plan import Job, Step
from stxmirror.builder.deadline import WALL_FACTOR, Limits
from stxmirror.errors import StxMirrorError

LIMIT = 300
MARKERS = {"boot": "ready", "install": "installed", "installed": "running"}


def good() -> dict[str, Script]:
    """Machines that are well."""
    return {
        "iso-bios": Script([(10, b"ready\n"), (30, b"installed\n")]),
        "iso-uefi": Script([(60, b"ready\n")]),
        "installed-bios": Script([(20, b"running\n")]),
        "installed-uefi": Script([(25, b"running\n")]),
    }


def plan(tmp_path: Path, **changes) -> list[Job]:
    """The machines of a request."""
    request = {
        "iso": "/x.iso",
        "build_id": "master/sample/20261122T024512Z",
        "scratch": str(tmp_path),
        "min_bytes": 1,
        "memory_mb": 1024,
        "disk_gb": 2,
        "time_limit": LIMIT,
        "markers": MARKERS,
        "failure_markers": ["FAILED"],
        "installed_uefi": True,
        "result": str(tmp_path / "result.json"),
    }
    return iso_checks.jobs(iso_checks.Request.read(json.dumps(request | changes)))


def run(host: FakeHost, jobs: Sequence[Job]) -> dict[str, boot_plan.Verdict]:
    """The verdicts; no machine is left."""
    limits = Limits.within(LIMIT)
    verdicts = boot_plan.run(jobs, host, limits=limits, failure_markers=["FAILED"])
    assert host.on == []
    return verdicts


@pytest.fixture
def boot():
    """The verdict about one machine with the check ``boot``, and the host that it ran on."""

    def judge(script: Script, again: Script | None = None, **host):
        made = FakeHost({"m": script, "m-2": again or script}, **host)
        return run(made, [Job("m", "bios", (Step("boot", "ready"),))])["boot"], made

    return judge


def test_the_installed_disk_is_booted_as_soon_as_it_is_installed(tmp_path):
    host = FakeHost(good())
    verdicts = run(host, plan(tmp_path))
    assert {name: verdict.result for name, verdict in verdicts.items()} == {
        "boot-bios": "ok",
        "install": "ok",
        "boot-uefi": "ok",
        "installed-boot": "ok",
        "installed-boot-uefi": "ok",
    }
    assert host.started == [
        ("iso-bios.log", 0),
        ("iso-uefi.log", 0),
        ("installed-bios.log", 30),
        ("installed-uefi.log", 50),
    ]
    assert (verdicts["boot-bios"].seconds, verdicts["install"].seconds) == (10, 20)
    assert {verdict.attempts for verdict in verdicts.values()} == {1}


@pytest.mark.parametrize("slots", [1, 2, 4])
def test_no_more_machines_run_than_there_is_room_for(tmp_path, slots):
    host = FakeHost(good(), slots=slots)
    run(host, plan(tmp_path))
    assert host.most == min(slots, 3)


def test_cores_and_memory_limit_how_many_run_side_by_side():
    assert boot_plan.slots(4, 100_000, 1024) == 4
    assert boot_plan.slots(4, 3000, 1024) == 2
    assert boot_plan.slots(4, 500, 1024) == 1
    assert boot_plan.slots(1, 100_000, 1024) == 1
    # QEMU needs 256 MiB itself.
    assert boot_plan.slots(4, 2560, 1024) == 2
    assert boot_plan.slots(4, 2559, 1024) == 1


def test_only_the_first_machines_boot_from_the_iso(tmp_path):
    assert {job.name: job.from_iso for job in plan(tmp_path)} == {
        **{"iso-bios": True, "iso-uefi": True},
        **{"installed-bios": False, "installed-uefi": False},
    }


def test_each_attempt_has_a_log_of_its_own():
    jobs = [Job(name, "bios", ()) for name in ("a", "b")]
    assert boot_plan.log_names(jobs) == ["a.log", "a-2.log", "b.log", "b-2.log"]


def test_the_check_of_uefi_from_disk_is_left_out_if_not_asked_for(tmp_path):
    verdicts = run(FakeHost(good()), plan(tmp_path, installed_uefi=False))
    assert "installed-boot-uefi" not in verdicts


def test_what_a_failed_check_does_not_let_begin_is_skipped(tmp_path):
    scripts = good() | {"iso-bios": Script([(3, b"FAILED no medium\n")])}
    host = FakeHost(scripts)
    verdicts = run(host, plan(tmp_path))
    assert verdicts["boot-bios"].detail.startswith(
        "boot-bios: the machine printed 'FAILED no medium' instead of 'ready' after 3.0 s; "
        "log sanity/iso-bios.log\n"
    )
    assert (verdicts["install"].result, verdicts["install"].detail) == (
        "skipped",
        "boot-bios was not ok",
    )
    assert (verdicts["installed-boot"].result, verdicts["installed-boot"].seconds) == ("skipped", 0)
    assert verdicts["installed-boot-uefi"].detail == "install was not ok"
    assert verdicts["boot-uefi"].result == "ok"
    assert len(host.started) == 2


def test_a_machine_that_works_to_no_end_meets_the_limit_of_its_own_time(boot):
    countdown = b"GNU GRUB\n" + b"\x1b[22;4HBooting `Install' in 5s.  "
    verdict, host = boot(Script([(1, countdown)], cpu=1.0))
    assert (verdict.result, verdict.attempts) == ("timeout", 1)
    assert verdict.detail.split("\n") == [
        "boot: the machine did not print 'ready' within 300 s of its own CPU time (wall 301 s); "
        "log sanity/m.log",
        "GNU GRUB",
        "Booting `Install' in 5s.",
    ]
    assert len(host.started) == 1


def test_a_slow_machine_on_a_busy_host_passes(boot):
    """A tenth of a core, and more time than the limit says: it gets on."""
    verdict, _ = boot(Script([(1200, b"ready\n")], cpu=0.1, waited=0.9), loaded=9.0)
    assert (verdict.result, verdict.seconds, verdict.attempts) == ("ok", 1200, 1)


def test_a_starved_machine_that_writes_nothing_does_not_stand_still(boot):
    verdict, _ = boot(Script([(1000, b"ready\n")], cpu=0.01, waited=0.9), loaded=9.0)
    assert verdict.result == "ok"


def test_a_machine_that_waits_for_a_slow_disk_does_not_stand_still(boot):
    verdict, _ = boot(Script([(1000, b"ready\n")], cpu=0.01, reads_disk=True))
    assert verdict.result == "ok"


@pytest.mark.parametrize(
    "script",
    [
        # Stopped by a signal, or with all its processors halted.
        Script([(5, b"Starting\n")], halts=20),
        # A shell that waits for somebody to type.
        Script([(5, b"Starting\n"), (20, b"login:")], cpu=0.03, waited=0.01),
    ],
)
def test_a_machine_that_stands_still_is_noticed(boot, script):
    verdict, host = boot(script)
    assert (verdict.result, verdict.attempts) == ("timeout", 1)
    first = verdict.detail.split("\n")[0]
    assert first.startswith("boot: the machine stood still for 300 s and did not print 'ready'")
    assert first.endswith("; log sanity/m.log")
    assert 300 < verdict.seconds < 330
    assert len(host.started) == 1


def test_no_machine_runs_without_end(boot):
    chatty = [(float(at), b"tick\n") for at in range(2000)]
    verdict, _ = boot(Script(chatty, cpu=0.01), again=Script([(1, b"ready\n")]))
    assert verdict.attempts == 2
    verdict, host = boot(Script(chatty, cpu=0.01))
    assert verdict.result == "timeout"
    assert verdict.detail.startswith(
        "boot: the machine did not print 'ready' within 1801 s, in which it had 18 s of CPU time"
    )
    assert host.clock - 1000 == 2 * (WALL_FACTOR * LIMIT + 1)


@pytest.mark.parametrize(
    ("script", "loaded", "attempts"),
    [
        (Script(cpu=1.0), 2.3, 1),
        (Script(cpu=1.0), 3.0, 2),
        (Script(cpu=0.4, waited=0.6), 1.0, 2),
        (Script(halts=1), 2.3, 1),
        (Script(halts=1), 3.0, 2),
        (Script(ends=3), 9.0, 1),
        (Script([(1, b"FAILED\n")]), 9.0, 1),
    ],
)
def test_a_time_out_is_tried_once_more_where_the_host_may_be_the_reason(
    boot, script, loaded, attempts
):
    verdict, host = boot(script, loaded=loaded)
    assert verdict.attempts == attempts
    assert verdict.result in ("failed", "timeout")
    assert [log for log, _ in host.started] == ["m.log", "m-2.log"][:attempts]
    assert ("attempt 2; log sanity/m-2.log" in verdict.detail.split("\n")[0]) == (attempts == 2)


def test_a_second_attempt_that_passes_says_why_there_was_one(boot):
    wrote = Script([(0.5, b"one\ntwo\n")], halts=1)
    verdict, _ = boot(wrote, again=Script([(7, b"ready\n")]), loaded=5.0)
    assert (verdict.result, verdict.seconds, verdict.attempts) == ("ok", 7, 2)
    assert verdict.detail.startswith("Not in the first attempt: boot: the machine stood still")
    assert "\n" not in verdict.detail


def test_an_installation_that_timed_out_is_tried_again_before_the_disk_is_booted(tmp_path):
    scripts = good() | {"iso-bios": Script([(10, b"ready\n")]), "iso-bios-2": good()["iso-bios"]}
    host = FakeHost(scripts, loaded=8.0)
    verdicts = run(host, plan(tmp_path))
    assert {verdict.result for verdict in verdicts.values()} == {"ok"}
    assert {name: verdict.attempts for name, verdict in verdicts.items()} == {
        "boot-bios": 1,
        "install": 2,
        "boot-uefi": 1,
        "installed-boot": 1,
        "installed-boot-uefi": 1,
    }
    order = [log for log, _ in host.started]
    assert order.index("iso-bios-2.log") < order.index("installed-bios.log")


def test_a_second_attempt_that_does_not_come_as_far_keeps_what_the_first_found(tmp_path):
    scripts = good() | {
        "iso-bios": Script([(10, b"ready\n")]),
        "iso-bios-2": Script([(2, b"FAILED\n")]),
    }
    verdicts = run(FakeHost(scripts, loaded=8.0), plan(tmp_path))
    assert (verdicts["boot-bios"].result, verdicts["boot-bios"].attempts) == ("failed", 2)
    assert verdicts["install"].result == "timeout"
    assert verdicts["installed-boot"].result == "skipped"


def test_a_machine_that_goes_off_and_an_emulator_that_complains(boot):
    verdict, _ = boot(Script([(1, b"cannot go on")], ends=2))
    assert verdict.result == "failed"
    assert verdict.detail.split("\n") == [
        "boot: the machine switched itself off and did not print 'ready' after 2.0 s; "
        "log sanity/m.log",
        "cannot go on",
    ]
    verdict, _ = boot(Script(ends=1, errors="qemu: no disk\nqemu: end"))
    assert verdict.detail.split("\n") == [
        "boot: the machine ended with the message of QEMU 'qemu: no disk qemu: end' and did not "
        "print 'ready' after 1.0 s; log sanity/m.log",
        "Nothing was written to the serial line.",
    ]


def test_a_failure_is_quoted_whole_however_slowly_it_comes():
    host = FakeHost({"m": Script([])})
    job = Job("m", "bios", (Step("boot", "ready"),))
    attempt = boot_plan.Attempt(
        job,
        1,
        host.start(job, "m.log"),
        now=1000.0,
        limits=Limits.within(LIMIT),
        failure_markers=["FAILED"],
    )
    attempt.look(1000.1, b"FAILED no ")
    # Another machine wrote something.
    attempt.look(1000.2, b"")
    assert not attempt.done
    attempt.look(1000.3, b"medium")
    attempt.look(1001.3, b"")
    assert "printed 'FAILED no medium' instead of 'ready'" in attempt.verdicts["boot"].detail


def test_the_last_words_of_a_machine_count(boot):
    assert boot(Script([(2, b"ready")], ends=2))[0].result == "ok"
    verdict, _ = boot(Script([(2, b"FAILED at last")], ends=2))
    assert "printed 'FAILED at last'" in verdict.detail


def test_no_machine_is_left_when_one_cannot_be_started(tmp_path):
    scripts = good()
    del scripts["iso-uefi"]
    host = FakeHost(scripts)
    with pytest.raises(KeyError):
        boot_plan.run(plan(tmp_path), host, limits=Limits.within(LIMIT), failure_markers=[])
    assert host.on == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"markers": {"boot": "x", "install": "y"}}, "has no marker 'installed'"),
        ({"colour": "blue"}, "colour"),
        ({"iso": None}, "is not a request for checks"),
    ],
)
def test_a_request_that_cannot_be_read_is_named(tmp_path, changes, words):
    with pytest.raises(StxMirrorError, match=words):
        plan(tmp_path, **changes)


@pytest.mark.parametrize(
    ("attempts", "fits"), [(1, True), (9, True), (0, False), (10, False), ("2", False)]
)
def test_a_record_may_say_how_often_a_check_was_tried(good_record, attempts, fits):
    verdict = {"result": "ok", "seconds": 1.0, "attempts": attempts}
    record = {**good_record, "sanity": {"boot-bios": verdict}}
    if fits:
        assert records.check(record)["sanity"]["boot-bios"]["attempts"] == attempts
    else:
        with pytest.raises(StxMirrorError, match="attempts"):
            records.check(record)
