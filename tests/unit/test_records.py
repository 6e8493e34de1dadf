"""build.json: made, grown, closed, checked, and described by a schema that means what it says."""

from __future__ import annotations

import copy
from datetime import timedelta

import jsonschema
import pytest

from stxmirror import records, schema
from stxmirror.errors import StxMirrorError

MANIFEST = {"url": "https://example.org/m.git", "file": "default.xml", "branch": "f/x"}


def stage(name="packages", result="ok", **changes):
    return {
        "name": name,
        "command": ["build-pkgs", "--std"],
        "result": result,
        "started": "2026-11-22T03:00:00Z",
        "finished": "2026-11-22T03:01:00Z",
        "seconds": 60,
        "cpu_seconds": 100.5,
        "peak_memory_bytes": 1,
        "exit_code": 0,
        "attempts": 1,
        "log": f"outputs/logs/{name}.log",
        **changes,
    }


@pytest.fixture
def record(now):
    return records.new_record(
        "feature/x/sample/20261122T030000Z",
        stream="features",
        ref="f/x",
        profile="sample",
        manifest=MANIFEST,
        reason="asked for",
        trigger="person",
        started=now,
    )


def refusal_of(record, **options) -> str:
    with pytest.raises(StxMirrorError) as refusal:
        records.check(record, **options)
    return str(refusal.value)


def test_a_new_record_is_a_failure_until_it_is_closed(record, now):
    assert record["result"] == "fail"
    assert (record["identifier"], record["distro"], record["layer"]) == (
        "feature/x",
        "sample",
        None,
    )
    assert record["packages"] == {"built": 0, "reused": 0}
    assert records.check(record, finished=False) == record
    assert "close the record first" in refusal_of(record)
    closed = records.close(record, result="success", finished=now + timedelta(minutes=9))
    assert (closed["result"], closed["finished"]) == ("success", "2026-11-22T03:09:00Z")


def test_stages_grow_a_record_and_leave_the_old_one_alone(record):
    before = copy.deepcopy(record)
    first = records.add_stage(record, stage())
    second = records.add_stage(first, stage("images", "degraded"), missing="container images")
    third = records.add_stage(second, stage("iso", "timeout"))
    assert record == before
    assert len(first["stages"]) == 1
    assert second["missing"] == ["container images"]
    assert (second["failed_stage"], third["failed_stage"]) == (None, "iso")
    fourth = records.add_stage(third, stage("helm", "failed"))
    assert fourth["failed_stage"] == "iso"
    unnamed = records.add_stage(first, stage("images", "degraded"))
    assert unnamed["missing"] == ["what stage images yields"]


def test_a_failed_build_keeps_the_end_of_its_log(record, now):
    failed = records.add_stage(record, stage(result="failed", exit_code=2))
    closed = records.close(
        failed, result="fail", finished=now, excerpt=[f"line {n}" for n in range(99)] + ["x" * 5000]
    )
    assert len(closed["excerpt"]) == records.EXCERPT_LINES
    assert closed["excerpt"][0] == "line 70"
    assert len(closed["excerpt"][-1]) == 1000
    assert closed["failed_stage"] == "packages"


def test_a_failure_outside_the_stages_is_named(record, now):
    closed = records.close(record, result="fail", finished=now, failed_stage="source-sync")
    assert closed["failed_stage"] == "source-sync"


