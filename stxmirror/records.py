"""build.json, the one record of a build: making it, growing it, closing it, checking it.

Every function returns a new record; none changes the one it is given. A record says ``fail`` from
its first moment until :func:`close` says otherwise, so that a crash can never look like a
success.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from stxmirror import schema
from stxmirror.errors import StxMirrorError
from stxmirror.layout import BuildId
from stxmirror.times import format_time, parse_time

SCHEMA_NAME = "build-1"
EXCERPT_LINES = 30
_EXCERPT_LINE_MAX = 1000
# Results after which the build goes on.
PASSING = frozenset({"ok", "skipped", "degraded"})


def new_record(
    build_id: str,
    *,
    stream: str,
    ref: str,
    profile: str,
    manifest: Mapping[str, str | None],
    reason: str,
    trigger: str,
    started: datetime,
    parent: str | None = None,
    from_stage: str | None = None,
    previous_good: str | None = None,
) -> dict[str, Any]:
    """Return the record of a build that has just begun; its result is ``fail``.

    ``manifest`` has ``url``, ``file`` and ``branch``, and ``revision`` once it is known.
    """
    parts = BuildId.parse(build_id)
    return {
        "schema": 1,
        "id": str(parts),
        "stream": stream,
        "ref": ref,
        "identifier": parts.identifier,
        "distro": parts.distro,
        "layer": parts.layer,
        "profile": profile,
        "manifest": {"revision": None, **manifest},
        "reason": reason,
        "trigger": trigger,
        "parent": parent,
        "from_stage": from_stage,
        "started": format_time(started),
        "finished": None,
        "result": "fail",
        "missing": [],
        "failed_stage": None,
        "excerpt": [],
        "stages": [],
        "artifacts": {},
        "iso": None,
        "images": [],
        "sanity": {},
        "changes": [],
        "previous_good": previous_good,
        "packages": {"built": 0, "reused": 0},
    }


def add_stage(
    record: Mapping[str, Any], stage: Mapping[str, Any], missing: str | None = None
) -> dict[str, Any]:
    """Return the record with one more stage.

    ``missing`` names what the build lacks if the stage is ``degraded``. A stage that failed or ran
    out of time becomes the record's ``failed_stage``.
    """
    grown = {**record, "stages": [*record["stages"], dict(stage)]}
    if stage["result"] == "degraded":
        grown["missing"] = [*record["missing"], missing or f"what stage {stage['name']} yields"]
    elif stage["result"] not in PASSING and record["failed_stage"] is None:
        grown["failed_stage"] = stage["name"]
    return grown


def close(
    record: Mapping[str, Any],
    *,
    result: str,
    finished: datetime,
    failed_stage: str | None = None,
    excerpt: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the finished record, checked.

    ``failed_stage`` is for a failure outside the stages (``sync``, ``sanity``); of a long
    ``excerpt`` the last lines count, because that is where a log says what went wrong.
    """
    closed = {**record, "result": result, "finished": format_time(finished)}
    if failed_stage is not None:
        closed["failed_stage"] = failed_stage
    if excerpt:
        closed["excerpt"] = [line[:_EXCERPT_LINE_MAX] for line in excerpt[-EXCERPT_LINES:]]
    return check(closed)


def check(record: Mapping[str, Any], *, finished: bool = True) -> dict[str, Any]:
    """Return the record as a plain mapping, or raise one error that names every problem.

    With ``finished`` the record must be that of a build that has ended.
    """
    if not isinstance(record, Mapping):
        raise StxMirrorError("build.json is not a JSON object")
    found = schema.problems(record, schema.load(SCHEMA_NAME))
    if not found:
        found = _contradictions(record, finished)
    if found:
        raise StxMirrorError(f"build.json of {record.get('id', '?')!r}: {'; '.join(found)}")
    return dict(record)


def _contradictions(record: Mapping[str, Any], finished: bool) -> list[str]:
    found = []
    try:
        parts = BuildId.parse(record["id"])
        named = (record["identifier"], record["distro"], record["layer"])
        if (parts.identifier, parts.distro, parts.layer) != named:
            found.append("identifier, distro and layer are not those of the id")
        for key in ("parent", "previous_good"):
            if record[key] is not None:
                BuildId.parse(record[key])
        started = parse_time(record["started"])
        ended = None if record["finished"] is None else parse_time(record["finished"])
    except StxMirrorError as problem:
        return [str(problem)]
    if finished and ended is None:
        found.append("finished is missing: close the record first")
    if ended is not None and ended < started:
        found.append("it finished before it started")
    names = [stage["name"] for stage in record["stages"]]
    if len(names) != len(set(names)):
        found.append("a stage is listed twice")
    if record["result"] == "success":
        bad = [stage["name"] for stage in record["stages"] if stage["result"] not in PASSING]
        if bad or record["failed_stage"] is not None:
            found.append(
                f"it is a success with a failed stage ({record['failed_stage'] or bad[0]})"
            )
    return found


def expected_seconds(record: Mapping[str, Any] | None) -> dict[str, float]:
    """Return how long each stage of a (good) build took, for the progress of the next one."""
    if record is None:
        return {}
    return {
        stage["name"]: float(stage["seconds"])
        for stage in record["stages"]
        if stage["result"] == "ok"
    }
