"""One virtual machine in QEMU: its parts, its start, what it writes and what it uses.

Nothing of a machine has a name on the disk: its disk, the variables of its firmware and the
messages of QEMU are files without one, so that nothing stays behind, however this process ends. A
machine dies with the process that started it.
"""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from stxmirror.builder.deadline import Usage
from stxmirror.errors import StxMirrorError

Accelerator = Literal["kvm", "tcg"]
Firmware = Literal["bios", "uefi"]

_PR_SET_PDEATHSIG = 1
_PROGRAMS = ("qemu-system-x86_64", "/usr/libexec/qemu-kvm")

# Code and empty variables of UEFI, where distributions put them: Debian and Ubuntu, then EL.
_UEFI_FIRMWARE = (
    (Path("/usr/share/OVMF/OVMF_CODE_4M.fd"), Path("/usr/share/OVMF/OVMF_VARS_4M.fd")),
    (Path("/usr/share/OVMF/OVMF_CODE.fd"), Path("/usr/share/OVMF/OVMF_VARS.fd")),
    (Path("/usr/share/edk2/ovmf/OVMF_CODE.fd"), Path("/usr/share/edk2/ovmf/OVMF_VARS.fd")),
)

_KVM = Path("/dev/kvm")
# It takes a fraction of this with a KVM that works.
_PROBE_SECONDS = 2
# mov dx,0x501; mov al,0x21; out dx,al; hlt - QEMU's isa-debug-exit turns the value into the exit
# code (0x21 << 1) | 1.
_PROBE_CODE = b"\xba\x01\x05\xb0\x21\xee\xf4"
_PROBE_EXIT = 0x43

_READ_BYTES = 65536
# A machine that writes without end must not fill the volume.
_LOG_BYTES = 16 << 20
_TICKS = os.sysconf("SC_CLK_TCK")
_NANOSECONDS = 1_000_000_000


class HostUnable(StxMirrorError):
    """This host cannot run the checks; ``str()`` is one sentence that says what to install."""


@dataclass(frozen=True)
class Machine:
    """What a machine consists of; ``disk`` is a file descriptor from :func:`blank_disk`."""

    firmware: Firmware
    memory_mb: int
    cdrom: Path | None = None
    disk: int | None = None
    #: Whether what the machine writes to its disk stays there.
    keeps_disk: bool = False


def find_qemu() -> str:
    """Return the path of QEMU, or raise :class:`HostUnable`."""
    program = next((found for found in map(shutil.which, _PROGRAMS) if found), None)
    if program is None:
        raise HostUnable("QEMU is not installed: install qemu-system-x86 (Debian) or qemu-kvm (EL)")
    return program


def find_uefi() -> tuple[Path, Path]:
    """Return the paths of UEFI's code and of its empty variables, or raise :class:`HostUnable`."""
    for code, variables in _UEFI_FIRMWARE:
        if code.is_file() and variables.is_file():
            return code, variables
    raise HostUnable("UEFI firmware is not installed: install ovmf (Debian) or edk2-ovmf (EL)")


def blank_disk(folder: Path, gigabytes: int) -> int:
    """Return the descriptor of a new, empty file of ``gigabytes`` GiB that has no name.

    It takes room in ``folder``'s file system as it is written to, and is gone when it is closed.
    """
    descriptor, name = tempfile.mkstemp(dir=folder, prefix="disk-")
    Path(name).unlink()
    os.ftruncate(descriptor, gigabytes << 30)
    return descriptor