def test_a_failed_stage_makes_no_success(record, now):
    failed = records.add_stage(record, stage(result="failed"))
    with pytest.raises(StxMirrorError, match="success with a failed stage"):
        records.close(failed, result="success", finished=now)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"result": "ok"}, "result is 'ok', not one of success, fail"),
        ({"schema": 2}, "schema is 2, not 1"),
        ({"schema": True}, "schema is True, not 1"),
        ({"id": "../../x"}, "id is '../../x'"),
        ({"id": "master/debian/20261120T020000Z"}, "not those of the id"),
        ({"id": "master/sample/20261320T020000Z"}, "20261320T020000Z"),
        ({"finished": "2026-11-20T01:00:00Z"}, "finished before it started"),
        ({"finished": None}, "close the record first"),
        ({"parent": "x"}, "parent"),
        ({"parent": "master/sample/20261320T020000Z"}, "20261320T020000Z"),
        ({"previous_good": "master/sample/20261320T020000Z"}, "20261320T020000Z"),
        ({"failed_stage": "iso"}, "a success with a failed stage (iso)"),
        ({"stages": [stage(result="failed")]}, "a success with a failed stage (packages)"),
        ({"excerpt": ["x"] * 31}, "more than 30"),
        ({"stages": [stage(), stage()]}, "a stage is listed twice"),
        ({"stages": [{**stage(), "host": "x"}]}, "stages[0].host is not known here"),
        ({"stages": [{**stage(), "seconds": -1}]}, "stages[0].seconds is below 0"),
        ({"stages": [{**stage(), "name": "x\n"}]}, "stages[0].name"),
        ({"artifacts": {"../x": {"files": 1, "bytes": 1}}}, "artifacts"),
        ({"iso": {"path": "x", "size": 1, "sha256": "abc"}}, "iso.sha256"),
        ({"hostname": "yow7"}, "hostname is not known here"),
        ({"missing": "images"}, "missing is 'images', not a list"),
    ],
)
def test_a_mistake_is_named(good_record, changes, said):
    assert said in refusal_of({**good_record, **changes})


def test_every_mistake_is_in_one_error(good_record):
    del good_record["reason"]
    message = refusal_of({**good_record, "result": "x", "trigger": "y"})
    for part in ("reason is missing", "result is 'x'", "trigger is 'y'", good_record["id"]):
        assert part in message


@pytest.mark.parametrize("value", [None, [], "x", 7])
def test_what_is_no_record_is_refused(value):
    assert "not a JSON object" in refusal_of(value)


def test_a_failure_with_a_stage_listed_twice_is_closed_all_the_same(record, now):
    twice = {**record, "stages": [stage(), stage()], "failed_stage": "iso"}
    closed = records.close(twice, result="fail", finished=now, excerpt=["no rule"])
    assert (closed["stages"], closed["failed_stage"]) == ([], "iso")
    assert closed["excerpt"][0] == "no rule"
    assert "stages was not valid" in closed["excerpt"][-1]
    with pytest.raises(StxMirrorError, match="listed twice"):
        records.close(twice, result="success", finished=now)


@pytest.mark.parametrize(
    ("part", "value", "nothing"),
    [
        ("packages", {"built": -1, "reused": 3}, {"built": 0, "reused": 0}),
        ("changes", [{"path": "a\fb"}], []),
        ("iso", {"path": "x"}, None),
        ("sanity", "none", {}),
    ],
)
def test_what_is_not_valid_of_a_failure_is_left_out_and_named(record, now, part, value, nothing):
    closed = records.close({**record, part: value}, result="fail", finished=now)
    assert closed[part] == nothing
    assert closed["excerpt"] == [f"(what the record had as {part} was not valid and is left out)"]


@pytest.mark.parametrize("result", ["success", "fail"])
def test_a_clock_that_was_set_back_does_not_matter(record, now, result):
    closed = records.close(record, result=result, finished=now - timedelta(days=9))
    assert closed["finished"] == closed["started"]


@pytest.mark.parametrize("space", ["\x0c", "\r", "\n", "\u0085", "\u2028", "\x1b", "\u202e", "\0"])
def test_a_line_of_a_log_is_one_line_in_the_record(record, now, space):
    closed = records.close(record, result="fail", finished=now, excerpt=[f"a{space}b"])
    assert closed["excerpt"] == ["a b"]


def test_the_example_is_valid(good_record):
    validator = jsonschema.Draft202012Validator(schema.load("build-1"))
    assert [error.message for error in validator.iter_errors(good_record)] == []
    assert records.check(good_record) == good_record
