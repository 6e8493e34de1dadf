"""A stand-in for the build host's sandbox, for tests that do not run as root."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

from stxmirror.builder.checkout import remove
from stxmirror.builder.sandbox import EndResult, Outcome, Task
from stxmirror.state.paths import Paths

PROJECT = Path(__file__).resolve().parents[2]


class UnconfinedSandbox:
    """Runs a build's commands as this very user, and confines nothing at all.

    It makes the directories that ``run-as-builder`` makes, and lets the place of the inputs lead to
    those of the project, which is all that it has in common with the real one
    (tests/sandbox). What a command may not see, reach, fill or leave behind is not tested with it.
    """

    def __init__(self, paths: Paths, project: str, workspace: str) -> None:
        """``workspace`` is its build-date."""
        self.paths = paths
        self.project = project
        self.workspace = paths.workspaces(project) / workspace
        # What the commands were, for tests that ask what was done.
        self.tasks: list[Task] = []

    @property
    def home(self) -> Path:
        """HOME of the commands."""
        return self.paths.localdisk / "home" / self.project

    def run(self, task: Task) -> Outcome:
        """Run a command to its end; of what it started, only its own process group ends with it."""
        self.tasks.append(task)
        self._make_directories()
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "LC_ALL": "C.UTF-8",
            # The package under test may not be installed.
            "PYTHONPATH": str(PROJECT),
            **task.environment,
        }
        command = [
            word for word in task.command if (word, task.command[0]) != ("-I", sys.executable)
        ]
        started = datetime.now(timezone.utc)
        begun = time.monotonic()
        result: EndResult = "ok"
        code: int | None = None
        task.log.parent.mkdir(parents=True, exist_ok=True)
        with task.log.open("ab") as log, tempfile.TemporaryFile() as given:
            given.write(task.input.encode())
            given.seek(0)
            try:
                process = subprocess.Popen(
                    command,
                    cwd=task.chdir,
                    env=environment,
                    stdin=given,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            except OSError as error:
                result, why = "not-started", f"{command[0]}: {error.strerror}"
            else:
                try:
                    code = process.wait(task.time_limit)
                    result = "ok" if code == 0 else "failed"
                    why = "" if code == 0 else f"{command[0]} ended with exit code {code}"
                except subprocess.TimeoutExpired:
                    result, why = "timeout", f"{command[0]} ran for {task.time_limit} seconds"
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        return Outcome(
            result=result,
            why=why,
            exit_code=code,
            started=started,
            finished=datetime.now(timezone.utc),
            seconds=round(time.monotonic() - begun, 1),
            cpu_seconds=0.0,
            peak_memory_bytes=0,
        )

    def _make_directories(self) -> None:
        downloads = self.paths.downloads(self.project)
        for directory in (
            self.workspace,
            downloads,
            self.home,
            self.paths.sources(self.project),
            self.paths.source_cache(self.project),
        ):
            directory.mkdir(parents=True, exist_ok=True)
        self.paths.inputs.unlink(missing_ok=True)
        self.paths.inputs.symlink_to(downloads)

    def reset_sources(self) -> None:
        """Make the stream's checkout an empty directory."""
        sources = self.paths.sources(self.project)
        if sources.exists():
            remove(sources)
        sources.mkdir(parents=True)

    def remove(self) -> None:
        """Remove the workspace."""
        shutil.rmtree(self.workspace, ignore_errors=True)


def unconfined(paths: Paths) -> Callable[..., UnconfinedSandbox]:
    """Return what a :class:`~stxmirror.builder.session.Session` makes its sandboxes with."""

    def make(helper: Path, project: str, workspace: str, kept: str = "") -> UnconfinedSandbox:
        return UnconfinedSandbox(paths, project, workspace)

    return make
