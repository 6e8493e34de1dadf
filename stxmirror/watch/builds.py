"""Verdicts on what this host builds and prunes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone

from stxmirror.errors import StxMirrorError
from stxmirror.names import NOTHING_NEW
from stxmirror.schedule import last_due
from stxmirror.times import parse_time
from stxmirror.watch import facts, settings
from stxmirror.watch.model import CRITICAL, OK, UNKNOWN, WARNING, Verdict, above, age

DAY = 86400


def streams(found: Sequence[facts.Stream], wanted: settings.Streams, now: float) -> list[Verdict]:
    """Judge the last run and the last good build of each branch that this host builds."""
    if not found:
        return [Verdict("streams", "", OK, "this host builds none")]
    return [_stream(stream, wanted, now) for stream in found]


def _stream(stream: facts.Stream, wanted: settings.Streams, now: float) -> Verdict:
    ref, status = stream.ref, stream.status
    if stream.error:
        return Verdict("streams", ref, UNKNOWN, stream.error)
    due = _due(stream, wanted, now)
    if status is None:
        if due is not None and not stream.is_running:
            return Verdict("streams", ref, CRITICAL, f"never built, though due at {_shown(due)}")
        if not stream.schedule:
            return Verdict("streams", ref, OK, "never built yet, and on demand only")
        return Verdict("streams", ref, UNKNOWN, "never built yet")
    attempt, good = status.attempt, status.good
    state, text, details = _outcome(attempt, stream.logs)
    value = None
    if good is None:
        text = f"{text}; no good build"
    else:
        seconds = now - parse_time(good.finished).timestamp()
        value = seconds / DAY
        text = f"{text}; last good build {good.id}, {age(seconds)} ago"
    if attempt.result != NOTHING_NEW and stream.schedule:
        if value is not None and value >= wanted.days.critical:
            state = CRITICAL
        elif value is None or value >= wanted.days.warning:
            state = max(state, WARNING)
    ended = now - parse_time(attempt.finished).timestamp()
    if state == WARNING and not stream.schedule and ended > wanted.days.warning * DAY:
        # Whoever asked for it was told; a try of long ago is nobody's trouble any more.
        state, text = OK, f"{age(ended)} ago: {text}"
    began = parse_time(attempt.started).timestamp()
    if due is not None and began < due and not stream.is_running:
        state = CRITICAL
        text = f"overdue: it was due at {_shown(due)} and did not start; {text}"
    return Verdict("streams", ref, state, text, details, value=value, unit="days")


def _outcome(attempt: facts.Attempt, logs: Sequence[str]) -> tuple[int, str, tuple[str, ...]]:
    named = tuple(f"log: {log}" for log in logs)
    if attempt.result == "fail":
        where = f" in {attempt.failed_stage}" if attempt.failed_stage else ""
        run = f"run of {attempt.started} ({attempt.reason}), {attempt.id or 'no id'}"
        return WARNING, f"last build failed{where}: {attempt.why}", (run, *named)
    if attempt.result == "success" and not attempt.is_published:
        text = f"last build is not published: {attempt.unpublished_why or attempt.why}"
        return WARNING, text, (f"publish it: stx-mirror publish {attempt.id}", *named)
    if attempt.result not in ("success", NOTHING_NEW):
        return UNKNOWN, f"last build ended as {attempt.result!r}", ()
    words = "nothing was new" if attempt.result == NOTHING_NEW else "last build is good"
    return OK, words, ()


def _due(stream: facts.Stream, wanted: settings.Streams, now: float) -> float | None:
    """Return when the stream's newest build should have begun, with some grace."""
    if not stream.schedule:
        return None
    # Cron needs a moment to start it, and it waits while builds are held.
    latest = datetime.fromtimestamp(now - wanted.grace_minutes * 60, tz=timezone.utc)
    try:
        due = last_due(stream.schedule, latest)
    except StxMirrorError:
        return None
    # A schedule that is newer than the moment was not missed then.
    return due.timestamp() if due and due.timestamp() > stream.known_since else None


def _shown(moment: float) -> str:
    return datetime.fromtimestamp(moment, tz=timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def prune(found: facts.Prune, wanted: settings.Prune, now: float) -> list[Verdict]:
    """Judge when pruning last went through."""
    if found.finished is None:
        if now - found.known_since < wanted.days.warning * DAY:
            return [Verdict("prune", "", UNKNOWN, "it has not run yet")]
        text = f"it never went through; see {found.log}"
        return [Verdict("prune", "", CRITICAL, text)]
    seconds = now - parse_time(found.finished).timestamp()
    days = seconds / DAY
    text = f"it last went through {age(seconds)} ago"
    state = above(days, wanted.days.warning, wanted.days.critical)
    if state != OK:
        text += f"; see {found.log}"
    return [Verdict("prune", "", state, text, value=days, unit="days")]
