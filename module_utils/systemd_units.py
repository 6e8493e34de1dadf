"""Bring systemd's units to what they shall be; all of them are asked for in one call."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

Run = Callable[[list[str]], tuple[int, str, str]]

_PROPERTIES = "LoadState,ActiveState,UnitFileState,NeedDaemonReload,StateChangeTimestamp"
# As `systemctl is-enabled` has it.
_ENABLED = {"enabled", "enabled-runtime", "static", "alias", "indirect", "generated"}
_RUNNING = {"active", "activating", "reloading"}


class UnitError(Exception):
    """A unit cannot be brought to what it shall be; the text says why and what to do."""


def ask(run: Run, names: list[str]) -> list[dict[str, str]]:
    """Return the properties of each unit, in the order of the names.

    Raises UnitError if systemd does not answer.
    """
    command = ["systemctl", "show", "--timestamp=unix", f"--property={_PROPERTIES}", "--", *names]
    code, out, err = run(command)
    if code:
        raise UnitError(f"systemd did not answer: {err.strip()}. See `systemctl status`.")
    blocks = out.strip("\n").split("\n\n")
    return [dict(line.split("=", 1) for line in block.split("\n")) for block in blocks]


def verbs(unit: Mapping[str, Any], state: Mapping[str, str], changed: bool) -> list[str]:
    """Return what systemctl has to do with a unit, whose files were changed or not."""
    needed = []
    masked = "masked" in (state["LoadState"], state["UnitFileState"])
    running = state["ActiveState"] in _RUNNING
    if unit["state"] == "stopped" and running:
        needed.append("stop")
    if unit["masked"] is not None and unit["masked"] != masked:
        needed.append("mask" if unit["masked"] else "unmask")
    enabled = state["UnitFileState"] in _ENABLED
    if unit["enabled"] and not enabled:
        needed.append("enable")
    # What is static or made by a generator cannot be disabled.
    if unit["enabled"] is False and state["UnitFileState"].startswith("enabled"):
        needed.append("disable")
    if unit["state"] == "started":
        if not running:
            needed.append("start")
        elif changed and unit["restart"]:
            needed.append("restart")
    return needed


def has_missed(state: Mapping[str, str], written: float) -> bool:
    """Return whether a running unit was last started or reloaded before its files were written.

    As after a run that was killed between a file and the handler that was to follow.
    """
    since = state.get("StateChangeTimestamp", "").lstrip("@")
    return state["ActiveState"] in _RUNNING and since.isdigit() and int(since) < int(written)


def bring(
    run: Run,
    units: list[dict[str, Any]],
    changed_paths: Iterable[str],
    check: bool,
    written: float = 0,
) -> dict[str, list[str]]:
    """Do what is needed, or in check mode nothing; return what was done with which unit.

    ``written`` is when one of the files was last written before this, in seconds since 1970. A unit
    that has missed it is restarted, or told as changed so that a handler follows. Raises UnitError
    for a unit that does not exist, or does not do as it is told.
    """
    changed_paths = list(changed_paths)
    states = ask(run, [unit["name"] for unit in units])
    rewritten = any("/systemd/system/" in path for path in changed_paths)
    if not check and (rewritten or any(s["NeedDaemonReload"] == "yes" for s in states)):
        systemctl(run, "daemon-reload")
        states = ask(run, [unit["name"] for unit in units])
    done = {}
    for unit, state in zip(units, states):
        missed = has_missed(state, written)
        needed = verbs(unit, state, bool(changed_paths) or missed)
        if state["LoadState"] == "not-found" and not check and set(needed) & {"enable", "start"}:
            raise UnitError(
                f"There is no unit {unit['name']}: install the package that has it, or see "
                f"`systemctl cat {unit['name']}`."
            )
        if needed:
            done[unit["name"]] = needed
        elif missed and unit["handled"]:
            done[unit["name"]] = ["reload"]
        for verb in [] if check else needed:
            systemctl(run, verb, unit["name"])
    return done


def systemctl(run: Run, *words: str) -> None:
    """Call systemctl. Raises UnitError with what it said if it fails."""
    code, out, err = run(["systemctl", "--quiet", *words])
    if code:
        said = (err or out).strip()
        raise UnitError(f"`systemctl {' '.join(words)}` failed: {said}")
