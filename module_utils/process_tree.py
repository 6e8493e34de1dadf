"""Processes on a build host that end as a whole: everything that this one has started."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36

# How long what is left behind has to tidy up after SIGTERM.
GRACE_SECONDS = 10.0
# How long SIGKILL is repeated against what keeps forking, before the rest is reported instead.
KILL_SECONDS = 10.0


def bequeath_to_me() -> None:
    """Let orphans below this process come to it, so that they stay its descendants."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent() -> None:
    """Let this process, just forked, be killed when its parent is gone."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _prctl(option: int, value: int) -> bool:
    """Call prctl(2); False where the kernel or the C library does not have it."""
    try:
        return ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) == 0
    except (AttributeError, OSError):
        return False


def descendants(root: int) -> list[int]:
    """Return the ids of all processes below ``root``, zombies left out, from /proc."""
    parents: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):  # noqa: PTH208 - only names are wanted
        if not entry.isdigit():
            continue
        try:
            # The name in parentheses may itself contain blanks and parentheses.
            fields = Path("/proc", entry, "stat").read_text(errors="replace").rpartition(")")[2]
        except OSError:
            continue
        state, parent = fields.split()[:2]
        if state != "Z":
            parents.setdefault(int(parent), []).append(int(entry))
    found: list[int] = []
    wanted = [root]
    while wanted:
        children = parents.get(wanted.pop(), [])
        found += children
        wanted += children
    return found


def reap() -> dict[int, int]:
    """Collect every child that has ended: process id -> wait status."""
    statuses: dict[int, int] = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return statuses
        if pid == 0:
            return statuses
        statuses[pid] = status


def send(pids: list[int], number: int) -> None:
    """Send a signal to each process that still exists and may be signalled."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def end_tree() -> list[int]:
    """End every descendant of this process; return the ids of those that could not be ended.

    Orphans come to this process (it is their subreaper), so "descendant" misses nobody who
    did not change user.
    """
    me = os.getpid()
    send(descendants(me), signal.SIGTERM)
    deadline = time.monotonic() + GRACE_SECONDS
    while descendants(me) and time.monotonic() < deadline:
        time.sleep(0.02)
        reap()
    deadline = time.monotonic() + KILL_SECONDS
    left = descendants(me)
    while left and time.monotonic() < deadline:
        send(left, signal.SIGKILL)
        time.sleep(0.02)
        reap()
        left = descendants(me)
    reap()
    return left
