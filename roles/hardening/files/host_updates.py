#!/usr/bin/python3 -I
# SPDX-License-Identifier: Apache-2.0
"""Install security updates, and restart the host for them, around the builds that run here.

    host-updates [--now] [--config FILE]

Run by stx-updates.timer every few minutes; each run does what can be done by then. An update, or a
restart that one asks for, waits while a build runs. Waiting too long it is overdue: from then on no
build starts (the hold file says why). Past the deadline nothing waits for a build any more. A
restart waits for its hours of the day besides, whatever else. --now looks for updates at once.

Exit status: 0 done or waiting, 1 something failed (the journal and root's mail say what), 2 the
configuration cannot be read.
"""

from __future__ import annotations

import argparse
import datetime
import json
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

CONFIG = Path("/etc/stx-mirror/updates.json")
STATE = Path("/var/lib/stx-updates/state.json")
SENDMAIL = Path("/usr/sbin/sendmail")
HOUR = 3600
# After a failure, until the next attempt.
RETRY_SECONDS = HOUR
# Between the hold and the second look: a build that passed the hold a moment before is seen then.
SETTLE_SECONDS = 3
# Begins the text of a hold that is ours; one that a person wrote stays.
OURS = "host-updates: "
# For a mail system that was never started: it may wait forever.
MAIL_TIMEOUT_SECONDS = 60
# Lines of a program's output that a mail repeats.
MAIL_LINES = 200


@dataclass(frozen=True)
class Policy:
    """How long to wait for builds, and when the host may restart."""

    overdue_seconds: int
    deadline_seconds: int
    restart: bool
    # Minutes of the day in UTC; equal ones mean the whole day.
    window: tuple[int, int]


@dataclass(frozen=True)
class State:
    """What is known between runs; times are seconds since 1970, 0 means never or not."""

    checked: int = 0
    pending_since: int = 0
    restart_since: int = 0
    failed: int = 0
    pending: tuple[str, ...] = ()


@dataclass(frozen=True)
class Decision:
    """What to do now, and why no build may start (empty: it may)."""

    install: bool
    restart: bool
    hold: str


def in_window(now: int, window: tuple[int, int]) -> bool:
    """Whether a moment lies in the hours of the day, which may pass midnight.

    >>> in_window(23 * 3600, (22 * 60, 2 * 60)), in_window(12 * 3600, (22 * 60, 2 * 60))
    (True, False)
    """
    start, end = window
    minute = now % (24 * HOUR) // 60
    if start == end:
        return True
    if start < end:
        return start <= minute < end
    return minute >= start or minute < end


def decide(now: int, builds: Sequence[str], state: State, policy: Policy) -> Decision:
    """Return what may happen now: first updates, because they may ask for a restart."""

    def waited(since: int, limit: int) -> bool:
        return since > 0 and now - since >= limit

    def free(since: int) -> bool:
        return not builds or waited(since, policy.deadline_seconds)

    restart_since = state.restart_since if policy.restart else 0
    install = (
        state.pending_since > 0
        and free(state.pending_since)
        and not (state.failed > 0 and now - state.failed < RETRY_SECONDS)
    )
    restart = (
        restart_since > 0 and not install and free(restart_since) and in_window(now, policy.window)
    )
    reasons = [
        f"{what} wait since {moment(since)}"
        for what, since in (("updates", state.pending_since), ("restart", restart_since))
        if waited(since, policy.overdue_seconds)
    ]
    return Decision(install, restart, ", ".join(reasons).replace("restart wait", "a restart waits"))


def moment(seconds: int) -> str:
    """Return a time as people read it."""
    when = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return when.strftime("%Y-%m-%d %H:%M UTC")


