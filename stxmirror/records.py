"""build.json, the one record of a build: making it, growing it, closing it, checking it.

Every function returns a new record; none changes the one it is given. A record says ``fail`` from
its first moment until :func:`close` says otherwise, so that a crash can never look like a
success.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Optional, TypedDict, cast

from stxmirror import schema
from stxmirror.errors import StxMirrorError
from stxmirror.layout import BuildId
from stxmirror.times import format_time, parse_time

SCHEMA_NAME = "build-1"
EXCERPT_LINES = 30
_EXCERPT_LINE_MAX = 1000
# Results after which the build goes on.
PASSING = frozenset({"ok", "skipped", "degraded"})


class Manifest(TypedDict):
    """What the sources came from; ``revision`` is null until they were fetched."""

    url: str
    file: str
    branch: str
    revision: str | None


class StageRun(TypedDict):
    """What one stage did. Lengths of time are seconds, sizes bytes."""

    name: str
    command: list[str]
    result: str
    started: str | None
    finished: str | None
    seconds: float
    cpu_seconds: float
    peak_memory_bytes: int
    exit_code: int | None
    attempts: int
    log: str | None


class Commit(TypedDict):
    """One commit of a change."""

    sha: str
    subject: str


# By a call, because one of its keys is a keyword.
Change = TypedDict(
    "Change",
    {"path": str, "from": Optional[str], "to": Optional[str], "commits": list[Commit]},
)


class Verdict(TypedDict, total=False):
    """How one check of the ISO ended."""

    result: str
    seconds: float
    detail: str
    attempts: int


class Total(TypedDict):
    """Number and size of the artifacts of one type and phase."""

    files: int
    bytes: int


class Iso(TypedDict):
    """The ISO of a build: its path in the tree, bytes, and digest."""

    path: str
    size: int
    sha256: str


class Packages(TypedDict):
    """How many source packages were built, and how many taken over from an earlier build."""

    built: int
    reused: int


class BuildRecord(TypedDict):
    """``build.json``; ``schemas/build-1.schema.json`` says what each key means."""

    schema: int
    id: str
    stream: str
    ref: str
    identifier: str
    distro: str
    layer: str | None
    profile: str
    manifest: Manifest
    reason: str
    trigger: str
    parent: str | None
    from_stage: str | None
    started: str
    finished: str | None
    result: str
    missing: list[str]
    failed_stage: str | None
    excerpt: list[str]
    stages: list[StageRun]
    artifacts: dict[str, Total]
    iso: Iso | None
    images: list[str]
    sanity: dict[str, Verdict]
    changes: list[Change]
    previous_good: str | None
    packages: Packages


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
) -> BuildRecord:
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
        "manifest": cast(Manifest, {"revision": None, **manifest}),
        "reason": reason,
        "trigger": trigger,
        "parent": parent,
        "from_stage": from_stage,
        "started": str(format_time(started)),
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


def add_stage(record: BuildRecord, stage: StageRun, missing: str | None = None) -> BuildRecord:
    """Return the record with one more stage.

    ``missing`` names what the build lacks if the stage is ``degraded``. A stage that failed or ran
    out of time becomes the record's ``failed_stage``.
    """
    grown = record.copy()
    grown["stages"] = [*record["stages"], stage]
    if stage["result"] == "degraded":
        grown["missing"] = [*record["missing"], missing or f"what stage {stage['name']} yields"]
    elif stage["result"] not in PASSING and record["failed_stage"] is None:
        grown["failed_stage"] = stage["name"]
    return grown


def close(
    record: BuildRecord,
    *,
    result: str,
    finished: datetime,
    failed_stage: str | None = None,
    excerpt: Sequence[str] = (),
) -> BuildRecord:
    """Return the finished record, checked.

    ``failed_stage`` is for a failure outside the stages (``sync``, ``sanity``); of a long
    ``excerpt`` the last lines count, because that is where a log says what went wrong. A clock that
    was set back during the build does not make it end before it began.

    A failure is always closed, whatever the record holds: what is not valid of the parts that
    describe the build is left out, and the excerpt says so. A success that is not valid is refused.
    """
    closed = record.copy()
    closed["result"] = result
    closed["finished"] = format_time(max(finished, parse_time(record["started"])))
    if failed_stage is not None:
        closed["failed_stage"] = failed_stage
    if excerpt:
        closed["excerpt"] = [clean_line(line) for line in excerpt[-EXCERPT_LINES:]]
    if result == "fail":
        closed = _without_invalid_parts(closed)
    return check(closed)


def clean_line(line: str) -> str:
    """Return a line of a log as a record may hold it: printable, and not too long."""
    shown = "".join(c if c.isprintable() else " " for c in line)
    return shown[:_EXCERPT_LINE_MAX]


def _without_invalid_parts(record: BuildRecord) -> BuildRecord:
    """Return the record of a failure with what its schema does not allow replaced by nothing."""
    # What tools and sources wrote; everything else this project made itself.
    empty: dict[str, Any] = {
        **{"changes": [], "images": [], "sanity": {}, "artifacts": {}, "iso": None, "missing": []},
        **{"packages": {"built": 0, "reused": 0}, "stages": [], "excerpt": []},
    }
    kept: dict[str, Any] = dict(record)
    lost = []
    rules = schema.load(SCHEMA_NAME)
    for key, nothing in empty.items():
        if schema.problems({**_VALID, key: kept.get(key)}, rules):
            kept[key] = nothing
            lost.append(key)
    if lost:
        words = f"(what the record had as {', '.join(sorted(lost))} was not valid and is left out)"
        kept["excerpt"] = [*kept["excerpt"], words][-EXCERPT_LINES:]
    return cast(BuildRecord, kept)


# A record that the schema allows, in which one key at a time is replaced to judge it alone.
_VALID: dict[str, Any] = {
    **{"schema": 1, "id": "master/sample/20261101T020000Z", "stream": "s", "ref": "master"},
    **{"identifier": "master", "distro": "sample", "layer": None, "profile": "sample"},
    "manifest": {"url": "u", "file": "f", "branch": "b", "revision": None},
    **{"reason": "r", "trigger": "person", "parent": None, "from_stage": None},
    **{"started": "2026-11-01T02:00:00Z", "finished": None, "result": "fail", "missing": []},
    **{"failed_stage": None, "excerpt": [], "stages": [], "artifacts": {}, "iso": None},
    **{"images": [], "sanity": {}, "changes": [], "previous_good": None},
    "packages": {"built": 0, "reused": 0},
}


def check(record: Mapping[str, Any], *, finished: bool = True) -> BuildRecord:
    """Return the record, or raise one error that names every problem.

    With ``finished`` the record must be that of a build that has ended.
    """
    if not isinstance(record, Mapping):
        raise StxMirrorError("build.json is not a JSON object")
    found = schema.problems(record, schema.load(SCHEMA_NAME))
    if not found:
        found = _contradictions(record, finished)
    if found:
        raise StxMirrorError(f"build.json of {record.get('id', '?')!r}: {'; '.join(found)}")
    return cast(BuildRecord, dict(record))


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
