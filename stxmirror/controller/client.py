"""Starting, following and stopping the unit of a stream, from a terminal or from cron."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

from stxmirror.controller import verdict
from stxmirror.controller.project import project_directory
from stxmirror.controller.request import Request
from stxmirror.errors import StxMirrorError
from stxmirror.layout import project_name
from stxmirror.state import status
from stxmirror.state.files import read_json
from stxmirror.state.paths import ORCHESTRATOR, UNIT, Paths

# BSD's "temporary failure, try again": the stream is being built already.
EXIT_BUSY = 75
EXIT_INTERRUPTED = 130
POLL_SECONDS = 0.5


class BusyError(StxMirrorError):
    """The unit of the stream runs already."""


def become_orchestrator() -> None:
    """Continue as the account that builds; root may, and nobody else."""
    account = _account()
    if os.geteuid() == account.pw_uid:
        return
    if os.geteuid() != 0:
        raise StxMirrorError(f"run this as {ORCHESTRATOR} or as root: sudo stx-mirror ...")
    os.initgroups(account.pw_name, account.pw_gid)
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)
    os.environ.update(HOME=account.pw_dir, USER=account.pw_name, LOGNAME=account.pw_name)
    os.chdir(account.pw_dir)
    os.umask(0o022)


def _account() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(ORCHESTRATOR)
    except KeyError as error:
        project = project_directory()
        advice = (
            f"run playbooks/provision.yml in {project} to make one"
            if (project / "playbooks").is_dir()
            else "get the project's sources, which have the playbooks that make one (what pip "
            "installed has none), and begin with their README.md"
        )
        raise StxMirrorError(
            f"this command starts builds on a build host, and this host is none: {advice}"
        ) from error


def start(paths: Paths, request: Request, directory: str, time_limit: int) -> None:
    """Start the unit of a stream with this request; raise BusyError if it runs already."""
    done = subprocess.run(
        ["sudo", "-n", str(paths.build_unit), "start", directory, str(time_limit)],
        input=request.to_json(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == EXIT_BUSY:
        raise BusyError(busy_message(paths, request.ref))
    if done.returncode != 0:
        raise StxMirrorError(f"the build was not started: {' '.join(done.stderr.split())}")


def busy_message(paths: Paths, ref: str) -> str:
    """Say that a stream is being built: since when, how far, and what to do about it."""
    running = read_json(paths.running(project_name(ref)))
    if running is None:
        return f"{ref} is just starting or ending: try again in a minute"
    words = f"{ref} is being built since {running['started']}"
    if running["part"]:
        words += f", in {running['part']} since {running['part_started']}"
    return f"{words}: watch it with `stx-mirror follow {ref}`, end it with `stx-mirror stop {ref}`"


def stop(paths: Paths, directory: str) -> None:
    """End the unit of a stream with everything in it, and wait until it is gone."""
    done = subprocess.run(
        ["sudo", "-n", str(paths.build_unit), "stop", directory],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise StxMirrorError(f"the build was not stopped: {' '.join(done.stderr.split())}")


def unit_is_there(directory: str) -> bool:
    """Whether the unit of a stream runs, starts or is still ending."""
    unit = subprocess.run(
        ["systemd-escape", f"--template={UNIT}.service", "--", directory],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    shown = subprocess.run(
        ["systemctl", "show", "--property=ActiveState", "--value", "--", unit],
        check=False,
        capture_output=True,
        text=True,
    )
    if shown.returncode != 0:
        raise StxMirrorError(f"systemd does not answer: {' '.join(shown.stderr.split())}")
    return shown.stdout.strip() not in ("inactive", "failed")


def follow(paths: Paths, project: str, token: str, directory: str, out: IO[str]) -> None:
    """Copy the console log of a run to ``out`` until its unit is gone."""
    console = paths.console(project, token)
    position = 0
    there = True
    while there:
        # Asked before the last look at the log, so that its last lines are not missed.
        there = unit_is_there(directory)
        position = _copy_from(console, position, out)
        if there:
            time.sleep(POLL_SECONDS)


def _copy_from(file: Path, position: int, out: IO[str]) -> int:
    try:
        with file.open("rb") as stream:
            stream.seek(position)
            new = stream.read()
    except FileNotFoundError:
        return position
    out.write(new.decode("utf-8", "replace"))
    out.flush()
    return position + len(new)


def run(paths: Paths, request: Request, directory: str, time_limit: int) -> int:
    """Start a unit, follow it to its end, return the exit code of its verdict.

    Started by cron it is silent unless it fails. What happens to this
    process (Ctrl-C, a lost connection) does not touch the unit.
    """
    start(paths, request, directory, time_limit)
    project = project_name(request.ref)
    quiet = request.trigger == "cron"
    if not quiet:
        sys.stdout.write(
            f"{request.verb} of {directory}; Ctrl-C leaves it running, "
            f"`stx-mirror follow {request.ref}` comes back to it\n"
        )
    try:
        with Path(os.devnull).open("w") as null:
            follow(paths, project, request.token, directory, null if quiet else sys.stdout)
    except KeyboardInterrupt:
        sys.stdout.write(
            f"\nit goes on without you: `stx-mirror follow {request.ref}` or "
            f"`stx-mirror stop {request.ref}`\n"
        )
        return EXIT_INTERRUPTED
    code = outcome(paths, project, request)
    if quiet and code != 0:
        _copy_from(paths.console(project, request.token), 0, sys.stdout)
    return code


def outcome(paths: Paths, project: str, request: Request) -> int:
    """Return the exit code of a run that has ended."""
    attempt = status.read(paths, request.ref, project).last_attempt
    if attempt and attempt.request == request.token:
        return verdict.exit_code(attempt, request.verb)
    sys.stderr.write(
        "stx-mirror: the run ended without a verdict; "
        f"`journalctl -u '{UNIT}*' -n 50` may say why\n"
    )
    return 1
