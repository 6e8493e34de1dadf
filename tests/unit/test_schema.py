"""The schemas, the checker that they become, and what it says of values from strangers."""

from __future__ import annotations

import copy
import dataclasses
import re
import time
from pathlib import Path

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import stxmirror
from stxmirror import profiles, schema, streams
from stxmirror.controller.request import Request

SCHEMAS = sorted(
    path.name[: -len(".schema.json")]
    for path in (Path(stxmirror.__file__).parent / "schemas").glob("*.schema.json")
)
TIME = "2026-11-20T02:00:00Z"
RUN = "20261120T020000Z-0a1b2c"
ID = "master/sample/20261120T020000Z"

PROFILE = {
    "name": "sample",
    "description": "x",
    "environment": {"A": "1"},
    "stages": [
        {
            "name": "packages",
            "command": ["build-pkgs", 2],
            "time_limit": 60,
            "yields": [{"from": "a/*.rpm", "type": "outputs/RPMS", "phase": "std"}],
            "on_failure": "degrade",
            "missing": "packages",
        }
    ],
    "iso": {
        "from": "x.iso",
        "memory_mb": 1,
        "disk_gb": 1,
        "markers": {"boot": "a", "install": "b", "installed": "c"},
        "time_limit": 1,
    },
    "reuse": ["std/**"],
    "max_gb": 3,
}
STATUS = {
    "schema": 1,
    "ref": "master",
    "last_attempt": {
        "request": RUN,
        "id": ID,
        "parent": None,
        "reason": "nightly",
        "trigger": "cron",
        "started": TIME,
        "finished": TIME,
        "result": "fail",
        "failed_stage": "iso",
        "why": "no kernel",
        "missing": ["charts"],
        "published": True,
        "unpublished_why": "",
    },
    "last_success": {"id": ID, "finished": TIME},
}
REQUEST = {
    "token": RUN,
    "started": TIME,
    "verb": "build",
    "ref": "master",
    "reason": "x",
    "trigger": "person",
    "force": False,
    "resume_id": "",
    "from_stage": "",
    "build_id": "",
}


@pytest.fixture
def examples(make_stream, good_record):
    """A valid value of each schema that something is read by."""
    return {
        "build-1": good_record,
        "profile-1": PROFILE,
        "request-1": REQUEST,
        "status-1": STATUS,
        "stream-1": make_stream(schedule="0 2 * * *", layer="flock"),
    }


def properties_of(part):
    """Every property that a schema describes, as (name, description of it)."""
    if isinstance(part, list):
        for item in part:
            yield from properties_of(item)
    elif isinstance(part, dict):
        yield from part.get("properties", {}).items()
        for key, value in part.items():
            inner = value.values() if key in ("properties", "$defs") else [value]
            for item in inner:
                yield from properties_of(item)


@pytest.mark.parametrize("name", SCHEMAS)
def test_schemas_are_schemas_that_the_checker_knows_whole(name):
    """A keyword that the checker does not know would never be checked."""
    loaded = schema.load(name)
    jsonschema.Draft202012Validator.check_schema(loaded)
    assert loaded["$id"].endswith(f"/{name}.schema.json")
    assert schema.rules(name)["type"] == "object"


@pytest.mark.parametrize("keyword", ["prefixItems", "pattren", "dependentRequired"])
def test_a_keyword_that_nothing_checks_is_refused(monkeypatch, keyword):
    monkeypatch.setattr(schema, "load", lambda name: {"properties": {"a": {keyword: {}}}})
    with pytest.raises(TypeError, match=keyword):
        schema.rules("x")


@pytest.mark.parametrize("name", SCHEMAS)
def test_defaults_and_examples_are_values_that_the_schema_takes(name):
    loaded = schema.load(name)
    for key, part in properties_of(loaded):
        merged = {**part, "$defs": loaded.get("$defs", {})}
        for value in [*part.get("examples", []), *([part["default"]] if "default" in part else [])]:
            jsonschema.Draft202012Validator(merged).validate(value)
            assert key


@pytest.mark.parametrize(
    ("name", "kind"),
    [("stream-1", streams.Stream), ("request-1", Request), ("profile-1", profiles.Profile)],
)
def test_the_objects_have_the_keys_of_the_schema(name, kind):
    """One entry of the schema is one key: a field that is missing here is a key nobody can read."""
    names = {field.name for field in dataclasses.fields(kind)}
    assert names == set(schema.load(name)["properties"])


