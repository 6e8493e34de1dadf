"""How a run ended, in the words and the exit codes that people and cron get."""

from __future__ import annotations

from datetime import datetime

from stxmirror import parts
from stxmirror.controller.progress import clock
from stxmirror.controller.request import Request
from stxmirror.names import NOTHING_NEW
from stxmirror.state.builds import logs_of
from stxmirror.state.files import read_json
from stxmirror.state.paths import Paths
from stxmirror.state.status import Attempt, now_text
from stxmirror.times import parse_time

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
) -> Attempt:
    """Return the outcome of a run that could not report itself."""
    unpublished = ""
    if part == parts.PUBLISH.word and build_id:
        # The mirror may have made it visible in that very moment.
        unpublished = "it was ended while it was published; publish it again to be sure"
    return Attempt(
        request=request.token,
        id=build_id,
        parent=request.resume_id or None,
        reason=request.reason,
        trigger=request.trigger,
        started=request.started,
        finished=now_text(finished),
        result="fail",
        failed_stage=part,
        why=why,
        unpublished_why=unpublished,
    )


def exit_code(attempt: Attempt, verb: str) -> int:
    """Return 0 for a run that reached what it was for, else 1."""
    if verb == "publish":
        return 0 if attempt.published else 1
    reached = attempt.result == NOTHING_NEW or (attempt.result == "success" and attempt.published)
    return 0 if reached else 1


def summary(paths: Paths, attempt: Attempt, verb: str) -> list[str]:
    """Return the last lines of a run: result, logs, path, and what to do about a failure."""
    build_id = attempt.id
    lines = [_headline(attempt, verb)]
    lines += [f"  missing    {what}" for what in attempt.missing]
    if not build_id:
        return lines
    if attempt.result == "fail" and verb == "build":
        record = read_json(paths.record(build_id)) or {}
        lines += [f"  | {line}" for line in record.get("excerpt", [])[-SHOWN_EXCERPT:]]
    if attempt.result == NOTHING_NEW:
        return lines
    logs = logs_of(paths, build_id)
    if logs:
        lines.append(f"  logs       {logs}")
    if attempt.published:
        lines.append(f"  published  {build_id}/")
    else:
        if attempt.result == "fail" and attempt.unpublished_why:
            lines.append(f"  not published: {attempt.unpublished_why}")
        lines.append(f"  publish    stx-mirror publish {build_id}")
    stage = parts.resume_from(attempt.failed_stage)
    if attempt.result == "fail" and stage:
        lines.append(f"  resume     stx-mirror build --resume {build_id} --from {stage}")
    return lines


def _headline(attempt: Attempt, verb: str) -> str:
    began, ended = parse_time(attempt.started), parse_time(attempt.finished)
    after = f"after {clock((ended - began).total_seconds())}"
    if attempt.result == NOTHING_NEW:
        return f"NOTHING NEW {after}: {attempt.why}"
    if not attempt.published and (verb == "publish" or attempt.result == "success"):
        return f"NOT PUBLISHED {after}: {attempt.unpublished_why or attempt.why}"
    if verb == "publish":
        return f"PUBLISHED {after}: {attempt.id} ({attempt.result})"
    if attempt.result == "success":
        return f"SUCCESS {after}: {attempt.id}"
    where = f" in {attempt.failed_stage}" if attempt.failed_stage else ""
    return f"FAILED {after}{where}: {attempt.why}"
