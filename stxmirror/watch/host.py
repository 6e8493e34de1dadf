"""Verdicts on the machine itself."""

from __future__ import annotations

from collections.abc import Sequence

from stxmirror.times import parse_time
from stxmirror.watch import facts, settings
from stxmirror.watch.model import CRITICAL, OK, UNKNOWN, WARNING, Verdict, above, age, below

DAY = 86400
_VERIFY_UNIT = "systemctl status stx-mirror-verify"
# systemd ends a unit some seconds after its limit.
OVERTIME_GRACE = 300


def disk(found: Sequence[facts.FileSystem], wanted: settings.Disks, now: float) -> list[Verdict]:
    """Judge how full each file system is, as df counts it."""
    verdicts = [
        _full("disk", system, system.used, "of its room is used", wanted) for system in found
    ]
    return verdicts or [Verdict("disk", "", UNKNOWN, "no file system was found to look at")]


def inodes(found: Sequence[facts.FileSystem], wanted: settings.Disks, now: float) -> list[Verdict]:
    """Judge how many of each file system's inodes are taken; some, such as btrfs, count none."""
    verdicts = [
        _full("inodes", system, system.inodes, "of its inodes are used", wanted)
        for system in found
        if system.inodes is not None
    ]
    return verdicts or [Verdict("inodes", "", UNKNOWN, "no file system was found to look at")]


def _full(
    check: str, system: facts.FileSystem, percent: float, words: str, wanted: settings.Disks
) -> Verdict:
    limits = wanted.paths.get(system.path, wanted.limits)
    state = above(percent, limits.warning, limits.critical)
    text = f"{percent:.1f} % {words}"
    if wanted.read_only_is_critical and system.is_read_only:
        state, text = CRITICAL, f"it is mounted read-only; {text}"
    return Verdict(check, system.path, state, text, value=percent, unit="percent")


def memory(found: facts.Memory, limits: settings.Limits, now: float) -> list[Verdict]:
    """Judge what programs could still get."""
    percent = 100 * found.available / found.total
    state = below(percent, limits.warning, limits.critical)
    return [
        Verdict("memory", "", state, f"{percent:.1f} % is available", value=percent, unit="percent")
    ]


def swap(found: facts.Memory, limits: settings.Limits, now: float) -> list[Verdict]:
    """Judge how much of the swap is taken."""
    if not found.swap_total:
        return [Verdict("swap", "", OK, "there is none")]
    percent = 100 * (found.swap_total - found.swap_free) / found.swap_total
    state = above(percent, limits.warning, limits.critical)
    return [Verdict("swap", "", state, f"{percent:.1f} % is used", value=percent, unit="percent")]


def clock(found: facts.Clock, wanted: settings.Nothing, now: float) -> list[Verdict]:
    """Judge whether the kernel says that something keeps its clock right."""
    error = found.max_error_seconds
    if not found.is_synchronised:
        text = "it is not synchronised: build-dates and promises go by it"
        return [Verdict("clock", "", WARNING, text, value=error, unit="seconds")]
    text = f"it is right within {error:.3f} s"
    return [Verdict("clock", "", OK, text, value=error, unit="seconds")]


def units(found: Sequence[str], wanted: settings.Units, now: float) -> list[Verdict]:
    """Judge which units systemd has as failed."""
    failed = [unit for unit in found if unit not in wanted.ignored]
    if not failed:
        return [Verdict("units", "", OK, "none has failed", value=0, unit="failed")]
    return [
        Verdict(
            "units",
            unit,
            CRITICAL if unit in wanted.critical else WARNING,
            f"it has failed: systemctl status {unit}",
        )
        for unit in sorted(failed)
    ]


def mounts(found: facts.Mounts, wanted: settings.MountPlaces, now: float) -> list[Verdict]:
    """Judge mounts and loop devices that a build left behind."""
    if found.builds:
        return [Verdict("mounts", "", OK, "a build runs, mounts are its own")]
    expected = {*found.expected, *wanted.expected}
    left = [
        Verdict("mounts", mount.path, WARNING, f"{mount.type} is mounted and no build runs")
        for mount in found.mounts
        if mount.path not in expected and _inside(mount.path, wanted.roots)
    ]
    left += [
        Verdict("mounts", loop.device, WARNING, f"it still has {loop.file}, and no build runs")
        for loop in found.loops
        if _inside(loop.file, wanted.roots)
    ]
    return left or [Verdict("mounts", "", OK, "no build left any behind")]


