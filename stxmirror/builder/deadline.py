"""How long a machine may take, measured by its progress and not by a clock on the wall.

Pure: the time and what the machine used come in as arguments. On a busy build host a machine gets a
part of a core, so a limit in seconds of the clock fails ISOs that are well. Three limits hold
instead, and one of them ends every machine:

- seconds of its own processor time: a machine that works, but to no end, meets it;
- seconds in which nothing moves: no output, no access to a disk, hardly any processor time, and
  none that it waits for; a machine that has halted or was stopped meets it;
- seconds of the clock, several times the first limit: nothing lasts without end.
"""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

# The clock may show this many times the limit of processor time.
WALL_FACTOR = 6
# What an emulator uses while its machine only waits: timers, and a guest that ticks.
_IDLE_SHARE = 0.1


@dataclass(frozen=True)
class Usage:
    """What a process has used so far.

    ``cpu`` and ``waited`` are seconds of all its threads: on a processor, and ready to run while
    others had the processor. ``disk_bytes`` were read from a disk and written to one.
    """

    cpu: float = 0.0
    waited: float = 0.0
    disk_bytes: int = 0


@dataclass(frozen=True)
class Limits:
    """Seconds of processor time, of standing still, and of the clock."""

    cpu: float
    still: float
    wall: float

    @classmethod
    def within(cls, time_limit: float) -> Limits:
        """Return the limits for ``time_limit``, in seconds of the machine's own processor time."""
        return cls(cpu=time_limit, still=time_limit, wall=WALL_FACTOR * time_limit)


class Expired(Enum):
    """Which limit was met."""

    CPU = "cpu"
    STILL = "still"
    WALL = "wall"


class Deadline:
    """The limits of one check, from the moment ``now`` on."""

    def __init__(self, limits: Limits, now: float, usage: Usage) -> None:
        self._limits = limits
        self._began = now
        self._usage_then = usage
        self._moved = now
        self._usage_moved = usage

    def seconds(self, now: float) -> float:
        """Return for how many seconds of the clock the check has lasted."""
        return now - self._began

    def cpu_seconds(self, usage: Usage) -> float:
        """Return how many seconds of processor time the machine has had since the check began."""
        return usage.cpu - self._usage_then.cpu

    def check(self, now: float, usage: Usage, *, wrote: bool) -> Expired | None:
        """Return which limit is met; ``wrote``: there was output since the last call."""
        if wrote or self._progressed(usage):
            self._moved = now
            self._usage_moved = usage
        if self.cpu_seconds(usage) > self._limits.cpu:
            return Expired.CPU
        if now - self._moved > self._limits.still:
            return Expired.STILL
        if self.seconds(now) > self._limits.wall:
            return Expired.WALL
        return None

    def _progressed(self, usage: Usage) -> bool:
        before = self._usage_moved
        worked = (usage.cpu - before.cpu) + (usage.waited - before.waited)
        return worked > _IDLE_SHARE * self._limits.still or usage.disk_bytes > before.disk_bytes
