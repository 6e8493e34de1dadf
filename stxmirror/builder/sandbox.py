"""Processes of the builder: the one way in which anything that a stream's author wrote runs.

The root helper ``run-as-builder`` (role scheduler) makes the view and ends the processes; this
module asks it. What it shows a process is in the helper's own documentation.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal, Protocol

from stxmirror.builder.untrusted_files import Unusable, read_inside
from stxmirror.errors import StxMirrorError

EndResult = Literal["ok", "failed", "timeout", "full", "too-big", "not-started"]


@dataclass(frozen=True)
class Task:
    """One command in a build's sandbox; times are seconds.

    ``sources`` is what it may do with the stream's git objects. ``max_bytes`` limits what
    workspace, sources and temporary files may grow to; 0 is no limit. ``input`` is what it reads.
    """

    command: Sequence[str]
    chdir: Path
    log: Path
    time_limit: int
    environment: Mapping[str, str]
    network: bool = False
    sources: Literal["read", "write", "none"] = "read"
    min_free_bytes: int = 0
    max_bytes: int = 0
    input: str = ""


@dataclass(frozen=True)
class Outcome:
    """How a command ended; ``why`` is one sentence, empty after a success."""

    result: EndResult
    why: str
    exit_code: int | None
    started: datetime
    finished: datetime
    seconds: float
    cpu_seconds: float
    peak_memory_bytes: int


class Sandbox(Protocol):
    """Where the commands of one build run."""

    def run(self, task: Task) -> Outcome:
        """Run a command to its end, with everything that it started."""

    def reset_sources(self) -> None:
        """Make the stream's checkout an empty directory."""

    def remove(self) -> None:
        """Remove the workspace, whoever owns what is in it."""


class RealSandbox:
    """The sandbox of a build host."""

    def __init__(self, helper: Path, project: str, workspace: str, kept: str = "") -> None:
        """``workspace`` is its build-date, ``kept`` the id of the build whose files are shown."""
        self.helper = helper
        self.where = {"project": project, "workspace": workspace}
        self.kept = kept

    def run(self, task: Task) -> Outcome:
        """Run a command to its end, with everything that it started."""
        request = {
            **self.where,
            "kept": self.kept,
            "command": list(task.command),
            "chdir": str(task.chdir),
            "log": str(task.log),
            "environment": dict(task.environment),
            "time_limit": task.time_limit,
            "network": task.network,
            "sources": task.sources,
            "min_free_bytes": task.min_free_bytes,
            "max_bytes": task.max_bytes,
            "input": task.input,
        }
        answer = self._ask("run", request)
        try:
            reply = json.loads(answer)
            return Outcome(
                result=reply["result"],
                why=reply["why"],
                exit_code=reply["exit_code"],
                started=_moment(reply["started"]),
                finished=_moment(reply["finished"]),
                seconds=reply["seconds"],
                cpu_seconds=reply["cpu_seconds"],
                peak_memory_bytes=reply["peak_memory_bytes"],
            )
        except (ValueError, KeyError, TypeError) as error:
            raise StxMirrorError(
                f"{self.helper.name} answered {answer[:200]!r}, which is no outcome of a command: "
                "provision the build host again"
            ) from error

    def reset_sources(self) -> None:
        """Make the stream's checkout an empty directory."""
        self._ask("reset", {"project": self.where["project"]})

    def remove(self) -> None:
        """Remove the workspace, whoever owns what is in it."""
        self._ask("remove", self.where)

    def _ask(self, verb: str, request: Mapping[str, Any]) -> str:
        done = subprocess.run(
            ["sudo", "-n", str(self.helper), verb],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            words = " ".join(done.stderr.split()) or f"exit status {done.returncode}"
            raise StxMirrorError(
                f"{self.helper.name} {verb} failed: {words}. Provision the build host again"
            )
        return done.stdout


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)


def run_program(
    sandbox: Sandbox,
    module: str,
    request: Mapping[str, Any],
    *,
    workspace: Path,
    task: Mapping[str, Any],
) -> dict[str, Any]:
    """Run a module of this package in the sandbox; return the result that it writes.

    It reads ``request``, with the path of the result's file as ``result``. Its output
    goes to a file of the workspace, whose last lines are in the error if there is no result.
    """
    name = module.rpartition(".")[2]
    # A name of its own: what the parent left in a workspace that is resumed is no result.
    result = f"{name}-{secrets.token_hex(4)}.json"
    full = {**request, "result": str(workspace / result)}
    log = workspace / f"{name}.log"
    outcome = sandbox.run(
        Task(
            command=[sys.executable, "-I", "-m", module],
            input=json.dumps(full),
            chdir=workspace,
            log=log,
            **task,
        )
    )
    try:
        found = json.loads(read_inside(workspace / result, [workspace]))
    except (Unusable, ValueError, RecursionError):
        found = None
    if outcome.result in ("ok", "failed") and isinstance(found, dict):
        return found
    try:
        output = read_inside(log, [workspace])[-2000:].decode("utf-8", "replace").strip()
    except Unusable:
        output = ""
    raise StxMirrorError(f"{name}: {outcome.why or outcome.result}; {output or 'no output'}")
