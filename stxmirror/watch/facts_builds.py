"""Facts about what this host builds and prunes, and how far it is from the code."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from stxmirror import fields
from stxmirror.layout import project_name
from stxmirror.state.paths import Paths
from stxmirror.watch import settings
from stxmirror.watch.facts import Attempt, Drift, GoodBuild, Prune, Status, Stream


def streams(wanted: settings.Streams) -> list[Stream]:
    """Return status, schedule and logs of each branch: those listed, and those built on demand."""
    files = {project_name(ref): ref for ref in wanted.schedules}
    for path in _paths(wanted.state).status_files():
        files.setdefault(path.stem, "")
    found = [_stream(wanted, project, ref) for project, ref in files.items()]
    return [stream for stream in found if stream is not None]


def _stream(wanted: settings.Streams, project: str, ref: str) -> Stream | None:
    paths = _paths(wanted.state)
    path = paths.status(project)
    stream = Stream(
        ref=ref or project,
        schedule=wanted.schedules.get(ref),
        status=None,
        known_since=Path(wanted.known_since).stat().st_mtime,
        is_running=paths.running(project).exists(),
    )
    try:
        raw = fields.mapping(json.loads(path.read_bytes()), "it")
        stream = replace(stream, ref=fields.required(raw, "ref", str, "it"))
        if raw["last_attempt"] is None:
            return stream
        if _is_retired(wanted, stream.ref):
            return None
        attempt = Attempt.parse(fields.mapping(raw["last_attempt"], "the last attempt"))
        good = raw.get("last_success")
        status = Status(attempt, None if good is None else GoodBuild.parse(good))
        return replace(stream, status=status, logs=_logs(paths, project, attempt))
    except FileNotFoundError:
        return stream
    except (OSError, ValueError, KeyError, TypeError) as error:
        return replace(stream, error=f"{path} cannot be read: {error}")


def _is_retired(wanted: settings.Streams, ref: str) -> bool:
    return any(
        ref.startswith(match[:-1]) if match.endswith("*") else ref == match
        for match in wanted.retired
    )


def _paths(state: str) -> Paths:
    return Paths(state=Path(state))


def _logs(paths: Paths, project: str, attempt: Attempt) -> tuple[str, ...]:
    console = paths.console(project, attempt.request)
    logs = [str(console)] if console.exists() else []
    session = paths.session(attempt.id) if attempt.id else None
    if session and session.exists():
        raw = fields.mapping(json.loads(session.read_bytes()), str(session))
        logs.append(fields.required(raw, "logs", str, str(session)))
    return tuple(logs)


def prune(wanted: settings.Prune) -> Prune:
    """Return when pruning last went through."""
    path = Path(wanted.state, "prune.json")
    finished = None
    if path.exists():
        raw = fields.mapping(json.loads(path.read_bytes()), str(path))
        finished = fields.required(raw, "finished", str, str(path))
    return Prune(finished, Path(wanted.known_since).stat().st_mtime, wanted.log)


def drift(wanted: settings.Drift) -> Drift | None:
    """Return what the last comparison with the code found."""
    path = Path(wanted.file)
    return Drift.parse(json.loads(path.read_bytes())) if path.exists() else None
