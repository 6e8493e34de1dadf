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
from collections.abc import Sequence
from pathlib import Path

from stxmirror import fields, lines
from stxmirror.state.paths import UNIT
from stxmirror.watch import facts, settings

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
        words = " ".join((done.stderr or done.stdout).split())[:300]
        raise OSError(f"{command[0]} ended with exit code {done.returncode}: {words}")
    return done.stdout


def mount_table() -> list[facts.Mount]:
    """Return what is mounted for the first process: a service sees less."""
    return parse_mounts(Path("/proc/1/mountinfo").read_bytes().decode(errors="surrogateescape"))


def parse_mounts(text: str) -> list[facts.Mount]:
    """Return what a text as in ``/proc/<pid>/mountinfo`` says is mounted."""
    table = []
    for line in lines.split(text):
        left, _, right = line.partition(" - ")
        # A path may hold other white space than the blank that parts the fields.
        words, kind = left.split(" "), right.split(" ")
        path = re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), words[4])
        options = {*words[5].split(","), *kind[2].split(",")} if len(kind) > 2 else set()
        table.append(
            facts.Mount(path=path, type=kind[0], device=words[2], is_read_only="ro" in options)
        )
    return table


def file_systems(wanted: settings.Disks) -> list[facts.FileSystem]:
    """Return how full each file system of a known type is, once each."""
    found: dict[str, facts.FileSystem] = {}
    table = mount_table()
    for mount in table:
        path = mount.path
        known = mount.type in wanted.types or path in wanted.paths
        if path != "/" and not known:
            continue
        if mount.device in found or any(path.startswith(f"{p}/") for p in wanted.skip):
            continue
        if mount.type == "tmpfs" and mount.is_read_only:
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
        found[mount.device] = facts.FileSystem(
            path=path,
            used=100 * taken / room,
            inodes=100 * (files - status.f_ffree) / files if files else None,
            is_read_only=mount.is_read_only,
        )
    missing = set(wanted.paths) - {mount.path for mount in table}
    if missing:
        raise OSError(f"not mounted: {', '.join(sorted(missing))}")
    return list(found.values())


def memory(wanted: settings.Limits) -> facts.Memory:
    """Return what /proc/meminfo says, in kB."""
    pairs = (line.split(":") for line in lines.split(Path("/proc/meminfo").read_text()))
    sizes = {name: int(value.split()[0]) for name, value in pairs}
    return facts.Memory(
        total=sizes["MemTotal"],
        available=sizes["MemAvailable"],
        swap_total=sizes["SwapTotal"],
        swap_free=sizes["SwapFree"],
    )


def clock(wanted: settings.Nothing) -> facts.Clock:
    """Ask the kernel how wrong its clock may be."""
    # struct timex with modes = 0: read only. It has 208 bytes.
    buffer = ctypes.create_string_buffer(512)
    if ctypes.CDLL(None, use_errno=True).adjtimex(buffer) < 0:
        raise OSError(ctypes.get_errno(), "adjtimex")
    _, _, _, error = struct.unpack_from("@Illl", buffer)
    return facts.Clock(error / 1e6, error / 1e6 < _MAX_ERROR)


def failed_units(wanted: settings.Units) -> list[str]:
    """Return the names of the units that have failed."""
    listed = output("systemctl", "list-units", "--state=failed", "--all", "--plain", "--no-legend")
    return [line.split()[0] for line in lines.split(listed) if line.strip()]


