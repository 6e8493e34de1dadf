"""Wheels, charts and container images out of the RPMs that were built.

Standard library only, with rpm2cpio, cpio and skopeo as programs.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from isobuild.rpms import IsoError
from pkgbuild import BuildError
from pkgbuild.env import DISTRO, Env, read
from pkgbuild.source import gits

STREAMS = ("stable", "dev")


def listed(environment: Env, suffix: str) -> list[tuple[Path, str]]:
    """Every entry of the gits' ``centos_<suffix>.inc``, with the git that holds it."""
    found = []
    for git in gits(environment.repo):
        path = git / f"{DISTRO}_{suffix}.inc"
        if path.is_file():
            lines = (line.split("#", 1)[0].strip() for line in path.read_text().split("\n"))
            found += [(git, line) for line in lines if line]
    return found


def run(command: list[str], trouble: str, env: dict[str, str] | None = None) -> str:
    """Runs a program; its last words follow ``trouble`` in the error."""
    try:
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise BuildError(f"{trouble}: {command[0]} is not installed") from None
    if done.returncode:
        raise BuildError(f"{trouble}: {(done.stderr or done.stdout).strip()[-500:]}")
    return done.stdout


def command(work: Callable[[Env], None]) -> int:
    """Runs a command's ``work`` with the environment checked; its exit code."""
    try:
        work(read(os.environ))
    except (BuildError, IsoError) as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 1
    return 0