@pytest.mark.parametrize(
    ("part", "kind"),
    [("stage", profiles.Stage), ("yield", profiles.Yield), ("iso", profiles.IsoChecks)],
)
def test_the_parts_of_a_profile_have_the_keys_of_the_schema(part, kind):
    names = {field.name.replace("source", "from") for field in dataclasses.fields(kind)}
    assert names == set(schema.load("profile-1")["$defs"][part]["properties"])


@pytest.mark.parametrize("name", ["stream-1", "profile-1"])
def test_what_is_not_required_has_a_default(name):
    """Or an object could not be made of what people leave out."""
    loaded = schema.load(name)
    for part in (loaded, *(loaded.get("$defs", {}).get(key, {}) for key in ("stage", "iso"))):
        for key, member in part.get("properties", {}).items():
            target = loaded["$defs"][member["$ref"].rpartition("/")[2]] if "$ref" in member else {}
            assert key in part["required"] or "default" in {**target, **member}, key


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
    st.integers(-2, 31),
    st.floats(-2, 2, allow_nan=False),
    st.text(max_size=5),
    st.sampled_from(
        [
            *([], {}, "ok", "a" * 40, "a" * 300, TIME, f"{TIME}\n", RUN, f"{ID}\n", ID, ["x"]),
            *({"files": 1.0, "bytes": 1}, {"days": 1, "forever": True}, {"A": True}, "end"),
        ]
    ),
)


def whole_pattern(validator, pattern, value, rule):
    """Yield an error as ECMA 262 decides, where `$` is the end and not the place before a newline.

    JSON Schema means that dialect, and jsonschema's own check is Python's.
    """
    if isinstance(value, str) and not re.search(pattern.replace("$", r"\Z"), value):
        yield jsonschema.ValidationError(f"{value!r} does not match {pattern!r}")


Reference = jsonschema.validators.extend(
    jsonschema.Draft202012Validator, {"pattern": whole_pattern}
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_the_checker_decides_as_the_reference_does(data, examples):
    name = data.draw(st.sampled_from(sorted(examples)))
    mutated = copy.deepcopy(examples[name])
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
            parent[data.draw(st.sampled_from(["extra", "name", "x y", "{x}"]))] = data.draw(JUNK)
    if not mutated:
        return
    loaded = schema.load(name)
    ours = schema.problems(mutated, loaded)
    theirs = Reference(loaded).is_valid(mutated)
    assert (not ours) == theirs, ours
    assert len(ours) == len(set(ours))


@pytest.mark.parametrize("name", ["0\n", "sample\n", "\n"])
def test_the_reference_overlooks_no_line_break_at_the_end(name):
    loaded = schema.load("profile-1")
    assert schema.problems({**PROFILE, "name": name}, loaded)
    assert not Reference(loaded).is_valid({**PROFILE, "name": name})


def test_every_example_is_valid(examples):
    for name, value in examples.items():
        assert schema.problems(value, schema.load(name)) == [], name


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"last_success": {"id": 3}}, ["last_success.finished is missing", "last_success.id is 3"]),
        ({"ref": ""}, ["ref is empty"]),
        ({"ref": "x" * 201}, ["ref is longer than 200 characters"]),
        ({"schema": 2}, ["schema is 2, not 1"]),
        ({"schema": True}, ["schema is True, not 1"]),
        ({"last_attempt": []}, ["last_attempt is [], not null or a mapping"]),
        ({"last_attempt": {**STATUS["last_attempt"], "parent": ""}}, ["last_attempt.parent is ''"]),
        (
            {"last_attempt": {**STATUS["last_attempt"], "result": "ok"}},
            ["last_attempt.result is 'ok', not one of success, fail, nothing-new"],
        ),
        (
            {"last_attempt": {**STATUS["last_attempt"], "missing": ["a", "", 3]}},
            ["last_attempt.missing[1] is empty", "last_attempt.missing[2] is 3, not text"],
        ),
    ],
)
def test_every_problem_is_named_with_its_place(changes, told):
    found = schema.problems({**STATUS, **changes}, schema.load("status-1"))
    assert len(found) == len(told)
    for sentence in told:
        assert any(problem.startswith(sentence) for problem in found), found


