"""What the tests see of a build host, and how they steer the builds on it."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

STATE = "/var/lib/stx-mirror"
PUBLIC = "/srv/mirror/public"
# What stands in for a person at a terminal.
PERSON = "person.service"


class Build(NamedTuple):
    """A build that runs or has run."""

    id: str
    workspace: str


class BuildHost:
    """The scenario's host, by testinfra's connection to it."""

    def __init__(self, host) -> None:
        self.host = host
        self.run, self.sh = host.run, host.check_output

    def stx_mirror(self, *words: str):
        """Call the command, and wait for its end."""
        return self.run(shlex.join(["stx-mirror", *words]))

    def playbook(self, name: str, *words: str):
        """Play a playbook of the installed project as a person would."""
        words = ("../venv/bin/ansible-playbook", f"playbooks/{name}.yml", *words)
        return self.run(
            f"cd /opt/stx-mirror/current/project && runuser -u orchestrator -- {shlex.join(words)}"
        )

    def begin(self, *words: str) -> None:
        """Call the command as a person who can press Ctrl-C."""
        # systemd would take a `$` for a variable.
        typed = [word.replace("$", "$$") for word in words]
        self.sh(shlex.join(["systemd-run", "--quiet", f"--unit={PERSON}", "stx-mirror", *typed]))

    def end(self) -> int:
        """Wait until the person's command has ended; return its exit status."""
        wait_for(lambda: self.shown(PERSON, "ActiveState") in ("inactive", "failed"))
        status = int(self.shown(PERSON, "ExecMainStatus"))
        self.run(f"systemctl reset-failed {PERSON}")
        return status

    def shown(self, unit: str, name: str) -> str:
        """Return a property of a unit."""
        return self.sh(f"systemctl show --property={name} --value '{unit}'")

    def wait_until_over(self, unit: str) -> None:
        wait_for(lambda: self.shown(unit, "ActiveState") == "inactive")

    def json(self, path: str) -> Any:
        return json.loads(self.host.file(path).content_string)

    def record(self, build_id: str) -> Any:
        """Return the record as the build host has it."""
        return self.json(f"{STATE}/builds/{build_id}/build.json")

    def build(self, build_id: str) -> Build:
        session = self.json(f"{STATE}/builds/{build_id}/session.json")
        return Build(build_id, session["workspace"])

    def attempt(self, project: str) -> Any:
        """Return how the last run of a branch ended."""
        return self.json(f"{STATE}/status/{project}.json")["last_attempt"]

    def until_ready(self, project: str) -> Build:
        """Wait until the stage that a test steers does nothing but wait for that."""
        running = f"{STATE}/runner/{project}/running.json"

        def has_begun() -> bool:
            assert self.shown(PERSON, "ActiveState") == "active", self.sh(f"journalctl -u {PERSON}")
            return self.run(f'grep -q \'"part": "waiting"\' {running}').rc == 0

        wait_for(has_begun)
        build = self.build(self.json(running)["id"])
        wait_for(lambda: self.run(f"grep -q ready {build.workspace}/logs/waiting.log").rc == 0)
        return build

    def tell(self, build: Build, script: str) -> None:
        """Let the stage that waits do something."""
        go = f"{build.workspace}/go"
        self.sh(f"printf %s {shlex.quote(script)} >{go}.new && mv {go}.new {go}")

    def builders_processes(self) -> str:
        return self.run("pgrep -l -u builder").stdout


def wait_for(condition: Callable[[], bool], seconds: float = 180) -> None:
    """Wait until something holds; the machine may have much else to do."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.3)


@pytest.fixture(scope="module")
def builder(host) -> BuildHost:
    return BuildHost(host)
