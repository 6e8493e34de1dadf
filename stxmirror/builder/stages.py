"""The stages of a profile, run in order; what each did goes into the record as it ends."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from stxmirror import parts, records
from stxmirror.builder import excerpts
from stxmirror.builder.sandbox import Outcome, Task
from stxmirror.builder.session import PartFailed, Session
from stxmirror.builder.sources import site_environment
from stxmirror.builder.untrusted_files import Unusable, expand, open_inside, read_inside
from stxmirror.profiles import Profile, Stage
from stxmirror.records import StageRun
from stxmirror.state.events import PartResult
from stxmirror.times import format_time

# Of a log, so much is searched for its last lines.
TAIL_BYTES = 256 * 1024
# Between two attempts: what is worth a retry is a network that was away for a moment.
RETRY_PAUSE_SECONDS = 5.0
# What package builders (mock, StarlingX's tools, the sample's) leave beside the logs of a package
# that did not build.
FAIL_MARKER = "fail"
_LOGS_OF_A_PACKAGE = ("build.log", "root.log")


@dataclass(frozen=True)
class Limits:
    """What bounds all stages. ``deadline`` is seconds since the epoch, 0 for none."""

    min_free_bytes: int
    deadline: int


@dataclass(frozen=True)
class _Ended:
    """How a stage ended, with all its attempts."""

    outcome: Outcome
    attempts: int
    seconds: float
    cpu_seconds: float
    peak_memory_bytes: int
    started: datetime
    log_offset: int


def run_stages(session: Session, limits: Limits) -> None:
    """Run the stages; raise :class:`PartFailed` at the first whose failure ends the build."""
    profile = session.profile()
    names = [*(stage.name for stage in profile.stages), parts.AFTER_STAGES]
    first = names.index(session.from_stage) if session.from_stage else 0
    for index, stage in enumerate(profile.stages):
        # What carries the id of the build that is resumed is made again, with the id of this one.
        if index < first and not stage.carries_id:
            session.save(records.add_stage(session.record(), _skipped(stage)))
            continue
        _run_one(session, profile, stage, limits)


def _run_one(session: Session, profile: Profile, stage: Stage, limits: Limits) -> None:
    session.reporter.begin(stage.name)
    left = limits.deadline - int(time.time()) if limits.deadline else stage.time_limit
    ended = _attempts(session, profile, stage, limits, max(1, min(stage.time_limit, left)))
    result: PartResult = "ok"
    if ended.outcome.result != "ok":
        result = "timeout" if ended.outcome.result == "timeout" else "failed"
        result = "degraded" if stage.on_failure == "degrade" else result
    outcome = ended.outcome
    entry: StageRun = {
        "name": stage.name,
        "command": list(stage.command),
        "result": result,
        "started": str(format_time(ended.started)),
        "finished": str(format_time(outcome.finished)),
        "seconds": ended.seconds,
        "cpu_seconds": ended.cpu_seconds,
        "peak_memory_bytes": ended.peak_memory_bytes,
        "exit_code": outcome.exit_code,
        "attempts": ended.attempts,
        "log": f"outputs/logs/{stage.name}.log",
    }
    session.save(records.add_stage(session.record(), entry, missing=stage.missing))
    session.reporter.end(stage.name, result)
    if result in records.PASSING:
        return
    why = outcome.why or f"{stage.command[0]} failed"
    if outcome.result == "timeout" and left < stage.time_limit:
        why += " (which is what was left of the time limit of the stream)"
    errors = failed_packages(session, stage, outcome.started)
    if errors:
        why += f": {errors[0]}"
    tail = excerpts.last_lines(read_tail(_log(session, stage), session, ended.log_offset))
    raise PartFailed(why, excerpts.with_errors(errors, tail) or [why], part=stage.name)


def _attempts(
    session: Session, profile: Profile, stage: Stage, limits: Limits, seconds: int
) -> _Ended:
    """Start the stage, again where its profile allows it, within so many seconds."""
    sandbox = session.sandbox
    end = time.monotonic() + seconds
    attempts, total, cpu, peak = 0, 0.0, 0.0, 0
    started: datetime | None = None
    environment = {
        **(site_environment(session.paths) if stage.network else {}),
        **profile.environment,
        **stage.environment,
    }
    while True:
        attempts += 1
        offset = _size(_log(session, stage))
        outcome = sandbox.run(
            Task(
                command=stage.command,
                chdir=session.workspace / stage.chdir,
                log=_log(session, stage),
                time_limit=max(1, round(end - time.monotonic())),
                environment=environment,
                network=stage.network,
                min_free_bytes=limits.min_free_bytes,
                max_bytes=(profile.max_gb or 0) * 10**9,
            )
        )
        started = started or outcome.started
        total += outcome.seconds
        cpu += outcome.cpu_seconds
        peak = max(peak, outcome.peak_memory_bytes)
        again = outcome.result == "failed" and attempts <= stage.retries
        if not again or time.monotonic() + RETRY_PAUSE_SECONDS >= end:
            break
        session.reporter.note(
            f"{stage.name}: attempt {attempts} of {1 + stage.retries} ended with exit code "
            f"{outcome.exit_code}; trying again"
        )
        time.sleep(RETRY_PAUSE_SECONDS)
        total += RETRY_PAUSE_SECONDS
    return _Ended(outcome, attempts, round(total, 1), round(cpu, 1), peak, started, offset)


def _skipped(stage: Stage) -> StageRun:
    return {
        "name": stage.name,
        "command": list(stage.command),
        "result": "skipped",
        "started": None,
        "finished": None,
        "seconds": 0,
        "cpu_seconds": 0,
        "peak_memory_bytes": 0,
        "exit_code": None,
        "attempts": 0,
        "log": None,
    }


def _log(session: Session, stage: Stage) -> Path:
    return session.logs / f"{stage.name}.log"


def _size(log: Path) -> int:
    try:
        return log.lstat().st_size
    except OSError:
        return 0


def read_tail(log: Path, session: Session, offset: int) -> str:
    """Return the end of a log, of what was written behind ``offset``; nothing if it is no log."""
    try:
        with open_inside(log, session.roots) as file:
            size = file.seek(0, 2)
            file.seek(max(offset, size - TAIL_BYTES))
            return file.read(TAIL_BYTES).decode("utf-8", "replace")
    except Unusable:
        return ""


def failed_packages(session: Session, stage: Stage, since: datetime) -> list[str]:
    """Return, of each package that this stage could not build, its name and the first error.

    Found by the marker that its builder leaves beside the package's logs.
    """
    directories = {
        Path(path).parent
        for pattern in stage.log_files
        for path in expand(str(pattern), str(session.workspace))
    }
    found = []
    for directory in sorted(directories):
        marker = directory / FAIL_MARKER
        try:
            if marker.lstat().st_mtime < int(since.timestamp()):
                continue
        except OSError:
            continue
        error = ""
        for name in _LOGS_OF_A_PACKAGE:
            error = error or excerpts.first_error(_text(directory / name, session))
        reason = excerpts.lines_of(_text(marker, session))
        found.append(f"{directory.name}: {error or (reason[0] if reason else 'it did not build')}")
    return found


def _text(path: Path, session: Session) -> str:
    try:
        return read_inside(path, session.roots).decode("utf-8", "replace")
    except Unusable:
        return ""
