"""How a run ended, in the words and the exit codes that people and cron get."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from stxmirror.controller import state
from stxmirror.controller.paths import Paths
from stxmirror.controller.progress import clock
from stxmirror.controller.request import Request
from stxmirror.times import format_time, parse_time

# Lines of the record's excerpt that the last lines of a run repeat.
SHOWN_EXCERPT = 10

# What systemd's SERVICE_RESULT means to a person, see systemd.exec(5).
_ENDED_BECAUSE = {
    "success": "it was stopped (stx-mirror stop, or the host was shut down)",
    "timeout": "it ran past the time limit of its stream and did not end by itself",
    "signal": "its controller was killed",
    "oom-kill": "the host ran out of memory",
    "exit-code": "its controller failed, see the end of the run's log",
}


def ended_because(result: str) -> str:
    """Return why systemd ended a unit, in words."""
    return _ENDED_BECAUSE.get(result, f"systemd says {result!r}")


def failed_attempt(
    request: Request, build_id: str | None, why: str, part: str | None, finished: datetime
) -> dict[str, Any]:
    """Return the outcome of a run that could not report itself."""
    return {
        "request": request.token,
        "id": build_id,
        "parent": request.resume_id,
        "reason": request.reason,
        "trigger": request.trigger,
        "started": request.started,
        "finished": format_time(finished),
        "result": "fail",
        "failed_stage": part,
        "why": why,
        "missing": [],
        "published": False,
        "unpublished_why": "",
    }


def exit_code(attempt: Mapping[str, Any], verb: str) -> int:
    """Return 0 for a run that reached what it was for, else 1."""
    if verb == "publish":
        return 0 if attempt["published"] else 1
    reached = attempt["result"] == "nothing-new" or (
        attempt["result"] == "success" and attempt["published"]
    )
    return 0 if reached else 1


def resume_stage(part: str | None) -> str | None:
    """Return the stage from which a build that failed in a part can be resumed, if any."""
    if part in (None, "open", "sync", "publish", "report"):
        return None
    return "sanity" if part == "collect" else part


def summary(paths: Paths, attempt: Mapping[str, Any], verb: str) -> list[str]:
    """Return the last lines of a run: result, logs, path, and what to do about a failure."""
    build_id = attempt["id"]
    lines = [_headline(attempt, verb)]
    lines += [f"  missing    {what}" for what in attempt["missing"]]
    if not build_id:
        return lines
    if attempt["result"] == "fail" and verb == "build":
        record = state.read_json(state.record_path(paths, build_id)) or {}
        lines += [f"  | {line}" for line in record.get("excerpt", [])[-SHOWN_EXCERPT:]]
    if attempt["result"] == "nothing-new":
        return lines
    session = state.read_json(state.session_path(paths, build_id)) or {}
    if "logs" in session:
        lines.append(f"  logs       {session['logs']}")
    if attempt["published"]:
        lines.append(f"  published  {build_id}/")
    else:
        if attempt["result"] == "fail" and attempt["unpublished_why"]:
            lines.append(f"  not published: {attempt['unpublished_why']}")
        lines.append(f"  publish    stx-mirror publish {build_id}")
    stage = resume_stage(attempt["failed_stage"])
    if attempt["result"] == "fail" and stage:
        lines.append(f"  resume     stx-mirror build --resume {build_id} --from {stage}")
    return lines


def _headline(attempt: Mapping[str, Any], verb: str) -> str:
    began, ended = parse_time(attempt["started"]), parse_time(attempt["finished"])
    after = f"after {clock((ended - began).total_seconds())}"
    if attempt["result"] == "nothing-new":
        return f"NOTHING NEW {after}: {attempt['why']}"
    if not attempt["published"] and (verb == "publish" or attempt["result"] == "success"):
        return f"NOT PUBLISHED {after}: {attempt['unpublished_why'] or attempt['why']}"
    if verb == "publish":
        return f"PUBLISHED {after}: {attempt['id']} ({attempt['result']})"
    if attempt["result"] == "success":
        return f"SUCCESS {after}: {attempt['id']}"
    where = f" in {attempt['failed_stage']}" if attempt["failed_stage"] else ""
    return f"FAILED {after}{where}: {attempt['why']}"