def parse_pending(output: str, status: int, commands: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of packages that the distribution's program would install."""
    if "pending_status" in commands:
        if status == commands["pending_status"]:
            return tuple(line.split()[0] for line in output.splitlines() if line[:1].strip())
        if status != 0:
            raise RuntimeError(f"{commands['pending'][0]} ended with status {status}: {output}")
        return ()
    if status != 0:
        raise RuntimeError(f"{commands['pending'][0]} ended with status {status}: {output}")
    found = re.search(commands["pending_pattern"], output, re.MULTILINE)
    return tuple(found[1].split()) if found else ()


def parse_window(start: str, end: str) -> tuple[int, int]:
    """Return hours of the day as minutes.

    >>> parse_window("22:00", "02:30")
    (1320, 150)
    """
    minutes = []
    for text in (start, end):
        hours, minute = text.split(":")
        minutes.append(int(hours) * 60 + int(minute))
    return minutes[0], minutes[1]


def run(command: Sequence[str]) -> tuple[int, str]:
    """Run a program; return its status and its whole output."""
    done = subprocess.run(
        list(command),
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    return done.returncode, done.stdout.strip()


class Host:
    """The host as it is: its builds, its updates, its hold on builds, its mail."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.commands = config["commands"]
        self.unit_pattern = config["builds"]
        self.hold_file = Path(config["hold_file"])
        self.mail_to = config["mail_to"]

    def builds(self) -> list[str]:
        """Return the units of builds that run, start, or are still ending."""
        status, output = run(
            [
                "systemctl",
                "list-units",
                "--plain",
                "--no-legend",
                "--state=active,activating,deactivating,reloading",
                "--",
                self.unit_pattern,
            ]
        )
        if status != 0:
            raise RuntimeError(f"systemctl does not say which builds run: {output}")
        return [line.split()[0] for line in output.splitlines() if line.strip()]

    def pending(self) -> tuple[str, ...]:
        """Return the packages that have security updates."""
        status, output = run(self.commands["refresh"])
        if status != 0:
            raise RuntimeError(f"{' '.join(self.commands['refresh'])}: {output}")
        status, output = run(self.commands["pending"])
        return parse_pending(output, status, self.commands)

    def wants_restart(self) -> bool:
        """Whether something that was installed is of use after a restart only."""
        if "restart_file" in self.commands:
            return Path(self.commands["restart_file"]).exists()
        status, output = run(self.commands["restart"])
        if status not in (0, self.commands["restart_status"]):
            raise RuntimeError(f"{' '.join(self.commands['restart'])}: {output}")
        return status == self.commands["restart_status"]

    def hold(self, reason: str) -> None:
        """Let no build start, for that reason; or, without one, let builds start again."""
        try:
            old = self.hold_file.read_text()
        except FileNotFoundError:
            old = None
        if old is not None and not old.startswith(OURS):
            return
        if reason:
            self.hold_file.parent.mkdir(mode=0o755, exist_ok=True)
            text = f"{OURS}{reason}\n"
            if text != old:
                write(self.hold_file, text)
                print(f"no build starts: {reason}")
        elif old is not None:
            self.hold_file.unlink()
            print("builds may start again")

    def mail(self, subject: str, text: str) -> None:
        """Tell root. What cannot be sent is in the journal all the same."""
        print(f"{subject}\n{text}".strip(), flush=True)
        if not self.mail_to or not SENDMAIL.exists():
            return
        lines = text.splitlines()
        if len(lines) > MAIL_LINES:
            lines = [
                "(the beginning is in the journal of stx-updates.service)",
                *lines[-MAIL_LINES:],
            ]
        name = run(["uname", "-n"])[1]
        message = (
            f"To: {self.mail_to}\nSubject: {name}: {subject}\nAuto-Submitted: auto-generated\n"
            "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\n"
            + "\n".join(lines)
            + "\n"
        )
        # timeout(1) ends what sendmail has started, too.
        done = subprocess.run(
            ["timeout", "--kill-after=5", str(MAIL_TIMEOUT_SECONDS), SENDMAIL, "-i", "-t"],
            input=message,
            text=True,
            capture_output=True,
            check=False,
        )
        if done.returncode != 0:
            print(f"the mail about it could not be sent ({done.returncode}): {done.stderr.strip()}")


def write(path: Path, text: str) -> None:
    """Replace a file in one step."""
    new = path.with_name(f".{path.name}.new")
    new.write_text(text)
    new.chmod(0o644)
    new.replace(path)


def load_state(path: Path) -> State:
    """Return what the last run knew; nothing, if it left nothing that can be read."""
    try:
        data = json.loads(path.read_text())
        return State(**{**data, "pending": tuple(data["pending"])})
    except (OSError, ValueError, TypeError, KeyError):
        return State()


def save_state(path: Path, state: State) -> None:
    """Leave for the next run what is known."""
    path.parent.mkdir(mode=0o755, exist_ok=True)
    write(path, json.dumps({**state.__dict__, "pending": list(state.pending)}) + "\n")


def look(host: Host, state: State, now: int) -> State:
    """Return the state with what updates there are now."""
    pending = host.pending()
    since = (state.pending_since or now) if pending else 0
    if pending and pending != state.pending:
        print(f"security updates: {' '.join(pending)}")
    return replace(state, checked=now, pending=pending, pending_since=since)


def looked(host: Host, state: State, now: int) -> tuple[State, bool]:
    """Ask for updates; return what is known then, and whether they could be asked for."""
    try:
        return replace(look(host, state, now), failed=0), True
    except RuntimeError as error:
        if now - state.failed < 24 * HOUR:
            print(error)
            return state, False
        host.mail("cannot look for security updates", str(error))
        return replace(state, failed=now), False


def installed(host: Host, state: State, now: int) -> tuple[State, bool]:
    """Install the updates; return what is known then, and whether all of them are in."""
    code, output = run(host.commands["install"])
    text = f"{' '.join(state.pending)}\n\n{output}"
    if code == 0:
        try:
            state = replace(look(host, replace(state, pending_since=0), now), failed=0)
        except RuntimeError as error:
            text += f"\n{error}"
    if code != 0 or state.pending_since:
        host.mail("security updates failed", text)
        return replace(state, failed=now), False
    host.mail("security updates installed", text)
    return state, True


def work(host: Host, policy: Policy, path: Path, check_seconds: int, now: int) -> int:
    """Do what can be done at this moment, remember what is known then, return the exit status."""

    def situation(state: State) -> tuple[State, Decision]:
        since = (state.restart_since or now) if host.wants_restart() else 0
        state = replace(state, restart_since=since)
        return state, decide(now, host.builds(), state, policy)

    def still(what: str, reason: str) -> bool:
        """Let no build start, and look once more whether one did meanwhile."""
        host.hold(reason)
        time.sleep(SETTLE_SECONDS)
        return bool(getattr(decide(now, host.builds(), state, policy), what))

    state, well = load_state(path), True
    if not 0 <= now - state.checked < check_seconds:
        state, well = looked(host, state, now)
    state, decision = situation(state)

    if decision.install and still("install", "updates are being installed"):
        state, done = installed(host, state, now)
        well = well and done
        state, decision = situation(state)

    if decision.restart and still("restart", "the host restarts"):
        # Before it: nothing that comes after is sure to run. The hold stays, and goes with /run.
        save_state(path, state)
        host.mail("restarting", f"A security update asked for it on {moment(state.restart_since)}.")
        code, output = run(host.commands["restart_host"])
        if code == 0:
            return 0 if well else 1
        host.mail("could not restart", output)
        well = False

    host.hold(decision.hold)
    if state.pending_since or state.restart_since:
        print(f"waiting: {' '.join(state.pending) or 'a restart'} {' '.join(host.builds())}")
    save_state(path, state)
    return 0 if well else 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Read, do, remember."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--now", action="store_true", help="look for updates at once")
    parser.add_argument("--config", type=Path, default=CONFIG)
    options = parser.parse_args(arguments)
    try:
        config = json.loads(options.config.read_text())
        policy = Policy(
            overdue_seconds=int(config["overdue_hours"] * HOUR),
            deadline_seconds=int(config["deadline_hours"] * HOUR),
            restart=config["restart"],
            window=parse_window(*config["restart_window"]),
        )
        host = Host(config)
        check_seconds = 0 if options.now else int(config["check_hours"] * HOUR)
        path = Path(config.get("state_file", STATE))
    except (OSError, ValueError, TypeError, KeyError) as error:
        print(f"host-updates: {options.config}: {error!r}", file=sys.stderr)
        return 2
    try:
        return work(host, policy, path, check_seconds, int(time.time()))
    except RuntimeError as error:
        print(f"host-updates: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
