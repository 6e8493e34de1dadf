"""Runs machines in the order that their checks allow, and judges each check.

Pure but for :class:`Host`, which starts machines and knows the time: tests give one whose clock is
theirs. A check that timed out on a busy host is tried once more, with a machine of its own.
"""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic, Literal, Protocol, TypeVar

from stxmirror.builder.deadline import Deadline, Expired, Limits, Usage
from stxmirror.builder.machine import Firmware
from stxmirror.builder.serial import SerialLine

# Where the serial lines lie among what is published of a build.
LOG_FOLDER = "sanity"
_ATTEMPTS = 2
# The machine that is judged and a part of another one: more than that runs beside it.
_LOAD_BESIDE_CORES = 0.5
_LOW_SHARE = 0.5
_MEASURE_SECONDS = 0.5
# QEMU itself, and the code that its emulation translates.
_OVERHEAD_MB = 256

Result = Literal["ok", "failed", "timeout", "skipped"]


@dataclass(frozen=True)
class Verdict:
    """How one check ended; ``seconds`` are of the clock, ``detail`` is for people."""

    result: Result
    seconds: float = 0.0
    detail: str = ""
    attempts: int = 1


@dataclass(frozen=True)
class Step:
    """One check: the machine has to print a line that holds ``marker``."""

    check: str
    marker: str


@dataclass(frozen=True)
class Job:
    """One machine and its checks, in order; ``needs`` is the check that must be ok before."""

    name: str
    firmware: Firmware
    steps: tuple[Step, ...]
    from_iso: bool = False
    disk: Literal["none", "install", "installed"] = "none"
    needs: str | None = None


class Guest(Protocol):
    """A machine that runs."""

    running: bool

    def usage(self) -> Usage:
        """Return what it has used."""

    def errors(self) -> str:
        """Return what the emulator itself complained of."""

    def stop(self) -> None:
        """End it if it still runs."""


G = TypeVar("G", bound=Guest)


class Host(Protocol[G]):
    """Where machines run: ``slots`` is how many may run side by side."""

    slots: int
    cores: int

    def now(self) -> float:
        """Return the time, in seconds of a clock that nobody sets."""

    def load(self) -> float:
        """Return how many processes wanted a core in the last minute, on average."""

    def start(self, job: Job, log: str) -> G:
        """Start a machine that writes its serial line to the file called ``log``."""

    def wait(self, guests: Sequence[G]) -> list[bytes]:
        """Wait until a machine writes or ends, or a moment is over; return what each wrote."""


class Attempt(Generic[G]):
    """One run of a job's machine, and how far it has come."""

    def __init__(
        self,
        job: Job,
        number: int,
        guest: G,
        *,
        now: float,
        limits: Limits,
        failure_markers: Sequence[str],
    ) -> None:
        self.job = job
        self.number = number
        self.guest = guest
        #: Which limit was met, if one was.
        self.expired: Expired | None = None
        #: The part of the clock's time for which it had a processor, in the check judged last.
        self.cpu_share = 1.0
        self.verdicts: dict[str, Verdict] = {}
        self._limits = limits
        self._serial = SerialLine([step.marker for step in job.steps], failure_markers)
        self._deadline = Deadline(limits, now, guest.usage())
        self._measured = now
        self._wrote = False

    @property
    def log(self) -> str:
        """Return the name of its log."""
        return log_name(self.job, self.number)

    @property
    def done(self) -> bool:
        """Return whether every check that could be judged is."""
        return len(self.verdicts) == len(self.job.steps)

    def look(self, now: float, data: bytes) -> None:
        """Judge what the machine wrote since the last call, and what it used."""
        seen = self._serial.seen
        self._serial.feed(data)
        if not self.guest.running:
            self._serial.feed(b"")
        self._wrote = self._wrote or bool(data)
        for step in self.job.steps[seen : self._serial.seen]:
            self.verdicts[step.check] = Verdict("ok", self._deadline.seconds(now))
            self._deadline = Deadline(self._limits, now, self.guest.usage())
        if self.done:
            return
        if self._serial.failure is not None:
            self._conclude(now, "failed", f"printed '{self._serial.failure}' instead of")
        elif not self.guest.running:
            errors = self.guest.errors()
            why = f"ended with the message of QEMU '{errors}'" if errors else "switched itself off"
            self._conclude(now, "failed", f"{why} and did not print")
        elif now - self._measured >= _MEASURE_SECONDS:
            self._measured = now
            self._check_deadline(now)

    def _check_deadline(self, now: float) -> None:
        usage = self.guest.usage()
        self.expired = self._deadline.check(now, usage, wrote=self._wrote)
        self._wrote = False
        if self.expired is None:
            return
        clock, cpu = self._deadline.seconds(now), self._deadline.cpu_seconds(usage)
        self.cpu_share = cpu / clock
        what, when = {
            Expired.CPU: (
                "did not print",
                f"within {self._limits.cpu:g} s of its own CPU time (wall {clock:.0f} s)",
            ),
            Expired.STILL: (
                f"stood still for {self._limits.still:g} s and did not print",
                f"(own CPU time {cpu:.0f} s, wall {clock:.0f} s)",
            ),
            Expired.WALL: (
                "did not print",
                f"within {clock:.0f} s, in which it had {cpu:.0f} s of CPU time",
            ),
        }[self.expired]
        self._conclude(now, "timeout", what, when)

    def _conclude(self, now: float, result: Result, what: str, when: str = "") -> None:
        """Note how the check that is due ended; those after it are skipped."""
        step, *later = self.job.steps[self._serial.seen :]
        seconds = self._deadline.seconds(now)
        which = "" if self.number == 1 else f", attempt {self.number}"
        reason = (
            f"{step.check}: the machine {what} '{step.marker}' {when or f'after {seconds:.1f} s'}"
            f"{which}; log {LOG_FOLDER}/{self.log}"
        )
        lines = self._serial.last_lines() or ["Nothing was written to the serial line."]
        self.verdicts[step.check] = Verdict(result, seconds, "\n".join([reason, *lines]))
        for other in later:
            self.verdicts[other.check] = _skipped(step.check)


