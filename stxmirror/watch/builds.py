"""Verdicts on what this host builds and prunes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from stxmirror.errors import StxMirrorError
from stxmirror.schedule import last_due
from stxmirror.times import parse_time
from stxmirror.watch.model import CRITICAL, OK, UNKNOWN, WARNING, Verdict, age

DAY = 86400


def streams(facts: Sequence[Mapping[str, Any]], limits: Mapping[str, Any], now: float) -> list:
    """Judge the last run and the last good build of each branch that this host builds."""
    if not facts:
        return [Verdict("streams", "", OK, "this host builds none")]
    return [_stream(found, limits, now) for found in facts]


def _stream(found: Mapping[str, Any], limits: Mapping[str, Any], now: float) -> Verdict:
    ref, status = found["ref"], found["status"]
    if found.get("error"):
        return Verdict("streams", ref, UNKNOWN, found["error"])
    due = _due(found, limits, now)
    if status is None:
        if due is not None and not found["running"]:
            return Verdict("streams", ref, CRITICAL, f"never built, though due at {_shown(due)}")
        if not found["schedule"]:
            return Verdict("streams", ref, OK, "never built yet, and on demand only")
        return Verdict("streams", ref, UNKNOWN, "never built yet")
    attempt, good = status["last_attempt"], status["last_success"]
    good_seconds = now - parse_time(good["finished"]).timestamp() if good else None
    value = None if good_seconds is None else good_seconds / DAY
    state, text, details = _outcome(attempt, found)
    last_good = (
        f"last good build {good['id']}, {age(good_seconds)} ago" if good else "no good build"
    )
    text = f"{text}; {last_good}"
    if attempt["result"] != "nothing-new" and found["schedule"]:
        if value is not None and value >= limits["critical_days"]:
            state = CRITICAL
        elif value is None or value >= limits["warning_days"]:
            state = max(state, WARNING)
    ended = now - parse_time(attempt["finished"]).timestamp()
    if state == WARNING and not found["schedule"] and ended > limits["warning_days"] * DAY:
        # Whoever asked for it was told; a try of long ago is nobody's trouble any more.
        state, text = OK, f"{age(ended)} ago: {text}"
    began = parse_time(attempt["started"]).timestamp()
    if due is not None and began < due and not found["running"]:
        state = CRITICAL
        text = f"overdue: it was due at {_shown(due)} and did not start; {text}"
    return Verdict("streams", ref, state, text, details, value=value, unit="days")


def _outcome(
    attempt: Mapping[str, Any], found: Mapping[str, Any]
) -> tuple[int, str, tuple[str, ...]]:
    if attempt["result"] == "fail":
        where = f" in {attempt['failed_stage']}" if attempt["failed_stage"] else ""
        lines = [f"run of {attempt['started']} ({attempt['reason']}), {attempt['id'] or 'no id'}"]
        lines += [f"log: {log}" for log in found["logs"]]
        return WARNING, f"last build failed{where}: {attempt['why']}", tuple(lines)
    if attempt["result"] == "success" and not attempt["published"]:
        text = f"last build is not published: {attempt['unpublished_why'] or attempt['why']}"
        again = f"publish it: stx-mirror publish {attempt['id']}"
        return WARNING, text, (again, *(f"log: {log}" for log in found["logs"]))
    if attempt["result"] not in ("success", "nothing-new"):
        return UNKNOWN, f"last build ended as {attempt['result']!r}", ()
    words = "nothing was new" if attempt["result"] == "nothing-new" else "last build is good"
    return OK, words, ()


def _due(found: Mapping[str, Any], limits: Mapping[str, Any], now: float) -> float | None:
    """Return when the stream's newest build should have begun, with some grace."""
    if not found["schedule"]:
        return None
    # Cron needs a moment to start it, and it waits while builds are held.
    latest = datetime.fromtimestamp(now - limits["grace_minutes"] * 60, tz=timezone.utc)
    try:
        due = last_due(found["schedule"], latest)
    except StxMirrorError:
        return None
    # A schedule that is newer than the moment was not missed then.
    return due.timestamp() if due and due.timestamp() > found["known_since"] else None


def _shown(moment: float) -> str:
    return datetime.fromtimestamp(moment, tz=timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def prune(facts: Mapping[str, Any], limits: Mapping[str, Any], now: float) -> list[Verdict]:
    """Judge when pruning last went through."""
    if facts["finished"] is None:
        if now - facts["known_since"] < limits["warning_days"] * DAY:
            return [Verdict("prune", "", UNKNOWN, "it has not run yet")]
        text = f"it never went through; see {facts['log']}"
        return [Verdict("prune", "", CRITICAL, text)]
    seconds = now - parse_time(facts["finished"]).timestamp()
    days = seconds / DAY
    text = f"it last went through {age(seconds)} ago"
    state = OK
    if days >= limits["warning_days"]:
        state = CRITICAL if days >= limits["critical_days"] else WARNING
        text += f"; see {facts['log']}"
    return [Verdict("prune", "", state, text, value=days, unit="days")]
