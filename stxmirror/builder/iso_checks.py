"""Checks the ISO of a build: reads it, boots it, installs it, and boots the installed disk.

``python -I -m stxmirror.builder.iso_checks REQUEST`` (a JSON object) runs as the account that
builds, without a network and with process ids of its own. It writes verdicts and exits 0 whatever
the ISO is like; it exits 1 with one sentence if this host cannot run the checks.

The two machines that start the installed disk wait for the installation; everything else runs side
by side as far as cores and memory allow.
"""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from stxmirror.builder import boot_plan, iso_file, machine
from stxmirror.builder.boot_plan import Job, Step, Verdict
from stxmirror.builder.deadline import Limits
from stxmirror.errors import StxMirrorError

# For how long a machine that writes nothing is left alone, and for how long one that writes goes on
# before it is read: a serial line comes letter by letter.
_QUIET_SECONDS = 0.5
_GATHER_SECONDS = 0.01


@dataclass(frozen=True)
class Request:
    """What is checked, and how; the members are those of the request's JSON object."""

    iso: Path
    build_id: str
    #: Where serial lines, and the disk while it is needed, are written; it exists.
    scratch: Path
    min_bytes: int
    memory_mb: int
    disk_gb: int
    #: Seconds of a machine's own processor time for each check.
    time_limit: int
    #: By ``boot``, ``install`` and ``installed``: what has to stand on the serial line.
    markers: Mapping[str, str]
    failure_markers: Sequence[str]
    #: Whether the installed disk is also started under UEFI.
    installed_uefi: bool
    #: The file that the verdicts are written to.
    result: Path

    @classmethod
    def read(cls, text: str) -> Request:
        """Return the request that a JSON object holds, or raise :class:`StxMirrorError`."""
        try:
            members: dict[str, Any] = json.loads(text)
            for name in ("iso", "scratch", "result"):
                members[name] = Path(members[name])
            request = cls(**members)
            missing = {"boot", "install", "installed"} - set(request.markers)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise StxMirrorError(f"this is not a request for checks: {error}") from error
        if missing:
            raise StxMirrorError(f"the request has no marker '{min(missing)}'")
        return request


def jobs(request: Request) -> list[Job]:
    """Return the machines to run; those whose checks others wait for come first."""
    boot = request.markers["boot"]
    install = Step("install", request.markers["install"])
    installed = request.markers["installed"]
    plan = [
        Job("iso-bios", "bios", (Step("boot-bios", boot), install), from_iso=True, disk="install"),
        Job("iso-uefi", "uefi", (Step("boot-uefi", boot),), from_iso=True),
        Job(
            "installed-bios",
            "bios",
            (Step("installed-boot", installed),),
            disk="installed",
            needs="install",
        ),
    ]
    if request.installed_uefi:
        plan.append(
            Job(
                "installed-uefi",
                "uefi",
                (Step("installed-boot-uefi", installed),),
                disk="installed",
                needs="install",
            )
        )
    return plan


class QemuHost:
    """This host, its machines run by QEMU; a context that frees what they share."""

    def __init__(self, request: Request) -> None:
        # Where nothing is mounted for these process ids, another process's numbers would be read.
        if Path("/proc/self").readlink() != Path(str(os.getpid())):
            raise machine.HostUnable("/proc is not that of this process: mount it in the sandbox")
        self._program = machine.find_qemu()
        machine.find_uefi()
        iso_file.find_xorriso()
        self._request = request
        self._disk: int | None = None
        self.cores = len(os.sched_getaffinity(0))
        self.slots = boot_plan.slots(self.cores, _available_mb(), request.memory_mb)
        self._probe = machine.Probe(self._program, request.scratch)

    def __enter__(self) -> QemuHost:
        return self

    def __exit__(self, *_: object) -> None:
        self._probe.stop()
        self._free_disk()

    @property
    def accelerator(self) -> machine.Accelerator:
        """Return what the machines run on."""
        return self._probe.result()

    def now(self) -> float:
        """Return the time, in seconds of a clock that nobody sets."""
        return time.monotonic()

    def load(self) -> float:
        """Return how many processes wanted a core in the last minute, on average."""
        return os.getloadavg()[0]

    def start(self, job: Job, log: str) -> machine.Guest:
        """Start a machine that writes its serial line to the file called ``log``."""
        request = self._request
        if job.disk == "install":
            self._free_disk()
            self._disk = machine.blank_disk(request.scratch, request.disk_gb)
        asked = machine.Machine(
            firmware=job.firmware,
            memory_mb=request.memory_mb,
            cdrom=request.iso if job.from_iso else None,
            disk=None if job.disk == "none" else self._disk,
            keeps_disk=job.disk == "install",
        )
        return machine.Guest(
            asked,
            program=self._program,
            accelerator=self.accelerator,
            log=request.scratch / log,
            folder=request.scratch,
        )

    def wait(self, guests: Sequence[machine.Guest]) -> list[bytes]:
        """Wait until a machine writes or ends, or a moment is over; return what each wrote."""
        if not select.select(guests, [], [], _QUIET_SECONDS)[0]:
            return [b""] * len(guests)
        time.sleep(_GATHER_SECONDS)
        readable = select.select(guests, [], [], 0)[0]
        return [guest.read() if guest in readable else b"" for guest in guests]

    def _free_disk(self) -> None:
        if self._disk is not None:
            os.close(self._disk)
            self._disk = None


def check(request: Request) -> dict[str, Any]:
    """Run all checks and return the content of the result file."""
    plan = jobs(request)
    # A build that is resumed has those of its parent.
    for name in boot_plan.log_names(plan):
        request.scratch.joinpath(name).unlink(missing_ok=True)
    with QemuHost(request) as host:
        began = time.monotonic()
        try:
            detail = iso_file.check(
                request.iso,
                request.build_id,
                min_bytes=request.min_bytes,
                scratch=request.scratch,
            )
            static = Verdict("ok", time.monotonic() - began, detail)
        except iso_file.UnfitIso as error:
            static = Verdict("failed", time.monotonic() - began, f"static: {error}")
        accelerator = host.accelerator
        verdicts = {"static": static} | boot_plan.run(
            plan if static.result == "ok" else [],
            host,
            limits=Limits.within(request.time_limit),
            failure_markers=request.failure_markers,
        )
    for job in plan:
        for step in job.steps:
            verdicts.setdefault(step.check, Verdict("skipped", detail="static was not ok"))
    return {
        "verdicts": {
            name: {**asdict(verdict), "seconds": round(verdict.seconds, 1)}
            for name, verdict in verdicts.items()
        },
        "accelerator": accelerator,
    }


def _available_mb() -> int:
    """Return how much memory new processes can have without others being swapped out, in MiB."""
    for line in Path("/proc/meminfo").read_text(encoding="ascii").split("\n"):
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) >> 10
    return 0


def _end(number: int, _frame: FrameType | None) -> None:
    # Leaves by the way of an error, which ends the machines.
    sys.exit(f"ended by {signal.Signals(number).name} during the checks of the ISO")


def main() -> int:
    """Run the checks that the request on standard input, as JSON, asks for."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, _end)
    try:
        request = Request.read(sys.stdin.read())
        content = check(request)
        draft = request.result.with_name(f".{request.result.name}.new")
        draft.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        draft.replace(request.result)
    except (StxMirrorError, OSError) as error:
        print(f"The ISO cannot be checked: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
