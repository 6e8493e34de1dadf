"""What the end-to-end tests see of the demo: its page over HTTP and its hosts over SSH."""

from __future__ import annotations

import json
import shlex
import subprocess
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
DEMO = PROJECT / ".cache" / "demo"
URL = "http://127.0.0.1:8080/mirror/starlingx/"


@dataclass(frozen=True)
class Host:
    """One of the demo's two hosts, as its admin reaches it."""

    name: str

    def run(
        self, *command: str, user: str = "root", stdin: str = "", check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a command there; a failure shows both of its outputs."""
        login = () if user == "root" else ("-u", user, "-i")
        command = ("sudo", "-n", *login, "--", *command)
        done = subprocess.run(
            ["ssh", "-F", str(DEMO / "ssh" / "config"), self.name, shlex.join(command)],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        if check and done.returncode != 0:
            pytest.fail(
                f"{shlex.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}"
            )
        return done

    def script(self, text: str, user: str = "root") -> str:
        """Run a shell script there and return what it printed."""
        return self.run("sh", "-eu", "-s", user=user, stdin=text).stdout

    def stx_mirror(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """``stx-mirror`` as the account that cron uses."""
        return self.run("stx-mirror", *words, user="orchestrator", check=check)


@pytest.fixture(scope="session")
def builder() -> Host:
    return Host("builder")


@pytest.fixture(scope="session")
def mirror() -> Host:
    return Host("mirror")


def get(path: str, headers: dict[str, str] | None = None):
    """The response to a GET below the published prefix."""
    return urllib.request.urlopen(urllib.request.Request(URL + path, headers=headers or {}))


def get_json(path: str):
    with get(path) as response:
        return json.load(response)


def latest(directory: str = "master/sample") -> dict:
    """The build record behind an alias, as a client gets it."""
    return get_json(f"{directory}/latest_build/build.json")
