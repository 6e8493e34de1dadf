"""A build host of its own for the tests of run-as-builder, and builds that run on it."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parent
ROLES = TESTS.parent.parent / "roles"
INSTALLED = (
    ROLES / "scheduler/files/run-as-builder",
    ROLES / "scheduler/files/run_as_builder",
    ROLES / "build_env/files/package-server",
)
HELPER = "/usr/local/libexec/stx-mirror/run-as-builder"
# No account of the machine has it, nor another run of these tests.
BUILDER = 1000000 + os.getpid()
# Where every command finds nothing.
TEMPORARY = ("/tmp", "/var/tmp", "/dev/shm", "/run/lock")  # noqa: S108
# What a build may be allowed to take over.
KEPT = "master/centos/20261030T020000Z"


class Host:
    """This machine's programs over a disk of its own, in a mount name space of its own."""

    def __init__(self, keeper: int) -> None:
        self.root = Path(f"/proc/{keeper}/root")
        self.enter = ["nsenter", "--target", str(keeper), "--mount", "--"]

    def path(self, path: str) -> Path:
        """Return where a path of the host can be reached from here, as root."""
        return self.root / path.lstrip("/")

    def sh(self, script: str) -> str:
        """Run a script on the host, as root and outside of any build."""
        done = subprocess.run(
            [*self.enter, "sh", "-euc", script], check=True, capture_output=True, text=True
        )
        return done.stdout

    def call(self, verb: str, request: object) -> subprocess.CompletedProcess[str]:
        """Call the helper; request is any object, or the text itself."""
        return subprocess.run(
            [*self.enter, HELPER, verb],
            input=request if isinstance(request, str) else json.dumps(request),
            check=False,
            capture_output=True,
            text=True,
            timeout=300,
        )


class Build:
    """One build of one stream on the host."""

    def __init__(self, host: Host, project: str, workspace: str) -> None:
        self.host, self.project, self.workspace = host, project, workspace
        self.work = f"/localdisk/loadbuild/builder/{project}/{workspace}"
        self.state = f"/localdisk/loadbuild/sandbox/{project}/{workspace}"
        self.checkout = f"/localdisk/designer/builder/{project}"
        self.downloads = f"/import/streams/{project}"
        self.log = f"{self.work}/logs/stage.log"

    def request(self, command: list[str], **changes: Any) -> dict[str, Any]:
        """Return the request to run a command, with a few keys of one's own."""
        return {
            "project": self.project,
            "workspace": self.workspace,
            "command": command,
            "chdir": self.work,
            "environment": {},
            "log": self.log,
            "time_limit": 60,
            "network": False,
            "sources": "read",
            "kept": "",
            "min_free_bytes": 0,
            "max_bytes": 0,
            "input": "",
            **changes,
        }

    def run(self, command: list[str], **changes: Any) -> dict[str, Any]:
        """Run a command; return the verdict."""
        done = self.host.call("run", self.request(command, **changes))
        assert done.returncode == 0, done.stderr
        verdict: dict[str, Any] = json.loads(done.stdout)
        return verdict

    def sh(self, script: str, **changes: Any) -> str:
        """Run a script that succeeds; return what it wrote."""
        log = self.host.path(self.log)
        log.unlink(missing_ok=True)
        verdict = self.run(["sh", "-euc", script], **changes)
        output = log.read_text()
        assert verdict["result"] == "ok", (verdict, output)
        return output

    def start(self, script: str, **changes: Any) -> subprocess.Popen[bytes]:
        """Start the helper for a script, and do not wait for it."""
        running = subprocess.Popen(
            [*self.host.enter, HELPER, "run"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert running.stdin is not None
        running.stdin.write(json.dumps(self.request(["sh", "-euc", script], **changes)).encode())
        running.stdin.close()
        running.stdin = None
        return running


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.05)


def builders_processes() -> list[int]:
    """Return the processes of the account on this machine."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if entry.stat().st_uid == BUILDER:
                    found.append(int(entry.name))
            except FileNotFoundError:
                continue
    return found