def _inside(path: str, roots: Sequence[str]) -> bool:
    return any(path.startswith(root.rstrip("/") + "/") for root in roots)


def locks(found: facts.Locks, wanted: settings.LockPlaces, now: float) -> list[Verdict]:
    """Judge what keeps builds from starting, and what never ended: holds, traces, units."""
    verdicts = []
    hold = found.hold
    if hold and now - hold.since >= wanted.hold_warning_hours * 3600:
        text = f"no build starts since {age(now - hold.since)}: {hold.reason or 'no reason'}"
        verdicts.append(Verdict("locks", "hold-builds", WARNING, text))
    for unit in found.units:
        if unit.limit is None:
            verdicts.append(Verdict("locks", unit.id, WARNING, "it runs without a time limit"))
        elif unit.seconds - unit.limit > OVERTIME_GRACE:
            text = f"it should have ended {age(unit.seconds - unit.limit)} ago and still runs"
            verdicts.append(Verdict("locks", unit.id, CRITICAL, text))
    if not found.units:
        verdicts += [
            Verdict("locks", path, WARNING, "it says that a build runs, and none does")
            for path in found.running
        ]
    return verdicts or [Verdict("locks", "", OK, "none is older than it should be")]


def uploads(found: Sequence[facts.Leftover], wanted: settings.Uploads, now: float) -> list[Verdict]:
    """Judge what lies in a mirror's staging and incoming for longer than an upload may last."""
    oldest = wanted.warning_hours * 3600
    left = [
        Verdict("uploads", entry.path, WARNING, f"it lies there since {age(now - entry.since)}")
        for entry in found
        if now - entry.since >= oldest
    ]
    return left or [Verdict("uploads", "", OK, "none is older than it may be")]


def verify(found: facts.Verified, wanted: settings.Verify, now: float) -> list[Verdict]:
    """Judge what a mirror's tree has that was not published so, and how long ago it was read."""
    damaged: dict[str, list[facts.Problem]] = {}
    for problem in found.problems:
        damaged.setdefault(problem.id, []).append(problem)
    verdicts = [_damage(build, problems) for build, problems in sorted(damaged.items())]
    if found.checked is None:
        state, text = UNKNOWN, "it has not run yet"
        if now - found.known_since >= wanted.days.warning * DAY:
            state, text = CRITICAL, "it never went through"
        return [*verdicts, Verdict("verify", "", state, f"{text}: {_VERIFY_UNIT}")]
    seconds = now - parse_time(found.checked).timestamp()
    state = above(seconds / DAY, wanted.days.warning, wanted.days.critical)
    text = f"it last went through {age(seconds)} ago"
    if state != OK:
        text += f": {_VERIFY_UNIT}"
    unread = 0.0 if found.oldest is None else now - parse_time(found.oldest).timestamp()
    if found.days is not None and unread > (found.days + wanted.days.warning) * DAY:
        state = max(state, WARNING)
        text += f"; some bytes were last read {age(unread)} ago, not within {found.days:.0f} days"
    return [*verdicts, Verdict("verify", "", state, text, value=seconds / DAY, unit="days")]


def _damage(build: str, problems: Sequence[facts.Problem]) -> Verdict:
    first = problems[0]
    more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
    intact = (f"{item.path} was intact at {item.since}" for item in problems if item.since)
    mend = f"sudo mirrorctl repair {build}" if build else "look at it, and remove it"
    text = f"{first.path}: {first.why}{more}: {mend}"
    return Verdict("verify", build or first.path, CRITICAL, text, tuple(intact))


def reboot(found: facts.Reboot, limits: settings.Days, now: float) -> list[Verdict]:
    """Judge whether a restart is pending, and since when."""
    if found.is_required is None:
        text = "this host has nothing that says whether a restart is pending"
        return [Verdict("reboot", "", UNKNOWN, text)]
    if not found.is_required:
        return [Verdict("reboot", "", OK, "none is pending", value=0, unit="days")]
    waited = max(0.0, now - found.since)
    days = waited / DAY
    state = above(days, limits.warning, limits.critical)
    text = f"pending for {age(waited)}: {found.why}"
    return [Verdict("reboot", "", state, text, value=days, unit="days")]
