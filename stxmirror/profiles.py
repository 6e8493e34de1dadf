"""Profiles: how a product is built, as data, checked as a whole before anything runs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from stxmirror import layout
from stxmirror.errors import StxMirrorError

_NAME = re.compile(r"[a-z0-9][a-z0-9-]*", re.ASCII)
_STAGE_NAME = re.compile(r"[a-z][a-z0-9-]*", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_RETRIES_MAX = 20

_PROFILE_KEYS = {
    *("name", "description", "environment", "stages", "iso"),
    *("package_reports", "image_lists"),
}
_STAGE_KEYS = {
    *("name", "command", "chdir", "environment", "time_limit", "retries", "yields"),
    *("on_failure", "missing", "log_files", "carries_id"),
}
_ISO_KEYS = {"from", "memory_mb", "disk_gb", "markers", "failure_markers", "time_limit"}
_MARKERS = ("boot", "install", "installed")


def check_profile(profile: Mapping[str, Any], roots: Sequence[str] = ()) -> dict[str, Any]:
    """Return the profile with every default filled in, or raise one error for every problem.

    What a stage yields is named by globs relative to the workspace; an absolute one must lie
    under one of ``roots``. Times are seconds.
    """
    if not isinstance(profile, Mapping):
        raise StxMirrorError("`profile` is not a mapping: write name, description and stages")
    found: list[str] = []
    _unknown(profile, _PROFILE_KEYS, "the profile", found)
    name = profile.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        found.append(f"`name` {name!r} may have small letters, digits and '-' only")
    description = profile.get("description")
    if not isinstance(description, str) or not description.strip():
        found.append("`description` is missing")
    stages = profile.get("stages")
    if not _is_list(stages) or not stages:
        found.append("`stages` is not a list with at least one stage")
        stages = []
    checked = {
        "name": name,
        "description": description,
        "environment": _environment(profile.get("environment", {}), "the profile", found),
        "stages": [_stage(stage, n, roots, found) for n, stage in enumerate(stages, start=1)],
        "iso": _iso(profile.get("iso"), roots, found),
        # Globs relative to the workspace: JSON with the lists `built` and `reused`, and lists of
        # image references, one a line.
        "package_reports": _files(profile, "package_reports", found),
        "image_lists": _files(profile, "image_lists", found),
    }
    names = [stage["name"] for stage in checked["stages"]]
    for twice in sorted({str(n) for n in names if names.count(n) > 1 and n}):
        found.append(f"two stages are called {twice}: give each its own name")
    if found:
        raise StxMirrorError(
            f"profile {name if isinstance(name, str) else '?'} has "
            f"{len(found)} problem{'' if len(found) == 1 else 's'}: {'; '.join(found)}"
        )
    return checked


def _stage(stage: Any, number: int, roots: Sequence[str], found: list[str]) -> dict[str, Any]:
    if not isinstance(stage, Mapping):
        found.append(f"stage {number} is not a mapping")
        return {"name": None}
    label = f"stage {stage.get('name') or number}"
    _unknown(stage, _STAGE_KEYS, label, found)
    name = stage.get("name")
    if not isinstance(name, str) or not _STAGE_NAME.fullmatch(name):
        found.append(f"{label}: `name` is not small letters, digits and '-'")
    return {
        "name": name,
        "command": _command(stage.get("command"), label, found),
        "chdir": _chdir(stage.get("chdir", ""), label, found),
        "environment": _environment(stage.get("environment", {}), label, found),
        "time_limit": _positive(stage, "time_limit", label, found),
        "retries": _retries(stage.get("retries", 0), label, found),
        "yields": [
            _yield(entry, label, roots, found)
            for entry in _list(stage.get("yields", []), f"{label}: `yields`", found)
        ],
        "log_files": [
            _glob(entry, f"{label}: `log_files`", roots, found)
            for entry in _list(stage.get("log_files", []), f"{label}: `log_files`", found)
        ],
        "carries_id": _flag(stage.get("carries_id", False), f"{label}: `carries_id`", found),
        **_failure(stage, label, found),
    }


def _command(command: Any, label: str, found: list[str]) -> list[str]:
    words = list(command) if _is_list(command) else []
    if not words:
        found.append(f"{label}: `command` is not a list of words: no shell reads it")
    elif not all(_is_word(word) for word in words) or not str(words[0]):
        found.append(f"{label}: `command` may have text and numbers only: quote the others")
    return [str(word) for word in words]


def _chdir(chdir: Any, label: str, found: list[str]) -> str:
    if not isinstance(chdir, str) or ".." in chdir.split("/"):
        found.append(f"{label}: `chdir` {chdir!r} is not a directory without '..'")
    return str(chdir)


def _environment(environment: Any, label: str, found: list[str]) -> dict[str, str]:
    if not isinstance(environment, Mapping):
        found.append(f"{label}: `environment` is not a mapping")
        return {}
    for key, value in environment.items():
        if not isinstance(key, str) or not _VARIABLE.fullmatch(key):
            found.append(f"{label}: {key!r} cannot be the name of an environment variable")
        if not _is_word(value):
            found.append(f"{label}: environment variable {key} is {value!r}: quote it")
    return {str(key): str(value) for key, value in environment.items()}


def _failure(stage: Mapping[str, Any], label: str, found: list[str]) -> dict[str, Any]:
    on_failure = stage.get("on_failure", "end")
    missing = stage.get("missing")
    if on_failure not in ("end", "degrade"):
        found.append(f"{label}: `on_failure` is {on_failure!r}: write end or degrade")
    elif on_failure == "degrade" and not (isinstance(missing, str) and missing.strip()):
        found.append(f"{label}: `missing` must say what a build without this stage lacks")
    elif on_failure == "end" and missing is not None:
        found.append(f"{label}: `missing` goes with `on_failure: degrade` only")
    return {"on_failure": on_failure, "missing": missing}


def _yield(entry: Any, label: str, roots: Sequence[str], found: list[str]) -> dict[str, Any]:
    if not isinstance(entry, Mapping):
        found.append(f"{label}: an entry of `yields` is not a mapping of from, type and phase")
        return {}
    where = f"{label}: `yields`"
    _unknown(entry, {"from", "type", "phase"}, where, found)
    kind = entry.get("type")
    side, _, rest = kind.partition("/") if isinstance(kind, str) else (str(kind), "", "")
    try:
        layout.artifact_path(side, rest, entry.get("phase"))
    except StxMirrorError as problem:
        found.append(f"{where}: {problem}")
    return {
        "from": _glob(entry.get("from"), where, roots, found),
        "type": kind,
        "phase": entry.get("phase"),
    }


def _glob(pattern: Any, label: str, roots: Sequence[str], found: list[str]) -> str:
    if not isinstance(pattern, str) or not pattern or not pattern.isprintable():
        found.append(f"{label}: {pattern!r} is not a glob")
        return ""
    parts = pattern.split("/")
    if ".." in parts:
        found.append(f"{label}: {pattern!r} leaves the workspace: take the '..' out")
    elif pattern.startswith("~"):
        found.append(f"{label}: {pattern!r} begins with '~', which nobody expands")
    elif parts[0] == "" and not any(_is_under(pattern, root) for root in roots):
        allowed = ", ".join(roots) or "none is"
        found.append(
            f"{label}: {pattern!r} is absolute and under no directory that is allowed ({allowed}): "
            "name it relative to the workspace"
        )
    return pattern


def _is_under(pattern: str, root: str) -> bool:
    base = root.rstrip("/")
    return base.startswith("/") and pattern.startswith(f"{base}/")


def _iso(iso: Any, roots: Sequence[str], found: list[str]) -> dict[str, Any] | None:
    if iso is None:
        return None
    if not isinstance(iso, Mapping):
        found.append("`iso` is not a mapping")
        return None
    _unknown(iso, _ISO_KEYS, "`iso`", found)
    markers = iso.get("markers")
    if not isinstance(markers, Mapping) or set(markers) != set(_MARKERS):
        found.append(f"`iso`: `markers` needs exactly {', '.join(_MARKERS)}")
        markers = {}
    elif not all(isinstance(text, str) and text for text in markers.values()):
        found.append("`iso`: a marker is empty or not text")
    failures = _list(iso.get("failure_markers", []), "`iso`: `failure_markers`", found)
    if not all(isinstance(text, str) and text for text in failures):
        # An empty one would be in every line.
        found.append("`iso`: one of `failure_markers` is empty or not text")
    return {
        "from": _glob(iso.get("from"), "`iso`", roots, found),
        "memory_mb": _positive(iso, "memory_mb", "`iso`", found),
        "disk_gb": _positive(iso, "disk_gb", "`iso`", found),
        "markers": {str(key): str(text) for key, text in markers.items()},
        "failure_markers": [str(text) for text in failures],
        "time_limit": _positive(iso, "time_limit", "`iso`", found),
    }


def _files(profile: Mapping[str, Any], key: str, found: list[str]) -> list[str]:
    names = _list(profile.get(key, []), f"`{key}`", found)
    return [_glob(name, f"`{key}`", (), found) for name in names]


def _positive(mapping: Mapping[str, Any], key: str, label: str, found: list[str]) -> int:
    value = mapping.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        found.append(f"{label}: `{key}` is {value!r}, not a whole number above 0")
        return 1
    return int(value)


def _retries(value: Any, label: str, found: list[str]) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _RETRIES_MAX:
        found.append(f"{label}: `retries` is {value!r}, not a number from 0 to {_RETRIES_MAX}")
        return 0
    return int(value)


def _flag(value: Any, label: str, found: list[str]) -> bool:
    if not isinstance(value, bool):
        found.append(f"{label} is {value!r}, not true or false")
    return value is True


def _list(value: Any, label: str, found: list[str]) -> list[Any]:
    if not _is_list(value):
        found.append(f"{label} is not a list")
        return []
    return list(value)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))


def _is_word(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, (int, float)) or (isinstance(value, str) and "\0" not in value)


def _unknown(mapping: Mapping[str, Any], known: set[str], label: str, found: list[str]) -> None:
    for key in mapping:
        if key not in known:
            found.append(f"{label}: `{key}` is not known (known: {', '.join(sorted(known))})")
