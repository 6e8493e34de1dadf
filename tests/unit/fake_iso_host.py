"""A host for machines whose clock is the test's: a second passes whenever somebody waits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from stxmirror.builder.boot_plan import Job
from stxmirror.builder.deadline import Usage


@dataclass
class Script:
    """What a machine does: seconds of its start and what it prints then, and what it uses."""

    prints: Sequence[tuple[float, bytes]] = ()
    # Of each second: on a processor, and ready to run without one.
    cpu: float = 1.0
    waited: float = 0.0
    reads_disk: bool = False
    # Nothing moves from this second on.
    halts: float = float("inf")
    ends: float = float("inf")
    errors: str = ""


class FakeGuest:
    """A machine that follows a script."""

    def __init__(self, script: Script, host: FakeHost) -> None:
        self.script, self.host = script, host
        self.began = host.clock
        self.printed = 0
        self.running = True
        self.stopped = False

    def usage(self) -> Usage:
        """Return what it has used since it started."""
        seconds = min(self.host.clock - self.began, self.script.halts)
        return Usage(
            cpu=self.script.cpu * seconds,
            waited=self.script.waited * seconds,
            disk_bytes=int(seconds * 4096) if self.script.reads_disk else 0,
        )

    def read(self) -> bytes:
        """Return what it printed since the last call."""
        seconds = self.host.clock - self.began
        data = b""
        while self.printed < len(self.script.prints):
            at, text = self.script.prints[self.printed]
            if at > seconds:
                break
            data += text
            self.printed += 1
        self.running = seconds < self.script.ends
        return data

    def errors(self) -> str:
        """Return what the emulator complained of."""
        return self.script.errors

    def stop(self) -> None:
        """End it."""
        self.stopped = True
        self.host.on.remove(self)


@dataclass
class FakeHost:
    """A host on which a second passes whenever somebody waits."""

    scripts: dict[str, Script]
    slots: int = 2
    cores: int = 2
    loaded: float = 1.0
    clock: float = 1000.0
    on: list[FakeGuest] = field(default_factory=list)
    most: int = 0
    started: list[tuple[str, float]] = field(default_factory=list)

    def now(self) -> float:
        """Return the test's time."""
        return self.clock

    def load(self) -> float:
        """Return the load that the test says."""
        return self.loaded

    def start(self, job: Job, log: str) -> FakeGuest:
        """Start the machine that the script of this log describes."""
        guest = FakeGuest(self.scripts[log.removesuffix(".log")], self)
        self.on.append(guest)
        self.most = max(self.most, len(self.on))
        self.started.append((log, self.clock - 1000))
        return guest

    def wait(self, guests: Sequence[FakeGuest]) -> list[bytes]:
        """Let a second pass."""
        self.clock += 1
        return [guest.read() for guest in guests]