def start(
    program: str, arguments: list[str], *, folder: Path, errors: IO[bytes], kept: tuple[int, ...]
) -> subprocess.Popen[bytes]:
    """Start QEMU; its descriptors ``kept`` stay open, its own temporary files go to ``folder``."""
    parent = os.getpid()

    def die_with_parent() -> None:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        # It may have ended before the kernel was told.
        if os.getppid() != parent:
            os._exit(1)

    return subprocess.Popen(
        [program, "-no-user-config", "-nodefaults", "-display", "none", "-no-reboot", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=errors,
        pass_fds=kept,
        env={**os.environ, "TMPDIR": str(folder)},
        preexec_fn=die_with_parent,  # noqa: PLW1509 - this process has one thread
    )


def stop(process: subprocess.Popen[bytes]) -> None:
    """End ``process`` if it still runs, and wait for it."""
    process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _escaped(path: Path) -> str:
    """Return ``path`` as a value of a QEMU option, in which a comma is written twice."""
    return str(path).replace(",", ",,")


def _unnamed(content: bytes) -> int:
    descriptor = os.memfd_create("stx-mirror")
    with os.fdopen(os.dup(descriptor), "wb") as stream:
        stream.write(content)
    return descriptor


class Probe:
    """Finds out whether a machine really boots with KVM: its device may exist, and yet hang.

    It runs from the moment it is made, so that other work can be done until :meth:`result`.
    """

    def __init__(self, program: str, folder: Path) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        if not os.access(_KVM, os.R_OK | os.W_OK):
            return
        sector = _unnamed(_PROBE_CODE.ljust(510, b"\0") + b"\x55\xaa")
        arguments = ["-machine", "q35", "-accel", "kvm", "-m", "16", "-device", "isa-debug-exit"]
        drive = f"file=/proc/self/fd/{sector},format=raw,if=ide,snapshot=on"
        with tempfile.TemporaryFile() as errors:
            self._process = start(
                program, [*arguments, "-drive", drive], folder=folder, errors=errors, kept=(sector,)
            )
        os.close(sector)

    def result(self) -> Accelerator:
        """Return what machines run on; the second call has the answer of the first."""
        if self._process is None:
            return "tcg"
        try:
            return "kvm" if self._process.wait(_PROBE_SECONDS) == _PROBE_EXIT else "tcg"
        except subprocess.TimeoutExpired:
            return "tcg"
        finally:
            stop(self._process)


class Guest:
    """A machine that runs. What it writes to its serial line also goes to the file ``log``."""

    def __init__(
        self, machine: Machine, *, program: str, accelerator: Accelerator, log: Path, folder: Path
    ) -> None:
        self._log = log.open("wb", buffering=0)
        self._logged = 0
        self._errors = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by stop()
        kept = []
        given = ["-machine", "q35", "-accel", accelerator, "-m", str(machine.memory_mb)]
        given += ["-vga", "std", "-chardev", "stdio,id=serial,signal=off"]
        given += ["-serial", "chardev:serial"]
        if machine.firmware == "uefi":
            code, empty = find_uefi()
            variables = _unnamed(empty.read_bytes())
            kept.append(variables)
            given += ["-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={_escaped(code)}"]
            given += ["-drive", f"if=pflash,format=raw,unit=1,file=/proc/self/fd/{variables}"]
        if machine.cdrom is not None:
            cdrom = _escaped(machine.cdrom)
            given += ["-drive", f"if=ide,media=cdrom,readonly=on,format=raw,file={cdrom}"]
        if machine.disk is not None:
            kept.append(machine.disk)
            # Nothing of a machine has to survive a power failure of the host; and a host without
            # room is an error that the machine sees, not a reason to stand still.
            drive = "if=virtio,format=raw,cache=unsafe,werror=report"
            snapshot = "off" if machine.keeps_disk else "on"
            given += ["-drive", f"{drive},snapshot={snapshot},file=/proc/self/fd/{machine.disk}"]
        self._process = start(program, given, folder=folder, errors=self._errors, kept=tuple(kept))
        for descriptor in kept:
            if descriptor != machine.disk:
                os.close(descriptor)
        self._usage = Usage()
        self.running = True

    def fileno(self) -> int:
        """Return the descriptor that can be read once the machine has written or has ended."""
        assert self._process.stdout is not None  # noqa: S101 - it was started with a pipe
        return self._process.stdout.fileno()

    def read(self) -> bytes:
        """Return what the machine has written; to be called when the descriptor is readable."""
        data = os.read(self.fileno(), _READ_BYTES)
        if data:
            self._log.write(data[: _LOG_BYTES - self._logged])
            self._logged = min(_LOG_BYTES, self._logged + len(data))
        else:
            self._process.wait()
            self.running = False
        return data

    def usage(self) -> Usage:
        """Return what the machine has used; once it has ended, what it had used before."""
        process = Path("/proc", str(self._process.pid))
        # It may end at any moment, and threads do; the numbers of before are then good enough.
        with contextlib.suppress(OSError, ValueError, IndexError):
            # The name, in parentheses, may hold blanks: utime and stime are 12th and 13th after it.
            numbers = process.joinpath("stat").read_text().rpartition(")")[2].split()
            cpu = (int(numbers[11]) + int(numbers[12])) / _TICKS
            disk_bytes = sum(
                int(line.split()[1])
                for line in process.joinpath("io").read_text().splitlines()
                if line.startswith(("read_bytes:", "write_bytes:"))
            )
            waited = max(self._usage.waited, _waited(process))
            self._usage = Usage(cpu=cpu, waited=waited, disk_bytes=disk_bytes)
        return self._usage

    def errors(self) -> str:
        """Return QEMU's own messages."""
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace").strip()

    def stop(self) -> None:
        """End the machine if it still runs, and let go of what it had."""
        stop(self._process)
        self._log.close()
        self._errors.close()


def _waited(process: Path) -> float:
    """Return for how long all threads of ``process`` waited for a processor, as far as is known."""
    waited = 0
    for thread in process.joinpath("task").iterdir():
        # A kernel may be built without it.
        with contextlib.suppress(OSError):
            waited += int(thread.joinpath("schedstat").read_text().split()[1])
    return waited / _NANOSECONDS