@pytest.mark.parametrize(
    "key",
    ["{x}", "{0.__class__}", "a\nb", 'a"b', "\x1b[31m", "data", "", "x" * 100_000, "%s", "'", "\\"],
)
def test_a_key_from_a_stranger_is_shown_and_nothing_more(good_record, key):
    good_record["artifacts"][key] = {"files": -1, "bytes": float("nan"), key: 1}
    found = schema.problems(good_record, schema.load("build-1"))
    assert found
    for problem in found:
        assert problem.isprintable()
        assert len(problem) < 1000


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_what_json_has_no_word_for_is_refused(good_record, number):
    """JSON of it would be none to readers of the mirror's index."""
    good_record["stages"][0]["seconds"] = number
    (problem,) = [
        problem
        for problem in schema.problems(good_record, schema.load("build-1"))
        if "which is not a number" in problem
    ]
    assert problem.startswith("stages[0].seconds is ")


def test_a_value_that_is_nested_without_end_is_refused_with_a_sentence(good_record):
    nested: list = []
    for _ in range(50_000):
        nested = [nested]
    for place in ("id", "extra", "missing"):
        found = schema.problems({**good_record, place: nested}, schema.load("build-1"))
        assert any(place in problem for problem in found)


def patterns_of(part):
    """Every pattern in a schema."""
    if isinstance(part, dict):
        if isinstance(part.get("pattern"), str):
            yield part["pattern"]
        for value in part.values():
            yield from patterns_of(value)
    elif isinstance(part, list):
        for item in part:
            yield from patterns_of(item)


ALL_PATTERNS = sorted({found for name in SCHEMAS for found in patterns_of(schema.load(name))})
# Any visible character, or all of a value: what is described by its whole form begins and ends so.
UNANCHORED = {"[^\\s]"}


@pytest.mark.parametrize("pattern", ALL_PATTERNS)
def test_a_pattern_means_the_whole_value(pattern):
    assert pattern in UNANCHORED or (pattern.startswith("^") and pattern.endswith("$"))
    assert "|" not in re.sub(r"\(.*\)|\[.*?\]", "", pattern)


@pytest.mark.parametrize("pattern", ALL_PATTERNS)
def test_no_value_makes_a_pattern_slow(pattern):
    """build.json comes from a stranger, and a long name must not stop the mirror."""
    compiled = re.compile(pattern.replace("$", r"\Z"))
    pieces = ["a", "a-", "0", "/", "a/", "outputs/", "A", "-", ".", "a.xml", "ssh://", "aA0", " "]
    for piece in pieces:
        for end in ("", "\n", "\0", "/20261120T020000"):
            value = piece * (20_000 // len(piece)) + end
            began = time.process_time()
            compiled.search(value)
            assert time.process_time() - began < 1, (piece, end)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        *(("status-1", ("last_success", key)) for key in ("id", "finished")),
        *(("status-1", ("last_attempt", key)) for key in ("request", "id", "started")),
        *(("request-1", (key,)) for key in ("token", "started")),
        *(("stream-1", (key,)) for key in ("name", "profile")),
        *(("stream-1", ("manifest", key)) for key in ("url", "file")),
        *(("profile-1", ("name",)), ("profile-1", ("stages", 0, "name"))),
        *(("build-1", (key,)) for key in ("id", "started", "distro", "profile")),
    ],
)
def test_a_line_break_at_the_end_is_not_overlooked(examples, name, path):
    value = copy.deepcopy(examples[name])
    parent = value
    for step in path[:-1]:
        parent = parent[step]
    parent[path[-1]] += "\n"
    assert schema.problems(value, schema.load(name))


def test_defaults_are_filled_in_at_every_depth_and_what_is_given_stays(make_stream):
    loaded = schema.load("profile-1")
    value = {"stages": [{"retries": 3.0}, {"yields": [{}]}], "iso": {}, "max_gb": None}
    whole = schema.completed(value, loaded)
    assert whole["environment"] == {}
    assert [stage["retries"] for stage in whole["stages"]] == [3, 0]
    assert isinstance(whole["stages"][0]["retries"], int)
    assert whole["stages"][1]["yields"] == [{"phase": None}]
    assert whole["iso"] == {"failure_markers": []}
    # No two share a default, and none is that of the schema itself.
    whole["stages"][0]["log_files"].append("x")
    assert schema.completed(value, loaded)["stages"][0]["log_files"] == []
    assert whole["stages"][1]["log_files"] == []
    assert value == {"stages": [{"retries": 3.0}, {"yields": [{}]}], "iso": {}, "max_gb": None}
