"""What runs inside the systemd unit of a stream: one playbook, watched, and its verdict.

systemd starts ``python -m stxmirror.controller.unit run`` as the unit's main process, and ``...
stopped`` when that is gone, however it ended. The unit is the lock, so nothing here locks anything.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from datetime import datetime, timedelta, timezone
from typing import Any

from stxmirror import parts, streams
from stxmirror.controller.inventory import load_streams
from stxmirror.controller.progress import Progress
from stxmirror.controller.project import project_directory
from stxmirror.controller.request import Request
from stxmirror.controller.verdict import ended_because, exit_code, failed_attempt, summary
from stxmirror.errors import StxMirrorError
from stxmirror.layout import project_name
from stxmirror.state import status
from stxmirror.state.builds import close_unfinished
from stxmirror.state.events import Events
from stxmirror.state.files import read_json, write_json
from stxmirror.state.paths import Paths
from stxmirror.state.status import Attempt
from stxmirror.times import format_time

# How many runs' artifacts and console logs are kept of each branch.
KEPT_RUNS = 20
TICK_SECONDS = 60.0
# How often what the modules report is looked at.
LOOK_SECONDS = 0.25
# How long the mirror is waited for where a publication was ended: systemd gives `stopped` ten.
ASK_SECONDS = 6.0


def now() -> datetime:
    """Return the current time, aware, in UTC."""
    return datetime.now(timezone.utc)


def wall_time(seconds: float) -> str | None:
    """Return the time so many seconds from now, or before now, as JSON has it."""
    return format_time(now() + timedelta(seconds=seconds))


class Run:
    """One request, carried out inside the unit."""

    def __init__(self, paths: Paths, request: Request) -> None:
        self.paths = paths
        self.request = request
        self.project = project_name(request.ref)
        stream = streams.stream_for(load_streams(paths), request.ref)
        self.directory = streams.directory_for(stream, request.ref)
        self.time_limit = stream.time_limit
        self.progress = Progress(
            began=time.monotonic(),
            expected=(read_json(paths.timings(self.project)) or {})
            if request.verb == "build"
            else {},
            build_id=request.build_id or None,
        )
        self.events = Events(paths.events(self.project))

    def execute(self) -> int:
        """Run the playbook to its end; return the exit code of the unit."""
        for build_id in self.close_leftovers("the build was killed, and the host with it"):
            say([f"build {build_id} of an earlier run had no verdict: closed as failed"])
        self.announce()
        over = threading.Event()
        watcher = threading.Thread(target=self.watch_until, args=(over,), daemon=True)
        watcher.start()
        try:
            outcome = run_playbook(self)
        finally:
            over.set()
            watcher.join()
        self.look()
        last_part = self.progress.part
        say(self.progress.finish_part(time.monotonic(), "failed"))
        return self.conclude(outcome, last_part)

    def close_leftovers(self, why: str) -> list[str]:
        """Close records without a verdict; the part that ran then is in running.json."""
        left = read_json(self.paths.running(self.project)) or {}
        return close_unfinished(
            self.paths, self.directory, why=why, part=left.get("part"), now=now()
        )

    def event(self, event: dict[str, Any]) -> bool:
        """Take in one event of ansible-runner, which keeps it if this says so."""
        if event.get("event") in ("runner_on_failed", "runner_on_unreachable"):
            self.progress.task_failed(event)
        return True

    def watch_until(self, over: threading.Event) -> None:
        """Say what the build reports, and every minute that a long part still runs."""
        last = time.monotonic()
        while not over.wait(LOOK_SECONDS):
            self.look()
            if time.monotonic() - last >= TICK_SECONDS:
                last = time.monotonic()
                say(self.progress.tick(last))

    def look(self) -> None:
        """Take in what was reported since the last look."""
        new = self.events.new()
        for event in new:
            say(self.progress.event(event, time.monotonic()))
        if new:
            self.announce()

    def announce(self) -> None:
        """Write what is running, for ``stx-mirror status``."""
        moment = time.monotonic()
        left = self.progress.remaining(moment)
        known = self.progress.expected.get(self.progress.part or "")
        write_json(
            self.paths.running(self.project),
            {
                "request": self.request.token,
                "verb": self.request.verb,
                "ref": self.request.ref,
                "directory": self.directory,
                "reason": self.request.reason,
                "started": self.request.started,
                "id": self.progress.build_id,
                "part": self.progress.part,
                "part_started": wall_time(self.progress.part_began - moment),
                "part_expected_seconds": known,
                "expected_end": None if left is None else wall_time(left),
            },
        )

    def conclude(self, outcome: str, last_part: str | None) -> int:
        """Say how it ended, keep the times of a good run, return the exit code."""
        attempt = self.last_attempt()
        if attempt is None:
            why = self.progress.first_error or (
                f"ansible-playbook ended ({outcome}) before it could report; its own words are in "
                f"{self.paths.runner(self.project)}/artifacts/{self.request.token}/stdout"
            )
            self.close_leftovers(why)
            attempt = failed_attempt(self.request, self.progress.build_id, why, last_part, now())
            status.write_attempt(self.paths, self.request.ref, self.project, attempt)
        self.close_leftovers("the build ended without closing its record")
        whole = self.request.verb == "build" and not self.request.resume_id
        if whole and attempt.result == "success":
            write_json(self.paths.timings(self.project), self.progress.seconds)
        say(summary(self.paths, attempt, self.request.verb))
        self.paths.running(self.project).unlink(missing_ok=True)
        return exit_code(attempt, self.request.verb)

    def last_attempt(self) -> Attempt | None:
        """Return what role report wrote about this very run."""
        attempt = status.read(self.paths, self.request.ref, self.project).last_attempt
        return attempt if attempt and attempt.request == self.request.token else None


def run_playbook(run: Run) -> str:
    """Run the request's playbook under ansible-runner; return how that ended, in one word."""
    # Late: it takes half a second, and `stopped` does not need it.
    import ansible_runner  # noqa: PLC0415

    private = run.paths.runner(run.project)
    # ansible-playbook is looked up by its name, and this environment's own is the right one.
    search = f"{sys.prefix}/bin:{os.environ.get('PATH', os.defpath)}"
    done = ansible_runner.run(
        private_data_dir=str(private),
        project_dir=str(project_directory()),
        playbook=f"playbooks/{run.request.verb}.yml",
        inventory=str(run.paths.inventory),
        extravars=run.request.extra_vars(run.time_limit),
        envvars={"PATH": search},
        ident=run.request.token,
        rotate_artifacts=KEPT_RUNS,
        event_handler=run.event,
        # Without this the variables of the first run would be kept in a file and win for ever.
        suppress_env_files=True,
        # SIGTERM ends this process at once; what that means for the build, `stopped` says.
        cancel_callback=lambda: False,
        quiet=True,
    )
    return str(done.status)


