"""Ansible's events as lines for people."""

from __future__ import annotations

import pytest

from stxmirror.controller.progress import Progress, clock, failure_text


def task(role: str, name: str = "x | do", kind: str = "playbook_on_task_start", **data) -> dict:
    return {"event": kind, "event_data": {"role": role, "task": name, **data}}


def stage(name: str, kind: str = "playbook_on_task_start", **data) -> dict:
    return task("build_stages", f"stage | Run stage {name}", kind, **data)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0:00"),
        (59.6, "1:00"),
        (61, "1:01"),
        (3600, "1:00:00"),
        (45296, "12:34:56"),
        (-3, "0:00"),
    ],
)
def test_a_length_of_time_is_short_to_read(seconds, words):
    assert clock(seconds) == words


def test_each_part_is_announced_and_closed_with_its_time():
    progress = Progress(began=100.0)
    assert progress.event(task("build_session"), 101.0) == ["[   0:01] open         started"]
    assert progress.event(task("build_session", "y"), 102.0) == []
    assert progress.event(task("source_sync"), 111.0) == [
        "[   0:11] open         ok       0:10",
        "[   0:11] sync         started",
    ]
    assert progress.finish_part(171.0) == ["[   1:11] sync         ok       1:00"]
    assert progress.seconds == {"open": 10.0, "sync": 60.0}


def test_stages_go_by_their_own_names():
    progress = Progress(began=0.0)
    progress.event(task("build_stages", "Run the stages in order"), 1.0)
    assert progress.part is None
    progress.event(stage("packages"), 2.0)
    assert progress.part == "packages"
    # Bookkeeping between two stages belongs to the one before.
    progress.event(task("build_session", "stage | Note it"), 3.0)
    assert progress.part == "packages"
    progress.event(stage("iso"), 5.0)
    assert progress.seconds == {"packages": 3.0}


def test_the_last_good_run_says_what_to_expect():
    progress = Progress(began=0.0, expected={"open": 2.0, "packages": 100.0, "iso": 20.0})
    # What is over in a moment is not announced.
    assert progress.event(task("build_session"), 1.0) == []
    assert progress.event(stage("packages"), 3.0)[-1].endswith("started (last time 1:40)")
    assert progress.remaining(13.0) == 90.0 + 20.0
    assert progress.tick(63.0) == [
        "[   1:03] packages     running 1:00 of about 1:40; about 1:00 to the end"
    ]
    assert progress.tick(20.0) == []
    # Longer than expected: the rest of the build is still to come.
    assert progress.remaining(500.0) == 20.0
    assert progress.event(stage("iso"), 203.0)[0].endswith("3:20 (last time 1:40)")


def test_a_first_run_promises_nothing():
    progress = Progress(began=0.0)
    progress.event(stage("packages"), 0.0)
    assert progress.remaining(9.0) is None
    assert progress.tick(60.0) == ["[   1:00] packages     running 1:00"]


@pytest.mark.parametrize("result", ["failed", "timeout"])
def test_a_failed_stage_is_shown_as_such_though_its_task_is_ok(result):
    progress = Progress(began=0.0)
    progress.event(stage("images"), 0.0)
    progress.event(stage("images", "runner_on_ok", res={"result": result, "exit_code": 1}), 5.0)
    assert result in progress.finish_part(6.0)[0]


def test_a_skipped_stage_is_shown_as_skipped():
    progress = Progress(began=0.0)
    progress.event(stage("packages"), 0.0)
    progress.event(stage("packages", "runner_on_skipped"), 0.1)
    assert "skipped" in progress.finish_part(0.2)[0]


def test_a_skipped_task_does_not_make_its_part_skipped():
    progress = Progress(began=0.0)
    progress.event(task("source_sync"), 0.0)
    progress.event(task("source_sync", kind="runner_on_skipped"), 0.1)
    assert " ok " in progress.finish_part(0.2)[0]


def test_the_first_failure_is_kept_and_marks_its_part_alone():
    progress = Progress(began=0.0)
    progress.event(task("source_sync"), 0.0)
    failed = {"res": {"msg": "the manifest\n does not answer"}}
    progress.event(task("source_sync", kind="runner_on_failed", **failed), 1.0)
    assert "failed" in progress.event(task("report"), 2.0)[0]
    again = {"res": {"msg": "End as the build did"}}
    progress.event(task("", kind="runner_on_failed", **again), 3.0)
    assert progress.first_error == "the manifest does not answer"
    assert " ok " in progress.finish_part(4.0)[0]


def test_an_ignored_failure_is_none():
    progress = Progress(began=0.0)
    progress.event(task("collect"), 0.0)
    progress.event(task("collect", kind="runner_on_failed", ignore_errors=True, res={}), 1.0)
    assert progress.first_error is None


def test_the_build_id_is_said_once():
    progress = Progress(began=0.0)
    fact = {"res": {"ansible_facts": {"build_session_id": "master/sample/20261101T020000Z"}}}
    lines = progress.event(task("build_session", kind="runner_on_ok", **fact), 1.0)
    assert lines == ["[   0:01] build master/sample/20261101T020000Z"]
    assert progress.event(task("build_session", kind="runner_on_ok", **fact), 2.0) == []
    nothing = {"res": {"ansible_facts": {"build_session_id": ""}}}
    assert progress.event(task("build_session", kind="runner_on_ok", **nothing), 2.0) == []


@pytest.mark.parametrize("event", [{}, {"event": "verbose"}, {"event": "runner_on_ok"}])
def test_other_events_say_nothing(event):
    assert Progress(began=0.0).event(event, 1.0) == []


@pytest.mark.parametrize(
    ("result", "words"),
    [
        ({"msg": "no room"}, "no room"),
        ({"msg": ["a", "b"]}, "a; b"),
        ({"msg": "", "stderr": "cat: x\n"}, "cat: x"),
        ({}, "a task failed without saying why"),
        ({"msg": "items failed", "results": [{}, {"failed": True, "msg": "no room"}]}, "no room"),
        ({"msg": "non-zero return code", "stderr": "df: /x: no such file"}, "df: /x: no such file"),
    ],
)
def test_a_failed_task_says_why_in_one_line(result, words):
    assert failure_text(result) == words
