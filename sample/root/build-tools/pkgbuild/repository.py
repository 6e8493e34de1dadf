"""Repository metadata, as yum and dnf read it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from pkgbuild import BuildError


def index(directory: Path) -> None:
    """Writes ``repodata`` for the RPMs of a directory."""
    directory.mkdir(parents=True, exist_ok=True)
    tool = shutil.which("createrepo_c") or shutil.which("createrepo")
    if not tool:
        raise BuildError(
            "createrepo_c is not installed; the package is createrepo_c or createrepo-c"
        )
    done = subprocess.run(
        [tool, "--quiet", str(directory)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BuildError(f"createrepo_c {directory}: {done.stderr.strip()}")