def say(lines: list[str]) -> None:
    """Print lines where whoever follows the run sees them at once."""
    for line in lines:
        print(line, flush=True)


def open_console(paths: Paths, request: Request) -> None:
    """Let everything that this process prints go to the run's own log."""
    project = project_name(request.ref)
    paths.runner(project).mkdir(parents=True, exist_ok=True)
    paths.runner(project).chmod(0o700)
    console = paths.console(project, request.token)
    console.parent.mkdir(exist_ok=True)
    for old in sorted(console.parent.glob("*.log"))[: -KEPT_RUNS + 1]:
        old.unlink()
    log = os.open(console, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)


def stopped(paths: Paths, request: Request, result: str) -> int:
    """Give a run that ended without a verdict one; ``result`` is systemd's SERVICE_RESULT."""
    project = project_name(request.ref)
    left = read_json(paths.running(project))
    if left is None or left.get("request") != request.token:
        return 0
    why = f"the build was ended: {ended_because(result)}"
    close_unfinished(paths, str(left["directory"]), why=why, part=left.get("part"), now=now())
    attempt = failed_attempt(request, left.get("id"), why, left.get("part"), now())
    status.write_attempt(paths, request.ref, project, attempt)
    paths.running(project).unlink(missing_ok=True)
    if attempt.failed_stage == parts.PUBLISH.word:
        ask_mirror(paths, request.ref, str(left["directory"]))
        attempt = status.read(paths, request.ref, project).last_attempt or attempt
    say(summary(paths, attempt, request.verb))
    return 0


def ask_mirror(paths: Paths, ref: str, directory: str) -> None:
    """Bring the status of a branch to what the mirror has: it may have a build that was cut off."""
    # As this program itself was started.
    python = [sys.executable, *(["-I"] if sys.flags.isolated else [])]
    program = ["-m", "stxmirror.builder.mirror_state", str(paths.state), ref, directory]
    try:
        done = subprocess.run(
            [*python, *program],
            check=False,
            capture_output=True,
            text=True,
            timeout=ASK_SECONDS,
        )
    except subprocess.TimeoutExpired:
        say(["the mirror was not asked whether it has the build: it does not answer"])
        return
    say([line for line in (done.stdout + done.stderr).split("\n") if line])


def main() -> None:
    """Carry out what systemd was told to start."""
    paths = Paths()
    request = Request.from_json(sys.stdin.read())
    open_console(paths, request)
    os.umask(0o022)
    try:
        if sys.argv[1:] == ["stopped"]:
            raise SystemExit(stopped(paths, request, os.environ.get("SERVICE_RESULT", "success")))
        raise SystemExit(Run(paths, request).execute())
    except StxMirrorError as error:
        say([f"stx-mirror: {error}"])
        raise SystemExit(1) from error


if __name__ == "__main__":
    main()