def log_name(job: Job, attempt: int) -> str:
    """Return the name of the file that an attempt's serial line goes to."""
    return f"{job.name}.log" if attempt == 1 else f"{job.name}-{attempt}.log"


def slots(cores: int, available_mb: int, memory_mb: int) -> int:
    """Return how many machines of ``memory_mb`` MiB may run side by side; one always may."""
    return max(1, min(cores, available_mb // (memory_mb + _OVERHEAD_MB)))


def run(
    jobs: Sequence[Job], host: Host[G], *, limits: Limits, failure_markers: Sequence[str]
) -> dict[str, Verdict]:
    """Run all ``jobs`` and return the verdict of each check."""
    verdicts: dict[str, Verdict] = {}
    first: dict[str, Mapping[str, Verdict]] = {}
    waiting = [(job, 1) for job in jobs]
    running: list[Attempt[G]] = []
    try:
        while waiting or running:
            blocked = []
            for job, number in waiting:
                need = verdicts.get(job.needs) if job.needs else Verdict("ok")
                if need is not None and need.result != "ok":
                    verdicts.update({step.check: _skipped(job.needs) for step in job.steps})
                elif need is None or len(running) >= host.slots:
                    blocked.append((job, number))
                else:
                    guest = host.start(job, log_name(job, number))
                    running.append(
                        Attempt(
                            job,
                            number,
                            guest,
                            now=host.now(),
                            limits=limits,
                            failure_markers=failure_markers,
                        )
                    )
            waiting = blocked
            if not running:
                continue
            written = host.wait([attempt.guest for attempt in running])
            for attempt, data in zip(running, written, strict=True):
                attempt.look(host.now(), data)
            for attempt in [attempt for attempt in running if attempt.done]:
                running.remove(attempt)
                attempt.guest.stop()
                if attempt.number < _ATTEMPTS and _deserves_another(attempt, host):
                    first[attempt.job.name] = attempt.verdicts
                    waiting.insert(0, (attempt.job, attempt.number + 1))
                else:
                    verdicts.update(_merged(first.get(attempt.job.name), attempt))
    finally:
        for attempt in running:
            attempt.guest.stop()
    return verdicts


def _deserves_another(attempt: Attempt[G], host: Host[G]) -> bool:
    """Return whether the host, and not the ISO, may be the reason of a time-out."""
    if attempt.expired is None:
        return False
    # A machine that stood still has had little of the processor by its own choice.
    starved = attempt.expired is not Expired.STILL and attempt.cpu_share < _LOW_SHARE
    return starved or host.load() > host.cores + _LOAD_BESIDE_CORES


def _merged(first: Mapping[str, Verdict] | None, last: Attempt[G]) -> dict[str, Verdict]:
    """Return the verdicts of a job that was tried once or twice."""
    if first is None:
        return last.verdicts
    merged = {}
    for check, before in first.items():
        verdict = last.verdicts[check]
        if verdict.result == "skipped" or (before.result == "ok" and verdict.result == "ok"):
            merged[check] = before
        elif verdict.result == "ok":
            reason = before.detail.partition("\n")[0]
            merged[check] = replace(
                verdict, attempts=last.number, detail=f"Not in the first attempt: {reason}"
            )
        else:
            merged[check] = replace(verdict, attempts=last.number)
    return merged


def _skipped(needs: str | None) -> Verdict:
    return Verdict("skipped", detail=f"{needs} was not ok")
