"""Real ssh into the host, and real runs of the role by an admin."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

KEYS = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
PROJECT = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])
SCENARIO = Path(os.environ["MOLECULE_SCENARIO_DIRECTORY"])
UNKNOWN_HOST = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]


@pytest.fixture(scope="session")
def address() -> str:
    """Where the host is on the containers' network."""
    template = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    return subprocess.run(
        ["podman", "inspect", "--format", template, "mol-users"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()


@pytest.fixture(scope="session")
def ssh_command(address):
    """The words of an ssh command: ssh_command(account, key, command, *options)."""

    def words(account: str, key: str, command: str = "", *options: str) -> list[str]:
        return [
            "ssh", "-F", "none", "-i", str(KEYS / key), "-o", "IdentitiesOnly=yes", *UNKNOWN_HOST,
            "-o", "BatchMode=yes", "-o", "LogLevel=ERROR", *options,
            f"{account}@{address}", command,
        ]  # fmt: skip

    return words


@pytest.fixture(scope="session")
def ssh(ssh_command):
    """Runs a command on the host over real ssh: ssh(account, key, command, *options)."""

    def call(*words: str):
        return subprocess.run(
            ssh_command(*words), check=False, capture_output=True, text=True, timeout=30
        )

    return call


@pytest.fixture(scope="session")
def play(address):
    """Runs people.yml as anna, as an admin would: play(*arguments)."""

    def call(*arguments: str):
        return subprocess.run(
            [
                "ansible-playbook", "-i", f"{address},", "-u", "anna",
                "--private-key", str(KEYS / "anna"),
                "--ssh-common-args", " ".join(UNKNOWN_HOST),
                "-e", "ansible_python_interpreter=/usr/bin/python3",
                *arguments, str(SCENARIO / "people.yml"),
            ],
            check=False,
            capture_output=True,
            text=True,
            timeout=300,
            cwd=PROJECT,
            env=os.environ | {"ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg")},
        )  # fmt: skip

    return call
