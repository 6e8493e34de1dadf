"""Verdicts on the machine itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stxmirror.watch.model import CRITICAL, OK, UNKNOWN, WARNING, Verdict, above, age, below

DAY = 86400
# systemd ends a unit some seconds after its limit.
OVERTIME_GRACE = 300


def disk(facts: Sequence[Mapping[str, Any]], limits: Mapping[str, Any], now: float) -> list:
    """Judge how full each file system is, as df counts it."""
    return _full("disk", facts, limits, "used", "of its room is used")


def inodes(facts: Sequence[Mapping[str, Any]], limits: Mapping[str, Any], now: float) -> list:
    """Judge how many of each file system's inodes are taken."""
    return _full("inodes", facts, limits, "inodes", "of its inodes are used")


def _full(
    check: str, facts: Sequence[Mapping[str, Any]], limits: Mapping[str, Any], key: str, words: str
) -> list[Verdict]:
    verdicts = []
    for system in facts:
        path, percent = system["path"], system[key]
        own = {**limits, **limits.get("paths", {}).get(path, {})}
        if percent is None:
            continue  # a file system without a limit, such as btrfs for inodes
        state = above(percent, own["warning"], own["critical"])
        text = f"{percent:.1f} % {words}"
        if own.get("read_only_is_critical") and system.get("read_only"):
            state, text = CRITICAL, f"it is mounted read-only; {text}"
        verdicts.append(Verdict(check, path, state, text, value=percent, unit="percent"))
    if not verdicts:
        return [Verdict(check, "", UNKNOWN, "no file system was found to look at")]
    return verdicts


def memory(facts: Mapping[str, int], limits: Mapping[str, Any], now: float) -> list[Verdict]:
    """Judge what programs could still get."""
    percent = 100 * facts["MemAvailable"] / facts["MemTotal"]
    state = below(percent, limits["warning"], limits["critical"])
    return [
        Verdict("memory", "", state, f"{percent:.1f} % is available", value=percent, unit="percent")
    ]


def swap(facts: Mapping[str, int], limits: Mapping[str, Any], now: float) -> list[Verdict]:
    """Judge how much of the swap is taken."""
    if not facts["SwapTotal"]:
        return [Verdict("swap", "", OK, "there is none")]
    percent = 100 * (facts["SwapTotal"] - facts["SwapFree"]) / facts["SwapTotal"]
    state = above(percent, limits["warning"], limits["critical"])
    return [Verdict("swap", "", state, f"{percent:.1f} % is used", value=percent, unit="percent")]


def clock(facts: Mapping[str, Any], limits: Mapping[str, Any], now: float) -> list[Verdict]:
    """Judge whether the kernel says that something keeps its clock right."""
    error = facts["max_error_seconds"]
    if not facts["synchronised"]:
        text = "it is not synchronised: build-dates and promises go by it"
        return [Verdict("clock", "", WARNING, text, value=error, unit="seconds")]
    text = f"it is right within {error:.3f} s"
    return [Verdict("clock", "", OK, text, value=error, unit="seconds")]


def units(facts: Sequence[str], limits: Mapping[str, Any], now: float) -> list[Verdict]:
    """Judge which units systemd has as failed."""
    failed = [unit for unit in facts if unit not in limits["ignored"]]
    if not failed:
        return [Verdict("units", "", OK, "none has failed", value=0, unit="failed")]
    return [
        Verdict(
            "units",
            unit,
            CRITICAL if unit in limits["critical"] else WARNING,
            f"it has failed: systemctl status {unit}",
        )
        for unit in sorted(failed)
    ]


def mounts(facts: Mapping[str, Any], limits: Mapping[str, Any], now: float) -> list[Verdict]:
    """Judge mounts and loop devices that a build left behind."""
    if facts["builds"]:
        return [Verdict("mounts", "", OK, "a build runs, mounts are its own")]
    expected = {*facts["expected"], *limits["expected"]}
    left = [
        Verdict("mounts", mount["path"], WARNING, f"{mount['type']} is mounted and no build runs")
        for mount in facts["mounts"]
        if mount["path"] not in expected and _inside(mount["path"], limits["roots"])
    ]
    left += [
        Verdict(
            "mounts", loop["device"], WARNING, f"it still has {loop['file']}, and no build runs"
        )
        for loop in facts["loops"]
        if _inside(loop["file"], limits["roots"])
    ]
    return left or [Verdict("mounts", "", OK, "no build left any behind")]


def _inside(path: str, roots: Sequence[str]) -> bool:
    return any(path.startswith(root.rstrip("/") + "/") for root in roots)


def locks(facts: Mapping[str, Any], limits: Mapping[str, Any], now: float) -> list[Verdict]:
    """Judge what keeps builds from starting, and what never ended: holds, traces, units."""
    verdicts = []
    hold = facts["hold"]
    if hold and now - hold["since"] >= limits["hold_warning_hours"] * 3600:
        text = f"no build starts since {age(now - hold['since'])}: {hold['reason'] or 'no reason'}"
        verdicts.append(Verdict("locks", "hold-builds", WARNING, text))
    for unit in facts["units"]:
        over = unit["seconds"] - unit["limit"] if unit["limit"] is not None else None
        if over is None:
            verdicts.append(Verdict("locks", unit["id"], WARNING, "it runs without a time limit"))
        elif over > OVERTIME_GRACE:
            text = f"it should have ended {age(over)} ago and still runs"
            verdicts.append(Verdict("locks", unit["id"], CRITICAL, text))
    if not facts["units"]:
        verdicts += [
            Verdict("locks", path, WARNING, "it says that a build runs, and none does")
            for path in facts["running"]
        ]
    return verdicts or [Verdict("locks", "", OK, "none is older than it should be")]


def uploads(facts: Sequence[Mapping[str, Any]], limits: Mapping[str, Any], now: float) -> list:
    """Judge what lies in a mirror's staging and incoming for longer than an upload may last."""
    oldest = limits["warning_hours"] * 3600
    left = [
        Verdict(
            "uploads", entry["path"], WARNING, f"it lies there since {age(now - entry['since'])}"
        )
        for entry in facts
        if now - entry["since"] >= oldest
    ]
    return left or [Verdict("uploads", "", OK, "none is older than it may be")]


def reboot(facts: Mapping[str, Any], limits: Mapping[str, Any], now: float) -> list[Verdict]:
    """Judge whether a restart is pending, and since when."""
    if facts["required"] is None:
        text = "this host has nothing that says whether a restart is pending"
        return [Verdict("reboot", "", UNKNOWN, text)]
    if not facts["required"]:
        return [Verdict("reboot", "", OK, "none is pending", value=0, unit="days")]
    waited = max(0.0, now - facts["since"])
    days = waited / DAY
    state = CRITICAL if days >= limits["critical_days"] else OK
    if state == OK and days >= limits["warning_days"]:
        state = WARNING
    text = f"pending for {age(waited)}: {facts['why']}"
    return [Verdict("reboot", "", state, text, value=days, unit="days")]
