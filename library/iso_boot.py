#!/usr/bin/python3
"""Boot virtual machines from an ISO or a disk, and wait for what they say on their serial line."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
---
module: iso_boot
short_description: Boot virtual machines and wait for lines on their serial line
version_added: "0.1.0"
author:
  - StarlingX build tools (@starlingx)
description:
  - Starts each of O(machines) in QEMU, as many at a time as there are cores, and waits for the
    lines that its steps name, in their order, on its first serial line.
  - Uses KVM only if a probe machine really boots with it (its device may exist and yet hang), else
    QEMU's own emulation.
  - No machine outlives the module, however it ends.
  - A check, so it never reports a change, although logs and a kept disk are written.
  - Never fails because of what a machine does; that is what RV(verdicts) says.
options:
  machines:
    description: The machines.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: For messages.
        type: str
        required: true
      firmware:
        description: What starts the machine.
        type: str
        choices: [bios, uefi]
        required: true
      cdrom:
        description: An ISO in its drive; none by default.
        type: path
      disk:
        description: >-
          A raw image as its disk; none by default. A file that does not exist is made, blank.
        type: path
      keep_disk:
        description: Whether what the machine writes to its disk stays there.
        type: bool
        default: false
      log:
        description: Where its serial line is written to.
        type: path
        required: true
      steps:
        description: >-
          What it has to say, in order. When the last step is done, the machine is switched off.
        type: list
        elements: dict
        required: true
        suboptions:
          name:
            description: The key in RV(verdicts).
            type: str
            required: true
          marker:
            description: A text of one line.
            type: str
            required: true
  time_limit:
    description: Seconds that each step may take.
    type: int
    required: true
  memory_mb:
    description: Memory of each machine, in MiB.
    type: int
    default: 1024
  disk_gb:
    description: Size of a disk that is made, in GiB.
    type: int
    default: 2
  failure_markers:
    description: A line that contains one of these ends a step as failed, at once.
    type: list
    elements: str
    default: ["Kernel panic - not syncing"]
attributes:
  check_mode:
    description: In check mode nothing is started, and every verdict is V(skipped).
    support: full
"""

EXAMPLES = r"""
- name: Boot the ISO under UEFI
  iso_boot:
    machines:
      - name: boot-uefi
        firmware: uefi
        cdrom: /localdisk/loadbuild/builder/master/20261101T020000Z/export/bootimage.iso
        log: /localdisk/loadbuild/builder/master/20261101T020000Z/sanity/boot-uefi.log
        steps:
          - name: boot-uefi
            marker: "SAMPLE: installer master/sample/20261101T020000Z ready"
    time_limit: 300
"""

RETURN = r"""
verdicts:
  description: How each step ended; V(skipped) is one that an earlier step did not let begin.
  returned: always
  type: dict
  sample: {"boot-uefi": {"result": "ok", "seconds": 14.2, "detail": ""}}
accelerator:
  description: What the machines ran on.
  returned: always
  type: str
  sample: tcg
  choices: [kvm, tcg]
"""

import ctypes
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import IO, Any

from ansible.module_utils.basic import AnsibleModule

PR_SET_PDEATHSIG = 1
QEMU = ("qemu-system-x86_64", "/usr/libexec/qemu-kvm")

# Code and empty variables of UEFI, where distributions put them: Debian and Ubuntu, then EL.
UEFI_FIRMWARE = (
    ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
    ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
    ("/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"),
)

# It takes a fraction of this with a KVM that works; one that hangs costs this at each call.
PROBE_SECONDS = 2
# mov dx,0x501; mov al,0x21; out dx,al; hlt - QEMU's isa-debug-exit turns the value into the exit
# code (0x21 << 1) | 1.
PROBE_CODE = b"\xba\x01\x05\xb0\x21\xee\xf4"
PROBE_EXIT = 0x43

POLL_SECONDS = 0.1
DETAIL_LINES = 15
# What menus and shells write beside text: a cursor that goes elsewhere begins a line, and colours
# and the like are nothing.
MOVE = re.compile(rb"\x1b\[[0-9;]*[Hf]|\r")
CONTROL = re.compile(rb"\x1b\[[0-9;?=]*[A-Za-z]|\x1b[()][A-Z0-9]|\x1b.|[\x00-\x09\x0b-\x1f\x7f]")


class Unable(Exception):
    """This host cannot do it; str() says what to do."""


def die_with_parent() -> None:
    """Have the kernel kill this process when the module ends, however it ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def start(arguments: list[str], errors: IO[bytes] | int) -> subprocess.Popen[bytes]:
    """Start QEMU with ``arguments``, its own messages going to ``errors``."""
    program = next((found for found in map(shutil.which, QEMU) if found), None)
    if program is None:
        raise Unable("QEMU is not installed: install qemu-system-x86 (Debian) or qemu-kvm (EL)")
    return subprocess.Popen(
        [program, "-no-user-config", "-nodefaults", "-display", "none", "-no-reboot", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=errors,
        preexec_fn=die_with_parent,  # noqa: PLW1509 - this process has one thread
    )


def end(process: subprocess.Popen[bytes]) -> None:
    """End ``process`` if it still runs."""
    process.kill()
    process.wait()


def escaped(path: Path | str) -> str:
    """Return ``path`` as a value of a QEMU option, in which a comma is written twice."""
    return str(path).replace(",", ",,")


def find_accelerator(scratch: Path) -> str:
    """Return "kvm" if a machine really boots with it, else "tcg"."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    disk = scratch / "probe.img"
    disk.write_bytes(PROBE_CODE.ljust(510, b"\0") + b"\x55\xaa")
    probe = start(
        [
            *("-machine", "q35", "-accel", "kvm", "-m", "16", "-device", "isa-debug-exit"),
            *("-drive", f"file={escaped(disk)},format=raw,if=ide,snapshot=on"),
        ],
        subprocess.DEVNULL,
    )
    try:
        return "kvm" if probe.wait(PROBE_SECONDS) == PROBE_EXIT else "tcg"
    except subprocess.TimeoutExpired:
        return "tcg"
    finally:
        end(probe)


class Machine:
    """One machine, and how far it has come."""

    def __init__(self, asked: dict[str, Any], params: dict[str, Any]) -> None:
        self.asked = asked
        self.memory_mb: int = params["memory_mb"]
        self.disk_gb: int = params["disk_gb"]
        self.time_limit: int = params["time_limit"]
        self.failure_markers: list[str] = params["failure_markers"]
        self.log = Path(asked["log"])
        self.left: list[dict[str, str]] = list(asked["steps"])
        self.verdicts: dict[str, dict[str, Any]] = {
            step["name"]: {"result": "skipped", "seconds": 0, "detail": ""} for step in self.left
        }
        self.began = 0.0
        self.process: subprocess.Popen[bytes] | None = None

    def arguments(self, accelerator: str, scratch: Path) -> list[str]:
        """Return QEMU's arguments for this machine."""
        given = ["-m", str(self.memory_mb), "-vga", "std"]
        given += ["-chardev", f"file,id=serial,path={escaped(self.log)}"]
        given += ["-serial", "chardev:serial"]
        # Nothing of a machine has to survive a power failure of the host.
        drive = "format=raw,cache=unsafe"
        if self.asked["firmware"] == "uefi":
            pair = next((p for p in UEFI_FIRMWARE if all(Path(f).is_file() for f in p)), None)
            if pair is None:
                raise Unable(
                    "UEFI firmware is not installed: install ovmf (Debian) or edk2-ovmf (EL)"
                )
            variables = scratch / f"{self.asked['name']}.vars"
            shutil.copyfile(pair[1], variables)
            given += ["-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={pair[0]}"]
            given += ["-drive", f"if=pflash,format=raw,unit=1,file={escaped(variables)}"]
        if self.asked["cdrom"]:
            cdrom = escaped(self.asked["cdrom"])
            given += ["-drive", f"if=ide,media=cdrom,readonly=on,format=raw,file={cdrom}"]
        if self.asked["disk"]:
            disk = Path(self.asked["disk"])
            if not disk.exists():
                with disk.open("wb") as stream:
                    stream.truncate(self.disk_gb << 30)
            snapshot = "off" if self.asked["keep_disk"] else "on"
            given += ["-drive", f"if=virtio,{drive},snapshot={snapshot},file={escaped(disk)}"]
        return ["-machine", "q35", "-accel", accelerator, *given]

    def switch_on(self, accelerator: str, scratch: Path) -> None:
        """Start the machine, with an empty log."""
        self.log.write_bytes(b"")
        self.errors = scratch / f"{self.asked['name']}.errors"
        with self.errors.open("wb") as errors:
            self.process = start(self.arguments(accelerator, scratch), errors)
        self.began = time.monotonic()

    def lines(self) -> list[str]:
        """Return what the machine has said so far, as a person would have seen it."""
        said = CONTROL.sub(b"", MOVE.sub(b"\n", self.log.read_bytes())).decode("utf-8", "ignore")
        lines = (" ".join(line.split()) for line in said.split("\n"))
        return [line for line in lines if any(map(str.isalnum, line))]

    def conclude(self, result: str, detail: str = "") -> None:
        """Note how the present step ended; only after a good one is there a next one."""
        now = time.monotonic()
        step = self.left.pop(0)
        self.verdicts[step["name"]] = {
            "result": result,
            "seconds": round(now - self.began, 1),
            "detail": detail,
        }
        self.began = now
        if result != "ok":
            self.left = []

    def last_words(self) -> str:
        """Return the last lines of the serial line, for a message."""
        said = [line[:200] for line in self.lines()][-DETAIL_LINES:]
        return (
            "; the last lines of its serial line:\n" + "\n".join(said)
            if said
            else ("; it wrote nothing to its serial line")
        )

    def look(self) -> None:
        """Take the machine further; it is switched off once it has no step left."""
        assert self.process is not None  # noqa: S101 - only machines that run are looked at
        # In this order: what a machine says before it ends counts.
        running = self.process.poll() is None
        lines = self.lines()
        while self.left and any(self.left[0]["marker"] in line for line in lines):
            self.conclude("ok")
        if self.left:
            bad = next((ln for ln in lines if any(m in ln for m in self.failure_markers)), None)
            marker = self.left[0]["marker"]
            if bad is not None:
                self.conclude("failed", f"the machine said '{bad}'{self.last_words()}")
            elif not running:
                why = self.errors.read_text(errors="replace").strip() or "the machine went off"
                self.conclude("failed", f"{why} before it said '{marker}'{self.last_words()}")
            elif time.monotonic() - self.began > self.time_limit:
                self.conclude(
                    "timeout", f"no '{marker}' within {self.time_limit} s{self.last_words()}"
                )
        if not self.left:
            end(self.process)


def run(machines: list[Machine], scratch: Path) -> str:
    """Run all ``machines``, as many at a time as there are cores; return the accelerator."""
    accelerator = find_accelerator(scratch)
    waiting = list(machines)
    on: list[Machine] = []
    try:
        while waiting or on:
            while waiting and len(on) < len(os.sched_getaffinity(0)):
                on.append(waiting.pop(0))
                on[-1].switch_on(accelerator, scratch)
            time.sleep(POLL_SECONDS)
            for machine in on:
                machine.look()
            on = [machine for machine in on if machine.left]
    finally:
        for machine in on:
            if machine.process is not None:
                end(machine.process)
    return accelerator


def arguments() -> dict[str, Any]:
    """Return the module's argument specification."""
    step = {"name": {"required": True}, "marker": {"required": True}}
    machine = {
        "name": {"required": True},
        "firmware": {"choices": ["bios", "uefi"], "required": True},
        "cdrom": {"type": "path"},
        "disk": {"type": "path"},
        "keep_disk": {"type": "bool", "default": False},
        "log": {"type": "path", "required": True},
        "steps": {"type": "list", "elements": "dict", "required": True, "options": step},
    }
    panic = ["Kernel panic - not syncing"]
    return {
        "machines": {"type": "list", "elements": "dict", "required": True, "options": machine},
        "time_limit": {"type": "int", "required": True},
        "memory_mb": {"type": "int", "default": 1024},
        "disk_gb": {"type": "int", "default": 2},
        "failure_markers": {"type": "list", "elements": "str", "default": panic},
    }


def main() -> None:
    """Read the arguments, boot and report."""
    module = AnsibleModule(argument_spec=arguments(), supports_check_mode=True)
    machines = [Machine(asked, module.params) for asked in module.params["machines"]]
    accelerator = "tcg"
    if not module.check_mode:
        # Told to end, the module ends its machines on the way out.
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: module.fail_json(msg="told to end while booting"))
        try:
            with tempfile.TemporaryDirectory() as scratch:
                accelerator = run(machines, Path(scratch))
        except (Unable, OSError) as error:
            module.fail_json(msg=str(error))
    verdicts: dict[str, Any] = {}
    for machine in machines:
        verdicts.update(machine.verdicts)
    module.exit_json(changed=False, verdicts=verdicts, accelerator=accelerator)


if __name__ == "__main__":
    main()
