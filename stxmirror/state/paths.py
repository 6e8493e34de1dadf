"""Where things lie on a build host."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stxmirror import names
from stxmirror.layout import BuildId

# The account that plays the builds and keeps the records; the account that runs stages.
ORCHESTRATOR = "orchestrator"
BUILDER = "builder"
# What the systemd unit of a stream is called, before its directory and `.service`.
UNIT = "stx-build@"
# Where a build works and what was asked for; lies beside its record and is never published.
SESSION = "session.json"
_RUNNING = "running.json"


@dataclass(frozen=True)
class Paths:
    """The directories of a build host; tests give others."""

    etc: Path = Path("/etc/stx-mirror")
    state: Path = Path("/var/lib/stx-mirror")
    libexec: Path = Path("/usr/local/libexec/stx-mirror")
    # StarlingX's own places: its tools expect them.
    localdisk: Path = Path("/localdisk")
    # As a stage sees it; role scheduler's run-as-builder shows it each stream's own.
    inputs: Path = Path("/import/mirrors")
    streams: Path = Path("/import/streams")

    @property
    def build_unit(self) -> Path:
        """Starts and stops a stream's unit as root; role scheduler installs it."""
        return self.libexec / "build-unit"

    @property
    def run_as_builder(self) -> Path:
        """The only way to a process of the builder; role scheduler installs it."""
        return self.libexec / "run-as-builder"

    @property
    def inventory(self) -> Path:
        """The build host's own inventory."""
        return self.etc / "inventory"

    @property
    def environment(self) -> Path:
        """The site's proxy, as NAME=value lines."""
        return self.etc / "environment"

    @property
    def builds(self) -> Path:
        """The record of every build, in a directory named like the build."""
        return self.state / "builds"

    def build(self, build_id: str) -> Path:
        """What is kept of one build; the id is checked first."""
        return self.builds / str(BuildId.parse(build_id))

    def record(self, build_id: str) -> Path:
        """The record of one build; the id is checked first."""
        return self.build(build_id) / names.RECORD

    def session(self, build_id: str) -> Path:
        """Where one build works; the id is checked first."""
        return self.build(build_id) / SESSION

    def status_files(self) -> list[Path]:
        """The status of every branch that was ever built, sorted."""
        return sorted((self.state / "status").glob("*.json"))

    @property
    def way(self) -> Path:
        """How the mirror was reached when something was published last; never a secret."""
        return self.state / "way.json"

    def status(self, project: str) -> Path:
        """The outcome of the last runs of one branch."""
        return self.state / "status" / f"{project}.json"

    def runner(self, project: str) -> Path:
        """ansible-runner's private directory of one branch."""
        return self.state / "runner" / project

    def running(self, project: str) -> Path:
        """What the unit of one branch is doing; absent when it does nothing."""
        return self.runner(project) / _RUNNING

    def running_files(self) -> list[Path]:
        """Those of all branches that a unit is at work for, sorted."""
        return sorted((self.state / "runner").glob(f"*/{_RUNNING}"))

    def events(self, project: str) -> Path:
        """What the building modules have reported in the run of one branch."""
        return self.runner(project) / "events"

    def timings(self, project: str) -> Path:
        """How long each part of the last good run of one branch took."""
        return self.runner(project) / "timings.json"

    def console(self, project: str, token: str) -> Path:
        """The progress of one run, as a person follows it."""
        return self.runner(project) / "console" / f"{token}.log"

    def sources(self, project: str) -> Path:
        """The checkout of one branch (StarlingX's MY_REPO_ROOT_DIR)."""
        return self.localdisk / "designer" / BUILDER / project

    def source_cache(self, project: str) -> Path:
        """The git objects of one branch, which no stage can change."""
        return self.localdisk / "designer" / "cache" / project

    def workspaces(self, project: str) -> Path:
        """The workspaces of one branch, each named by a build-date."""
        return self.localdisk / "loadbuild" / BUILDER / project

    def downloads(self, project: str) -> Path:
        """What is shown to the stages of one branch as ``inputs``."""
        return self.streams / project

    @property
    def trees(self) -> Path:
        """The collected trees, each at its build's id."""
        return self.localdisk / "publish"

    @property
    def kept(self) -> Path:
        """What builds left for the next ones, each at its build's id."""
        return self.localdisk / "kept"