def build_units() -> list[facts.Unit]:
    """Return the builds that run, for how long, and how long they may."""
    shown = output(
        *("systemctl", "show", f"{UNIT}*.service"),
        "--property=Id,ActiveState,ActiveEnterTimestampMonotonic,RuntimeMaxUSec",
    )
    now = time.clock_gettime(time.CLOCK_MONOTONIC)
    found = []
    for block in shown.strip().split("\n\n"):
        shown_of = dict(line.partition("=")[::2] for line in lines.split(block))
        if shown_of.get("ActiveState") not in ("active", "activating", "deactivating", "reloading"):
            continue
        began = int(shown_of["ActiveEnterTimestampMonotonic"] or 0) / 1e6
        found.append(
            facts.Unit(
                id=shown_of["Id"],
                seconds=now - began if began else 0.0,
                limit=span_seconds(shown_of["RuntimeMaxUSec"]),
            )
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


def mounts(wanted: settings.MountPlaces) -> facts.Mounts:
    """Return what is mounted, what should be, and which loop devices have a file."""
    # The builds last: one that began meanwhile explains what was found.
    table = mount_table()
    listed = json.loads(output("losetup", "--json", "--list") or '{"loopdevices": []}')
    loops = [
        fields.mapping(loop, "a loop device")
        for loop in fields.items(fields.mapping(listed, "losetup's list"), "loopdevices", "it")
    ]
    fstab = Path("/etc/fstab")
    entries = [line.split() for line in lines.split(fstab.read_text() if fstab.exists() else "")]
    return facts.Mounts(
        mounts=tuple(table),
        loops=tuple(
            facts.Loop(
                device=fields.required(loop, "name", str, "a loop device"),
                file=fields.optional(loop, "back-file", str, "a loop device") or "",
            )
            for loop in loops
        ),
        expected=tuple(entry[1] for entry in entries if len(entry) > 1 and entry[0][0] != "#"),
        builds=tuple(unit.id for unit in build_units()),
    )


def locks(wanted: settings.LockPlaces) -> facts.Locks:
    """Return the hold on builds, and traces of builds that run."""
    hold = Path(wanted.hold)
    running = sorted(str(path) for path in Path(wanted.runner).glob("*/running.json"))
    try:
        reason = hold.read_text(errors="replace").strip()
        held: facts.Hold | None = facts.Hold(hold.stat().st_mtime, reason)
    except FileNotFoundError:
        held = None
    units = build_units()
    # One that has ended meanwhile took its trace along.
    running = [path for path in running if Path(path).exists()]
    return facts.Locks(held, tuple(running), tuple(units))


def uploads(wanted: settings.Uploads) -> list[facts.Leftover]:
    """Return what lies in staging and incoming, each with the time of its last change."""
    found = []
    for directory in wanted.directories:
        # These two are always there; what counts is what lies in them.
        always = [Path(directory, name) for name in ("scratch", "trash")]
        listed = list(Path(directory).iterdir())
        listed += [path for place in always if place.is_dir() for path in place.iterdir()]
        for path in sorted(set(listed) - set(always)):
            try:
                found.append(facts.Leftover(str(path), path.stat().st_mtime))
            except FileNotFoundError:
                continue  # promoted or expired meanwhile
    return found


def verified(wanted: settings.Verify) -> facts.Verified:
    """Return what a mirror's last reading of its tree found."""
    path = Path(wanted.file)
    known_since = Path(wanted.known_since).stat().st_mtime
    if not path.exists():
        return facts.Verified(None, known_since)
    raw = fields.mapping(json.loads(path.read_bytes()), str(path))
    return facts.Verified(
        checked=fields.optional(raw, "checked", str, str(path)),
        known_since=known_since,
        days=None if raw.get("days") is None else fields.number(raw, "days", str(path)),
        oldest=fields.optional(raw, "oldest", str, str(path)),
        problems=tuple(map(facts.Problem.parse, fields.items(raw, "problems", str(path)))),
    )


def reboot(wanted: settings.Days) -> facts.Reboot:
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
        stdout = output("needs-restarting", "-r", good=(0, 1))
        if "Reboot is required" in stdout:
            whys.append("updated core libraries or the kernel")
    # On Debian this is what writes the flag.
    hooks = ("etc/kernel/postinst.d/unattended-upgrades", "usr/share/update-notifier")
    can_tell = can_tell or any(Path("/", hook).exists() for hook in hooks)
    kernel = _newer_kernel()
    if kernel:
        whys.append(f"kernel {kernel[0]} is installed and {os.uname().release} runs")
        since = min(since, kernel[1])
    known = bool(whys) or can_tell or any(Path("/boot").glob("vmlinuz-*"))
    return facts.Reboot(bool(whys) if known else None, "; ".join(whys), since)


def _newer_kernel() -> tuple[str, float] | None:
    """Return a kernel that was installed after this one was started, and when."""
    began = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    kernels = [(p.stat().st_mtime, p.name[8:]) for p in Path("/boot").glob("vmlinuz-*")]
    if not kernels:
        return None
    when, newest = max(kernels)
    return (newest, when) if newest != os.uname().release and when > began else None
