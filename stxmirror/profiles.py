"""Profiles: how a product is built, as data, checked as a whole before anything runs.

What a profile may say is in ``schemas/profile-1.schema.json``; here is what a schema cannot say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from stxmirror import layout, schema
from stxmirror.errors import StxMirrorError

SCHEMA_NAME = "profile-1"

_IN_STAGE = re.compile(r"stages\[([0-9]+)\](?:\.(.*))?")


@dataclass(frozen=True)
class Yield:
    """What a stage made: a glob (``from`` in a profile), its artifact type, and its phase."""

    source: str
    type: str
    phase: str | None


@dataclass(frozen=True)
class Stage:
    """One step of a build. ``time_limit`` is seconds, of all attempts together."""

    name: str
    command: tuple[str, ...]
    chdir: str
    environment: Mapping[str, str]
    time_limit: int
    retries: int
    network: bool
    yields: tuple[Yield, ...]
    on_failure: str
    missing: str | None
    carries_id: bool
    log_files: tuple[str, ...]


@dataclass(frozen=True)
class IsoChecks:
    """How the ISO (``from`` in a profile) is checked. ``time_limit`` is seconds, for each check."""

    source: str
    memory_mb: int
    disk_gb: int
    markers: Mapping[str, str]
    failure_markers: tuple[str, ...]
    time_limit: int


@dataclass(frozen=True)
class Profile:
    """How one product is built; made by :func:`check_profile` alone, so that each is valid."""

    name: str
    description: str
    environment: Mapping[str, str]
    stages: tuple[Stage, ...]
    iso: IsoChecks | None
    package_reports: tuple[str, ...]
    image_lists: tuple[str, ...]
    reuse: tuple[str, ...]
    downloads: tuple[str, ...]
    max_gb: int | None

    def as_dict(self) -> dict[str, Any]:
        """Return the profile as plain JSON values, under the keys that a profile has in YAML."""
        return _as_mapping(self)


def check_profile(profile: Mapping[str, Any], roots: Sequence[str] = ()) -> Profile:
    """Return the profile with every default filled in.

    What a stage yields is named by globs relative to the workspace; an absolute one must lie
    under one of ``roots``. Raises one :class:`StxMirrorError` that names every problem.
    """
    if not isinstance(profile, Mapping):
        raise StxMirrorError("`profile` is not a mapping: write name, description and stages")
    whole = schema.plain(profile)
    found = [
        _sentence(problem, whole)
        for problem in (*schema.findings(whole, SCHEMA_NAME), *_beyond_schema(whole, roots))
    ]
    if found:
        name = whole.get("name")
        raise StxMirrorError(
            f"profile {name if isinstance(name, str) else '?'} has "
            f"{len(found)} problem{'' if len(found) == 1 else 's'}: {'; '.join(found)}"
        )
    return _profile(schema.completed(whole, schema.load(SCHEMA_NAME)))


def _profile(whole: Mapping[str, Any]) -> Profile:
    return Profile(
        **{
            **whole,
            "environment": _words(whole["environment"]),
            "stages": tuple(_stage(stage) for stage in whole["stages"]),
            "iso": None if whole["iso"] is None else _iso(whole["iso"]),
            **{key: tuple(whole[key]) for key in _GLOBS_OF_A_PROFILE},
        }
    )


def _stage(stage: Mapping[str, Any]) -> Stage:
    return Stage(
        **{
            **stage,
            "command": tuple(str(word) for word in stage["command"]),
            "environment": _words(stage["environment"]),
            "yields": tuple(
                Yield(entry["from"], entry["type"], entry["phase"]) for entry in stage["yields"]
            ),
            "log_files": tuple(stage["log_files"]),
        }
    )


def _iso(iso: Mapping[str, Any]) -> IsoChecks:
    rest = {key: value for key, value in iso.items() if key != "from"}
    return IsoChecks(
        **{**rest, "source": iso["from"], "failure_markers": tuple(iso["failure_markers"])}
    )


def _words(environment: Mapping[str, Any]) -> dict[str, str]:
    return {key: str(value) for key, value in environment.items()}


def _as_mapping(part: Any) -> dict[str, Any]:
    return {
        "from" if field.name == "source" else field.name: _as_plain(getattr(part, field.name))
        for field in fields(part)
    }


def _as_plain(value: Any) -> Any:
    if isinstance(value, (Yield, Stage, IsoChecks)):
        return _as_mapping(value)
    if isinstance(value, tuple):
        return [_as_plain(item) for item in value]
    return dict(value) if isinstance(value, Mapping) else value


def _sentence(problem: schema.Problem, profile: Mapping[str, Any]) -> str:
    """Return a problem in words that name the stage as its author does."""
    in_stage = _IN_STAGE.fullmatch(problem.place)
    if not in_stage:
        return f"`{problem.place}` {problem.text}"
    number = int(in_stage.group(1))
    stage = profile["stages"][number]
    name = stage.get("name") if isinstance(stage, dict) else None
    label = f"stage {name if isinstance(name, str) and name else number + 1}"
    rest = in_stage.group(2)
    return f"{label}: `{rest}` {problem.text}" if rest else f"{label} {problem.text}"


# Relative to the workspace or to the inputs: what is read there is the builder's word.
_GLOBS_OF_A_PROFILE = ("package_reports", "image_lists", "reuse", "downloads")


def _beyond_schema(profile: Mapping[str, Any], roots: Sequence[str]) -> Iterator[schema.Problem]:
    """Yield what a schema cannot say; parts that are not of the right type are passed over."""
    for key in _GLOBS_OF_A_PROFILE:
        yield from _globs(profile.get(key), key, ())
    iso = profile.get("iso")
    if isinstance(iso, dict):
        yield from _glob(iso.get("from"), "iso.from", roots)
    stages = profile.get("stages")
    names: set[str] = set()
    for number, stage in enumerate(stages if isinstance(stages, list) else ()):
        if isinstance(stage, dict):
            place = f"stages[{number}]"
            yield from _stage_problems(stage, place, roots)
            name = stage.get("name")
            if isinstance(name, str) and name in names:
                yield schema.Problem(f"{place}.name", "is that of another stage, too: rename one")
            names.add(str(name))


def _stage_problems(
    stage: Mapping[str, Any], place: str, roots: Sequence[str]
) -> Iterator[schema.Problem]:
    command, chdir, yields = (stage.get(key) for key in ("command", "chdir", "yields"))
    if isinstance(command, list) and command[:1] == [""]:
        yield schema.Problem(f"{place}.command", "has an empty first word: name a program")
    if isinstance(chdir, str) and ".." in chdir.split("/"):
        yield schema.Problem(f"{place}.chdir", f"is {chdir!r}, not a directory without '..'")
    if stage.get("on_failure", "end") == "end":
        if isinstance(stage.get("missing"), str):
            yield schema.Problem(f"{place}.missing", "goes with `on_failure: degrade` only")
    elif stage["on_failure"] == "degrade" and stage.get("missing") is None:
        yield schema.Problem(
            f"{place}.missing", "is missing: say in words what a build without this stage lacks"
        )
    for number, entry in enumerate(yields if isinstance(yields, list) else ()):
        if isinstance(entry, dict):
            yield from _yield_problems(entry, f"{place}.yields[{number}]", roots)
    yield from _globs(stage.get("log_files"), f"{place}.log_files", roots)


def _yield_problems(
    entry: Mapping[str, Any], place: str, roots: Sequence[str]
) -> Iterator[schema.Problem]:
    yield from _glob(entry.get("from"), f"{place}.from", roots)
    kind, phase = entry.get("type"), entry.get("phase")
    if isinstance(kind, str) and (phase is None or isinstance(phase, str)):
        side, _, rest = kind.partition("/")
        try:
            layout.artifact_path(side, rest, phase)
        except StxMirrorError as problem:
            yield schema.Problem(f"{place}.type", f"does not fit: {problem}")


def _globs(patterns: Any, place: str, roots: Sequence[str]) -> Iterator[schema.Problem]:
    for number, pattern in enumerate(patterns if isinstance(patterns, list) else ()):
        yield from _glob(pattern, f"{place}[{number}]", roots)


def _glob(pattern: Any, place: str, roots: Sequence[str]) -> Iterator[schema.Problem]:
    if not isinstance(pattern, str) or not pattern:
        return
    parts = pattern.split("/")
    if not pattern.isprintable():
        yield schema.Problem(place, f"is {pattern!r}, not a glob")
    elif ".." in parts:
        yield schema.Problem(place, f"{pattern!r} leaves the workspace: take the '..' out")
    elif pattern.startswith("~"):
        yield schema.Problem(place, f"{pattern!r} begins with '~', which nobody expands")
    elif parts[0] == "" and not any(_is_under(pattern, root) for root in roots):
        allowed = ", ".join(roots) or "none is"
        yield schema.Problem(
            place,
            f"{pattern!r} is absolute and under no directory that is allowed ({allowed}): "
            "name it relative to the workspace",
        )


def _is_under(pattern: str, root: str) -> bool:
    base = root.rstrip("/")
    return base.startswith("/") and pattern.startswith(f"{base}/")
