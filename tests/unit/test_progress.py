"""What a build reports as lines for people."""

from __future__ import annotations

import pytest

from stxmirror.controller.progress import Progress, clock, failure_text


def begin(part: str) -> dict[str, str]:
    return {"event": "begin", "part": part}


def end(part: str, result: str = "ok") -> dict[str, str]:
    return {"event": "end", "part": part, "result": result}


def failed(**data: object) -> dict[str, object]:
    return {"event": "runner_on_failed", "event_data": data}


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
    assert progress.event(begin("open"), 101.0) == ["[   0:01] open         started"]
    assert progress.event(end("open"), 111.0) == ["[   0:11] open         ok       0:10"]
    assert progress.event(begin("sync"), 111.0) == ["[   0:11] sync         started"]
    assert progress.event(end("sync"), 171.0) == ["[   1:11] sync         ok       1:00"]
    assert progress.part is None
    assert progress.seconds == {"open": 10.0, "sync": 60.0}


def test_a_part_that_comes_twice_took_as_long_as_both():
    progress = Progress(began=0.0)
    for start in (0.0, 10.0):
        progress.event(begin("open"), start)
        progress.event(end("open"), start + 3)
    assert progress.seconds == {"open": 6.0}


def test_the_last_good_run_says_what_to_expect():
    progress = Progress(began=0.0, expected={"open": 2.0, "packages": 100.0, "iso": 20.0})
    # What is over in a moment is not announced.
    assert progress.event(begin("open"), 1.0) == []
    progress.event(end("open"), 3.0)
    assert progress.event(begin("packages"), 3.0)[-1].endswith("started (last time 1:40)")
    assert progress.remaining(13.0) == 90.0 + 20.0
    assert progress.tick(63.0) == [
        "[   1:03] packages     running 1:00 of about 1:40; about 1:00 to the end"
    ]
    assert progress.tick(20.0) == []
    # Longer than expected: the rest of the build is still to come.
    assert progress.remaining(500.0) == 20.0
    assert progress.event(end("packages"), 203.0)[0].endswith("3:20 (last time 1:40)")
    assert progress.remaining(203.0) == 20.0


def test_a_first_run_promises_nothing():
    progress = Progress(began=0.0)
    progress.event(begin("packages"), 0.0)
    assert progress.remaining(9.0) is None
    assert progress.tick(60.0) == ["[   1:00] packages     running 1:00"]


def test_a_part_that_goes_on_is_told_of_after_half_a_minute():
    progress = Progress(began=100.0, expected={"packages": 40.0})
    assert (progress.tick(199.0), progress.part_began) == ([], 100.0)
    progress.event(begin("packages"), 100.0)
    assert progress.tick(129.9) == []
    assert progress.tick(130.0) == [
        "[   0:30] packages     running 0:30 of about 0:40; about 0:10 to the end"
    ]
    # As long as it ever took: nobody knows any more.
    assert progress.tick(140.0) == ["[   0:40] packages     running 0:40 of about 0:40"]


def test_a_part_that_the_last_run_did_not_have_promises_nothing():
    progress = Progress(began=0.0, expected={"open": 2.0})
    progress.event(begin("new"), 0.0)
    assert progress.remaining(0.0) == 2.0


def test_what_took_five_seconds_is_announced():
    progress = Progress(began=0.0, expected={"open": 5.0, "sync": 4.9})
    assert progress.event(begin("open"), 0.0) == ["[   0:00] open         started (last time 0:05)"]
    assert len(progress.event(begin("sync"), 6.0)) == 1


def test_before_the_first_part_all_of_them_are_to_come():
    progress = Progress(began=0.0, expected={"open": 2.0, "sync": 3.0})
    assert progress.remaining(9.0) == 5.0
    assert progress.finish_part(9.0) == []
    progress.event(begin("open"), 9.0)
    assert progress.finish_part(10.0)[0].split()[2:4] == ["open", "ok"]


@pytest.mark.parametrize("result", ["failed", "timeout", "skipped", "degraded"])
def test_a_part_is_shown_as_it_ended(result):
    progress = Progress(began=0.0)
    progress.event(begin("images"), 0.0)
    assert f" {result} " in progress.event(end("images", result), 6.0)[0]


def test_a_part_that_did_not_say_how_it_ended_has_failed():
    """Its module was killed; the report that comes next is no word in its favour."""
    progress = Progress(began=0.0)
    progress.event(begin("sync"), 0.0)
    lines = progress.event(begin("report"), 6.0)
    assert [line.split()[2:4] for line in lines] == [["sync", "failed"], ["report", "started"]]


def test_the_end_of_another_part_ends_nothing():
    progress = Progress(began=0.0)
    progress.event(begin("sync"), 0.0)
    assert progress.event(end("open"), 1.0) == []
    assert progress.part == "sync"


def test_the_first_failed_task_is_kept():
    progress = Progress(began=0.0)
    progress.task_failed(failed(ignore_errors=True, res={"msg": "that is as it should be"}))
    assert progress.first_error is None
    progress.task_failed(failed(res={"msg": "the manifest\n does not answer"}))
    progress.task_failed(failed(res={"msg": "End as the build did"}))
    assert progress.first_error == "the manifest does not answer"
    progress = Progress(began=0.0)
    progress.task_failed({"event": "runner_on_failed"})
    assert progress.first_error == "a task failed without saying why"


def test_the_build_id_is_said():
    progress = Progress(began=0.0)
    build = {"event": "build", "id": "master/sample/20261101T020000Z"}
    assert progress.event(build, 1.0) == ["[   0:01] build master/sample/20261101T020000Z"]
    assert progress.build_id == "master/sample/20261101T020000Z"


def test_a_note_is_said_within_its_part():
    progress = Progress(began=0.0)
    progress.event(begin("publish"), 0.0)
    note = {"event": "note", "text": "the mirror does not answer, tried again in 10 s"}
    assert progress.event(note, 61.0) == [f"[   1:01] {note['text']}"]
    assert progress.part == "publish"


@pytest.mark.parametrize(
    ("result", "words"),
    [
        ({"msg": "no room"}, "no room"),
        ({"msg": ["a", "b"]}, "a; b"),
        ({"msg": "", "stderr": "cat: x\n"}, "cat: x"),
        ({}, "a task failed without saying why"),
        ({"msg": "items failed", "results": [{}, {"failed": True, "msg": "no room"}]}, "no room"),
        ({"msg": "items failed", "results": [{"failed": False, "msg": "fine"}]}, "items failed"),
        ({"msg": "items failed", "results": "none"}, "items failed"),
        ({"msg": "x" * 1001}, "x" * 1000),
        ({"stderr": " ", "stdout": "no room"}, "no room"),
        ({"exception": "Traceback"}, "Traceback"),
        ({"msg": "non-zero return code", "stderr": "df: /x: no such file"}, "df: /x: no such file"),
    ],
)
def test_a_failed_task_says_why_in_one_line(result, words):
    assert failure_text(result) == words
