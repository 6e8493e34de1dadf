"""Facts about what this host builds and prunes, and how far it is from the code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stxmirror.layout import project_name


def streams(settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return status, schedule and logs of each branch: those listed, and those built on demand."""
    state = Path(settings["state"])
    schedules = {stream["ref"]: stream["schedule"] for stream in settings["streams"]}
    files = {project_name(ref): ref for ref in schedules}
    for path in sorted((state / "status").glob("*.json")):
        files.setdefault(path.stem, "")
    return [
        fact
        for project, ref in files.items()
        if (fact := _stream(settings, state, project, ref, schedules.get(ref)))
    ]


def _stream(
    settings: Mapping[str, Any], state: Path, project: str, ref: str, schedule: str | None
) -> dict[str, Any] | None:
    path = state / "status" / f"{project}.json"
    fact: dict[str, Any] = {
        "ref": ref or project,
        "schedule": schedule,
        "status": None,
        "logs": [],
        "running": (state / "runner" / project / "running.json").exists(),
        "known_since": Path(settings["known_since"]).stat().st_mtime,
    }
    try:
        status = json.loads(path.read_text())
        fact["ref"] = status["ref"]
        attempt = status["last_attempt"]
        if attempt is None:
            return fact
        if _is_retired(settings, status["ref"]):
            return None
        fact["status"] = status
        fact["logs"] = _logs(state, project, attempt)
    except FileNotFoundError:
        pass
    except (OSError, ValueError, KeyError, TypeError) as error:
        fact["error"] = f"{path} cannot be read: {error}"
    return fact


def _is_retired(settings: Mapping[str, Any], ref: str) -> bool:
    return any(
        ref.startswith(match[:-1]) if match.endswith("*") else ref == match
        for match in settings["retired"]
    )


def _logs(state: Path, project: str, attempt: Mapping[str, Any]) -> list[str]:
    console = state / "runner" / project / "console" / f"{attempt['request']}.log"
    logs = [str(console)] if console.exists() else []
    session = state / "builds" / str(attempt["id"]) / "session.json"
    if attempt["id"] and session.exists():
        logs.append(json.loads(session.read_text())["logs"])
    return logs


def prune(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return when pruning last went through."""
    path = Path(settings["state"], "prune.json")
    finished = json.loads(path.read_text())["finished"] if path.exists() else None
    since = Path(settings["known_since"]).stat().st_mtime
    return {"finished": finished, "known_since": since, "log": settings["log"]}


def drift(settings: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what the last comparison with the code found."""
    path = Path(settings["file"])
    return json.loads(path.read_text()) if path.exists() else None
