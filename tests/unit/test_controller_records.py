"""``stx-mirror``: what it keeps of builds, and what it says of them."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from build_host import ID, NOW, record

from stxmirror import parts
from stxmirror.controller import verdict
from stxmirror.controller.inventory import load_streams
from stxmirror.controller.show import status_lines
from stxmirror.state import builds, status
from stxmirror.state.builds import close_unfinished
from stxmirror.state.files import write_json
from stxmirror.state.status import Attempt


def test_what_a_killed_build_left_is_closed_and_nothing_else(paths, good_record):
    record(paths, good_record)
    killed = {**good_record, "id": "master/sample/20261102T020000Z", "result": "fail"}
    killed.update(finished=None, failed_stage=None, started="2026-11-02T02:00:00Z")
    write_json(paths.record(killed["id"]), killed)
    other = {**killed, "id": "master/sample/flock/20261102T020000Z", "layer": "flock"}
    write_json(paths.record(other["id"]), other)
    when = datetime(2026, 11, 2, 3, 0, 0, tzinfo=timezone.utc)
    closed = close_unfinished(paths, "master/sample", why="it was killed", part="iso", now=when)
    assert closed == [killed["id"]]
    after = builds.read_record(paths, killed["id"])
    assert after["finished"] == "2026-11-02T03:00:00Z"
    assert (after["result"], after["failed_stage"]) == ("fail", "iso")
    assert after["excerpt"] == ["it was killed"]
    assert builds.read_record(paths, ID)["finished"] == good_record["finished"]
    assert builds.read_record(paths, other["id"])["finished"] is None


def test_a_clock_that_was_set_back_keeps_no_record_open(paths, good_record):
    record(paths, good_record, finished=None, failed_stage=None)
    assert close_unfinished(paths, "master/sample", why="killed", part=None, now=NOW) == [ID]
    after = builds.read_record(paths, ID)
    assert after["finished"] == after["started"] > "2026-11-01T02:00:00Z"


def test_a_record_that_cannot_be_closed_stops_no_build(paths):
    write_json(paths.record(ID), {"schema": 99, "started": 3})
    assert close_unfinished(paths, "master/sample", why="x", part=None, now=NOW) == []


def attempt(**changes):
    given = {
        "request": "20261101T020000Z-0a1b2c",
        "reason": "on request",
        "trigger": "person",
        "id": ID,
        "started": "2026-11-01T02:00:00Z",
        "finished": "2026-11-01T02:10:00Z",
        "result": "fail",
        "failed_stage": "packages",
        "why": "build-pkgs ended with exit code 1",
        "missing": [],
        "published": True,
        "unpublished_why": "",
        **changes,
    }
    return Attempt(**given)


def test_a_failure_ends_with_what_to_do_about_it(paths, good_record):
    record(paths, good_record, excerpt=["no rule to make target"])
    write_json(paths.build(ID) / "session.json", {"logs": "/localdisk/logs"})
    assert verdict.summary(paths, attempt(), "build") == [
        "FAILED after 10:00 in packages: build-pkgs ended with exit code 1",
        "  | no rule to make target",
        "  logs       /localdisk/logs",
        f"  published  {ID}/",
        f"  resume     stx-mirror build --resume {ID} --from packages",
    ]


@pytest.mark.parametrize(
    ("part", "stage"),
    [
        ("packages", "packages"),
        ("sanity", "sanity"),
        ("collect", "sanity"),
        ("open", None),
        ("publish", None),
        ("report", None),
        ("sync", None),
        (None, None),
    ],
)
def test_only_what_has_sources_is_resumed(part, stage):
    assert parts.resume_from(part) == stage


def test_a_build_that_did_not_come_to_the_mirror_says_how_to_publish_it(paths):
    done = attempt(
        result="success", failed_stage=None, why="", published=False, unpublished_why="no key"
    )
    lines = verdict.summary(paths, done, "build")
    assert lines[0] == "NOT PUBLISHED after 10:00: no key"
    assert f"  publish    stx-mirror publish {ID}" in lines


def test_a_failure_that_did_not_come_to_the_mirror_keeps_its_own_reason(paths):
    lines = verdict.summary(paths, attempt(published=False, unpublished_why="no key"), "build")
    assert "exit code 1" in lines[0]
    assert "  not published: no key" in lines


def test_a_success_says_what_it_lacks(paths):
    done = attempt(result="success", failed_stage=None, missing=["container images"])
    lines = verdict.summary(paths, done, "build")
    assert lines[0] == f"SUCCESS after 10:00: {ID}"
    assert lines[1] == "  missing    container images"


def test_status_says_what_runs_and_how_it_went(paths):
    status.write_attempt(paths, "master", "master", attempt(finished="2026-11-01T01:00:00Z"))
    write_json(
        paths.running("master"),
        {
            "verb": "build",
            "part": "packages",
            "part_started": "2026-11-01T01:58:00Z",
            "part_expected_seconds": 240.0,
            "expected_end": "2026-11-01T02:05:00Z",
            "started": "2026-11-01T01:50:00Z",
            "reason": "on schedule",
        },
    )
    lines = status_lines(paths, load_streams(paths), ["master", "f/x"], NOW)
    assert lines == [
        "master  (master/sample)",
        "  running    build, in packages for 2:00 of about 4:00, about 5:00 to the end",
        "             started 2026-11-01T01:50:00Z: on schedule",
        f"  last run   fail, 1 h ago: {ID}",
        "             packages: build-pkgs ended with exit code 1",
        "  last good  none yet",
        "f/x  (feature/x/sample)",
        "  last run   none yet",
        "  last good  none yet",
    ]
