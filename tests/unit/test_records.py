"""build.json: made, grown, closed, checked, and described by a schema that means what it says."""

from __future__ import annotations

import copy
from datetime import timedelta

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stxmirror import records, schema
from stxmirror.errors import StxMirrorError

MANIFEST = {"url": "https://example.org/m.git", "file": "default.xml", "branch": "f/x"}
SCHEMAS = ("build-1", "builds-1")


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


def test_what_stages_are_expected_to_take(good_record):
    assert records.expected_seconds(good_record) == {"packages": 240.5}
    assert records.expected_seconds(None) == {}


@pytest.mark.parametrize("name", SCHEMAS)
def test_schemas_are_schemas_and_use_known_keywords_only(name):
    loaded = schema.load(name)
    jsonschema.Draft202012Validator.check_schema(loaded)

    def keywords(part, *, names_of_members=False):
        if isinstance(part, list):
            return set().union(*(keywords(item) for item in part)) if part else set()
        if not isinstance(part, dict):
            return set()
        found = set() if names_of_members else set(part)
        for key, value in part.items():
            named = not names_of_members and key in ("properties", "$defs")
            found |= keywords(value, names_of_members=named)
        return found

    assert keywords(loaded) <= schema.KEYWORDS


def places_in(value, path=()):
    """Every place in a JSON value, the root included."""
    yield path
    if isinstance(value, dict):
        for key in value:
            yield from places_in(value[key], (*path, key))
    elif isinstance(value, list):
        for index in range(len(value)):
            yield from places_in(value[index], (*path, index))


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2),
    st.floats(-2, 2, allow_nan=False),
    st.text(max_size=5),
    st.sampled_from(
        [
            *([], {}, "ok", "a" * 40, "a" * 64, "2026-11-20T02:00:00Z", "x\n", ["x"] * 31),
            *({"files": 1.0, "bytes": 1}, "master/sample/20261120T020000Z", "a" * 2000),
        ]
    ),
)


# The fixture is the same every time and is only copied.
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_our_checker_agrees_with_the_real_one(data, good_record):
    mutated = copy.deepcopy(good_record)
    for _ in range(data.draw(st.integers(0, 3))):
        *path, last = data.draw(st.sampled_from([p for p in places_in(mutated) if p]))
        parent = mutated
        for step in path:
            parent = parent[step]
        action = data.draw(st.sampled_from(["replace", "remove", "add"]))
        if action == "replace":
            parent[last] = data.draw(JUNK)
        elif action == "remove":
            del parent[last]
        elif isinstance(parent, dict):
            parent[data.draw(st.sampled_from(["extra", "outputs/iso", "name", "x y"]))] = data.draw(
                JUNK
            )
    ours = schema.problems(mutated, schema.load("build-1"))
    theirs = jsonschema.Draft202012Validator(schema.load("build-1")).is_valid(mutated)
    assert (not ours) == theirs, ours


def test_the_example_is_valid(good_record):
    validator = jsonschema.Draft202012Validator(schema.load("build-1"))
    assert [error.message for error in validator.iter_errors(good_record)] == []
    assert records.check(good_record) == good_record
