"""Finds the package directories that the gits of a source tree list."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import NamedTuple

from pkgbuild import BuildError
from pkgbuild.env import DISTRO

# As deep as StarlingX's tools look for gits, and what they would only waste time in.
_DEPTH = 5
_NO_SOURCE = {".repo", f"cgcs-{DISTRO}-repo", "downloads", "__pycache__"}


class PackageDir(NamedTuple):
    """A directory with ``centos/build_srpm.data``."""

    path: Path
    git: Path  # the work tree that lists it
    epoch: int  # time of the last commit that touched it, seconds


def gits(top: Path) -> list[Path]:
    """All git work trees at and below ``top``, sorted."""
    found = []
    for directory, names, files in os.walk(top):
        here = Path(directory)
        if ".git" in names or ".git" in files:
            found.append(here)
        if len(here.relative_to(top).parts) >= _DEPTH:
            names.clear()
        names[:] = [n for n in names if n not in _NO_SOURCE and n != ".git"]
    return sorted(found)


def package_dirs(repo: Path, build_type: str) -> list[PackageDir]:
    """What the gits' ``centos_pkg_dirs[_<type>]`` name, in their order."""
    suffix = "" if build_type == "std" else f"_{build_type}"
    packages = []
    for git in gits(repo):
        listing = git / f"{DISTRO}_pkg_dirs{suffix}"
        if not listing.is_file():
            continue
        for line in listing.read_text().split("\n"):
            name = line.split("#", 1)[0].strip()
            if not name:
                continue
            path = git / name
            if not (path / DISTRO).is_dir():
                raise BuildError(
                    f"{listing} names {name}, which has no directory {DISTRO}; "
                    "take the line out or add the package"
                )
            packages.append(PackageDir(path, git, last_commit(git, path)))
    return packages


def last_commit(git: Path, path: Path) -> int:
    """When ``path`` was last committed; for one not committed yet, when its git last was."""
    for words in (["--", str(path)], []):
        done = subprocess.run(
            ["git", "-C", str(git), "log", "-1", "--format=%ct", *words],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise BuildError(f"{git}: git log failed: {done.stderr.strip()}")
        if done.stdout.strip():
            return int(done.stdout)
    raise BuildError(f"{git} has no commit, so its packages have no date; commit something")


def context(repo: Path) -> str:
    """The CONTEXT of a source tree: a shell line for each git, relative to the tree's top."""
    top = repo.parent
    lines = []
    for git in gits(top):
        head = subprocess.run(
            ["git", "-C", str(git), "rev-parse", "HEAD"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if head.returncode:
            raise BuildError(f"{git}: {head.stderr.strip()}")
        lines.append(f"(cd ./{git.relative_to(top)} && git checkout -f {head.stdout.strip()})\n")
    return "".join(lines)
