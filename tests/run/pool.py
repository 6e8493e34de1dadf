# SPDX-License-Identifier: Apache-2.0
"""Runs jobs side by side: each into a log of its own, which is printed if it fails."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from jobs import PROJECT, Job

_PAUSE = 0.2  # seconds between two looks at what runs
# The exit status of a job that cannot run on this machine; its last line says why.
SKIPPED = 77


@dataclass(frozen=True)
class Result:
    """How a job ended; ``code`` is the command's exit status."""

    job: Job
    code: int
    seconds: int
    log: Path

    @property
    def text(self) -> str:
        """All that it said."""
        return self.log.read_text(errors="replace")


@dataclass
class _Running:
    job: Job
    process: subprocess.Popen[bytes]
    began: float
    log: Path
    out: IO[bytes]


def slots() -> int:
    """How many jobs at once: the cores, but two at least, because most of a job is waiting."""
    return max(2, min(os.cpu_count() or 1, 4))


def run(
    jobs: Sequence[Job], at_once: int, logs: Path, say: Callable[[str], None] = print
) -> list[Result]:
    """Run all jobs, in their order as far as slots and ``alone`` allow; a failure stops none."""
    logs.mkdir(parents=True, exist_ok=True)
    waiting, running, results = list(jobs), list[_Running](), list[Result]()
    try:
        while waiting or running:
            while len(running) < at_once and (job := _next(waiting, running)):
                waiting.remove(job)
                running.append(_start(job, logs))
                say(f"     {job.name}: started")
            for each in [entry for entry in running if entry.process.poll() is not None]:
                running.remove(each)
                results.append(_ended(each, say))
            time.sleep(_PAUSE)
    finally:
        for each in running:
            _end(each.process)
            each.out.close()
    return results


def _next(waiting: Sequence[Job], running: Sequence[_Running]) -> Job | None:
    busy = {each.job.alone for each in running} - {""}
    return next((job for job in waiting if job.alone not in busy), None)


def _start(job: Job, logs: Path) -> _Running:
    log = logs / (re.sub(r"[^a-z0-9.]+", "-", job.name.lower()).strip("-") + ".log")
    out = log.open("wb")
    process = subprocess.Popen(
        job.command,
        cwd=PROJECT,
        env={**os.environ, **job.environment},
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=subprocess.STDOUT,
        # So that all of it can be ended.
        start_new_session=True,
    )
    return _Running(job, process, time.monotonic(), log, out)


def _ended(each: _Running, say: Callable[[str], None]) -> Result:
    each.out.close()
    seconds = round(time.monotonic() - each.began)
    result = Result(each.job, each.process.returncode, seconds, each.log)
    if result.code == 0:
        say(f"ok   {each.job.name}: {seconds} s")
    elif result.code == SKIPPED:
        say(f"skip {each.job.name}")
    else:
        say(f"FAILED {each.job.name}: exit status {result.code} after {seconds} s; its output:")
        say(result.text.rstrip())
        say(f"FAILED {each.job.name}: the output above is in {each.log}")
    sys.stdout.flush()
    return result


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a job with everything that it started: asked first, then not."""
    for number, patience in ((signal.SIGTERM, 20), (signal.SIGKILL, 5)):
        try:
            os.killpg(process.pid, number)
            process.wait(patience)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue
