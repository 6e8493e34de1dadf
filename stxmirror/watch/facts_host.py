"""Facts about the machine itself."""

from __future__ import annotations

import ctypes
import json
import os
import re
import shutil
import struct
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

TIMEOUT = 60
_SPAN = re.compile(r"([0-9]+)(us|ms|s|min|h|d|day|days|w|month|months|y)\b")
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1, "min": 60, "h": 3600, "d": 86400, "day": 86400}
_SECONDS |= {"days": 86400, "w": 604800, "month": 2629800, "months": 2629800, "y": 31557600}
# systemd's own measure of a clock that nothing keeps right, see timedatectl.
_MAX_ERROR = 16.0


def output(*command: str, stdin: str | None = None, good: Sequence[int] = (0,)) -> str:
    """Return what a command printed, or raise OSError with its own words."""
    done = subprocess.run(
        command,
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=TIMEOUT,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"},
    )
    if done.returncode not in good:
        said = " ".join((done.stderr or done.stdout).split())[:300]
        raise OSError(f"{command[0]} ended with exit code {done.returncode}: {said}")
    return done.stdout


def mount_table() -> list[dict[str, str]]:
    """Return what is mounted for the first process: a service sees less."""
    table = []
    for line in Path("/proc/1/mountinfo").read_text(errors="surrogateescape").splitlines():
        left, _, right = line.partition(" - ")
        fields, kind = left.split(), right.split()
        path = re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), fields[4])
        options = {*fields[5].split(","), *kind[2].split(",")} if len(kind) > 2 else set()
        table.append(
            {
                "path": path,
                "device": fields[2],
                "type": kind[0],
                "ro": "y" if "ro" in options else "",
            }
        )
    return table


def file_systems(settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return how full each file system of a known type is, once each."""
    found: dict[str, dict[str, Any]] = {}
    for mount in mount_table():
        path = mount["path"]
        known = mount["type"] in settings["types"] or path in settings.get("paths", {})
        if path != "/" and not known:
            continue
        if mount["device"] in found or any(path.startswith(f"{p}/") for p in settings["skip"]):
            continue
        if mount["type"] == "tmpfs" and mount["ro"]:
            continue  # credentials and masks: nothing can fill them
        try:
            status = os.statvfs(path)
            if not Path(path).is_dir():
                continue  # a file that lies over another one
        except FileNotFoundError:
            continue  # gone, or below another mount
        taken = status.f_blocks - status.f_bfree
        room = taken + status.f_bavail
        if not room:
            continue
        files = status.f_files
        found[mount["device"]] = {
            "path": path,
            "used": 100 * taken / room,
            "inodes": 100 * (files - status.f_ffree) / files if files else None,
            "read_only": bool(mount["ro"]),
        }
    missing = set(settings.get("paths", {})) - {mount["path"] for mount in mount_table()}
    if missing:
        raise OSError(f"not mounted: {', '.join(sorted(missing))}")
    return list(found.values())


def memory(settings: Mapping[str, Any]) -> dict[str, int]:
    """Return /proc/meminfo in kB."""
    pairs = (line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    return {name: int(value.split()[0]) for name, value in pairs}


def clock(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Ask the kernel how wrong its clock may be."""
    # struct timex with modes = 0: read only. It has 208 bytes.
    buffer = ctypes.create_string_buffer(512)
    if ctypes.CDLL(None, use_errno=True).adjtimex(buffer) < 0:
        raise OSError(ctypes.get_errno(), "adjtimex")
    _, _, _, error = struct.unpack_from("@Illl", buffer)
    return {"max_error_seconds": error / 1e6, "synchronised": error / 1e6 < _MAX_ERROR}


def failed_units(settings: Mapping[str, Any]) -> list[str]:
    """Return the names of the units that have failed."""
    listed = output("systemctl", "list-units", "--state=failed", "--all", "--plain", "--no-legend")
    return [line.split()[0] for line in listed.splitlines() if line.strip()]


def build_units() -> list[dict[str, Any]]:
    """Return the builds that run, for how long, and how long they may."""
    shown = output(
        *("systemctl", "show", "stx-build@*.service"),
        "--property=Id,ActiveState,ActiveEnterTimestampMonotonic,RuntimeMaxUSec",
    )
    now = time.clock_gettime(time.CLOCK_MONOTONIC)
    found = []
    for block in shown.strip().split("\n\n"):
        fields = dict(line.partition("=")[::2] for line in block.splitlines())
        if fields.get("ActiveState") not in ("active", "activating", "deactivating", "reloading"):
            continue
        began = int(fields["ActiveEnterTimestampMonotonic"] or 0) / 1e6
        found.append(
            {
                "id": fields["Id"],
                "seconds": now - began if began else 0.0,
                "limit": span_seconds(fields["RuntimeMaxUSec"]),
            }
        )
    return found


def span_seconds(text: str) -> float | None:
    """Return a time as systemd shows it (``2h 30min``) in seconds; ``infinity`` is none."""
    if text == "infinity":
        return None
    parts = _SPAN.findall(text)
    if not parts:
        raise ValueError(f"{text!r} is no length of time")
    return sum(int(number) * _SECONDS[unit] for number, unit in parts)


def mounts(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is mounted, what should be, and which loop devices have a file."""
    # The builds last: one that began meanwhile explains what was found.
    table = [{"path": m["path"], "type": m["type"]} for m in mount_table()]
    loops = json.loads(output("losetup", "--json", "--list") or '{"loopdevices": []}')
    fstab = Path("/etc/fstab")
    lines = fstab.read_text().splitlines() if fstab.exists() else []
    expected = [f[1] for f in (line.split() for line in lines) if len(f) > 1 and f[0][0] != "#"]
    return {
        "mounts": table,
        "loops": [
            {"device": loop["name"], "file": loop.get("back-file") or ""}
            for loop in loops["loopdevices"]
        ],
        "expected": expected,
        "builds": [unit["id"] for unit in build_units()],
    }


def locks(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the hold on builds, and traces of builds that run."""
    hold = Path(settings["hold"])
    running = sorted(str(path) for path in Path(settings["runner"]).glob("*/running.json"))
    try:
        held = {"since": hold.stat().st_mtime, "reason": hold.read_text(errors="replace").strip()}
    except FileNotFoundError:
        held = None
    units = build_units()
    # One that has ended meanwhile took its trace along.
    running = [path for path in running if Path(path).exists()]
    return {"hold": held, "running": running, "units": units}


def uploads(settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what lies in staging and incoming, each with the time of its last change."""
    found = []
    for directory in settings["directories"]:
        # These two are always there; what counts is what lies in them.
        always = [Path(directory, name) for name in ("scratch", "trash")]
        listed = list(Path(directory).iterdir())
        listed += [path for place in always if place.is_dir() for path in place.iterdir()]
        for path in sorted(set(listed) - set(always)):
            try:
                found.append({"path": str(path), "since": path.stat().st_mtime})
            except FileNotFoundError:
                continue  # promoted or expired meanwhile
    return found


def reboot(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return whether a restart is pending, by what the distribution says and by the kernels."""
    flag = Path("/run/reboot-required")
    whys, since, can_tell = [], time.time(), False
    if flag.exists():
        packages = Path(f"{flag}.pkgs")
        names = sorted(set(packages.read_text().split())) if packages.exists() else []
        whys.append("updated " + ", ".join(names) if names else f"{flag} is there")
        since = min(since, flag.stat().st_mtime)
    if shutil.which("needs-restarting", path="/usr/bin"):
        can_tell = True
        # 0: no; 1: yes.
        said = output("needs-restarting", "-r", good=(0, 1))
        if "Reboot is required" in said:
            whys.append("updated core libraries or the kernel")
    # On Debian this is what writes the flag.
    hooks = ("etc/kernel/postinst.d/unattended-upgrades", "usr/share/update-notifier")
    can_tell = can_tell or any(Path("/", hook).exists() for hook in hooks)
    kernel = _newer_kernel()
    if kernel:
        whys.append(f"kernel {kernel[0]} is installed and {os.uname().release} runs")
        since = min(since, kernel[1])
    known = bool(whys) or can_tell or any(Path("/boot").glob("vmlinuz-*"))
    return {"required": bool(whys) if known else None, "why": "; ".join(whys), "since": since}


def _newer_kernel() -> tuple[str, float] | None:
    """Return a kernel that was installed after this one was started, and when."""
    began = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    kernels = [(p.stat().st_mtime, p.name[8:]) for p in Path("/boot").glob("vmlinuz-*")]
    if not kernels:
        return None
    when, newest = max(kernels)
    return (newest, when) if newest != os.uname().release and when > began else None
