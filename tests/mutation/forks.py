"""Processes side by side, each with a limit of its own."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

# How a process ends that could not do its work.
UNDECIDED = 70

Item = TypeVar("Item")


@dataclass(frozen=True)
class Limits:
    """How long a process may run: seconds of the processor, and of the clock."""

    cpu: int
    clock: float


@dataclass(frozen=True)
class Slots:
    """Runs forks side by side; after ``until`` it begins with no further one."""

    jobs: int
    until: float

    def run(
        self,
        items: Iterable[Item],
        run: Callable[[Item], int],
        limits: Callable[[Item], Limits],
    ) -> Iterator[tuple[Item, int]]:
        """Run each item in a fork; yield it with its exit code, below zero for a signal."""
        running: dict[int, tuple[Item, float]] = {}
        for item in items:
            while len(running) >= self.jobs:
                yield from _ended(running)
            if time.monotonic() > self.until:
                break
            limit = limits(item)
            pid = fork(partial(run, item), limit.cpu)
            running[pid] = (item, time.monotonic() + limit.clock)
        while running:
            yield from _ended(running)


def fork(run: Callable[[], int], cpu_seconds: int | None = None) -> int:
    """Call a function in a silent process of its own; return its id."""
    pid = os.fork()
    if pid:
        return pid
    code = UNDECIDED
    with contextlib.suppress(BaseException):
        os.setpgid(0, 0)
        if cpu_seconds is not None:
            resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 1))
        nothing = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(nothing, fd)
        code = run()
    os._exit(code)


def _ended(running: dict[int, tuple[Item, float]]) -> Iterator[tuple[Item, int]]:
    """Take away the processes that have ended, and end those that are past their time."""
    for pid, (item, deadline) in list(running.items()):
        ended, status = os.waitpid(pid, os.WNOHANG)
        late = not ended and time.monotonic() > deadline
        if late:
            os.killpg(pid, signal.SIGKILL)
            _, status = os.waitpid(pid, 0)
        if ended or late:
            del running[pid]
            yield item, os.waitstatus_to_exitcode(status)
    time.sleep(0.002)
