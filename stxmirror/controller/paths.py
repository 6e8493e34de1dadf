"""Where things lie on a build host."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import stxmirror

ACCOUNT = "orchestrator"


@dataclass(frozen=True)
class Paths:
    """The directories of a build host; tests give others."""

    etc: Path = Path("/etc/stx-mirror")
    state: Path = Path("/var/lib/stx-mirror")
    # Starts and stops a stream's unit as root; role scheduler installs it.
    build_unit: Path = Path("/usr/local/libexec/stx-mirror/build-unit")

    @property
    def inventory(self) -> Path:
        """The build host's own inventory."""
        return self.etc / "inventory"

    @property
    def builds(self) -> Path:
        """The record of every build, in a directory named like the build."""
        return self.state / "builds"

    def status(self, project: str) -> Path:
        """The outcome of the last runs of one branch."""
        return self.state / "status" / f"{project}.json"

    def runner(self, project: str) -> Path:
        """ansible-runner's private directory of one branch."""
        return self.state / "runner" / project

    def running(self, project: str) -> Path:
        """What the unit of one branch is doing; absent when it does nothing."""
        return self.runner(project) / "running.json"

    def timings(self, project: str) -> Path:
        """How long each part of the last good run of one branch took."""
        return self.runner(project) / "timings.json"

    def console(self, project: str, token: str) -> Path:
        """The progress of one run, as a person follows it."""
        return self.runner(project) / "console" / f"{token}.log"


def project_directory() -> Path:
    """Return the directory with ansible.cfg and playbooks/ that belongs to this package.

    An installed version has it beside its environment; otherwise the package lies inside it.
    """
    installed = Path(sys.prefix).parent / "project"
    if (installed / "ansible.cfg").is_file():
        return installed
    return Path(stxmirror.__file__).resolve().parents[1]
