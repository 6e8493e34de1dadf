"""The environment that StarlingX's tools are called with."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pkgbuild import BuildError

DISTRO = "centos"
TYPES = ("std", "rt", "installer")


@dataclass(frozen=True)
class Env:
    """Where sources and results lie; paths are absolute."""

    repo: Path  # MY_REPO, the git that holds build-tools
    workspace: Path  # MY_WORKSPACE
    name: str  # MY_BUILD_ENVIRONMENT: names result directories and roots
    avoidance: Path | None  # workspace of the last good build, whose RPMs may be taken
    workers: int

    @property
    def tools(self) -> Path:
        """The directory of the commands."""
        return Path(__file__).resolve().parent.parent

    @property
    def inputs(self) -> Path:
        """The repository of downloaded RPMs."""
        return self.repo / f"cgcs-{DISTRO}-repo" / "Binary"

    def rpms(self, build_type: str) -> Path:
        """The directory of finished RPMs of a type."""
        return self.workspace / build_type / "rpmbuild" / "RPMS"

    def srpms(self, build_type: str) -> Path:
        """The directory of finished source RPMs of a type."""
        return self.workspace / build_type / "rpmbuild" / "SRPMS"

    def results(self, build_type: str, workspace: Path | None = None) -> Path:
        """The directory that holds a directory of logs and markers per package."""
        base = workspace or self.workspace
        # Another workspace may have been built under another project's name.
        found = sorted((base / build_type / "results").glob(f"*-{build_type}"))
        if workspace is not None and found:
            return found[0]
        return base / build_type / "results" / f"{self.name}-{build_type}"


def read(environ: Mapping[str, str]) -> Env:
    """The environment checked; raises `BuildError` for what is missing."""
    for name in ("MY_REPO", "MY_WORKSPACE", "MY_BUILD_ENVIRONMENT"):
        if not environ.get(name):
            raise BuildError(f"{name} is not set; set StarlingX's build environment first")
    repo = Path(environ["MY_REPO"])
    if not (repo / "stx").is_dir():
        raise BuildError(f"MY_REPO={repo} holds no directory stx; run repo sync there first")
    avoidance = environ.get("BUILD_AVOIDANCE_DIR")
    workers = environ.get("MAX_WORKERS") or str(len(os.sched_getaffinity(0)))
    if not workers.isdigit() or int(workers) < 1:
        raise BuildError(
            f"MAX_WORKERS={workers} is no number of workers; unset it or say 1 or more"
        )
    return Env(
        repo=repo.resolve(),
        workspace=Path(environ["MY_WORKSPACE"]).resolve(),
        name=environ["MY_BUILD_ENVIRONMENT"],
        avoidance=Path(avoidance) if avoidance else None,
        workers=int(workers),
    )
