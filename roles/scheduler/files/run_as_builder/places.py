# SPDX-License-Identifier: Apache-2.0
"""Where the directories of a build are on the host, who owns them, and how they are opened."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ACCOUNT = "builder"
GROUP = "cgts"
HOME = Path("/home/builder")
LOCALDISK = Path("/localdisk")
DESIGNER = LOCALDISK / "designer"
LOADBUILD = LOCALDISK / "loadbuild"
KEPT = LOCALDISK / "kept"
# Directories of each build, below root's own: the builder can neither rename nor replace them.
SANDBOX = LOADBUILD / "sandbox"
IMPORT = Path("/import")
STREAMS = IMPORT / "streams"
# What a build sees of them.
DOWNLOADS = IMPORT / "mirrors"


class Made(NamedTuple):
    """Owner, group and mode that a directory is made with."""

    owner: str
    group: str
    mode: int


ROOTS = Made("root", "root", 0o711)
BUILDERS = Made(ACCOUNT, GROUP, 0o2755)
MOCKS = Made("root", "mock", 0o2775)

# What a build has to itself, and where it sees that.
OWN = {
    "home": (HOME, Made(ACCOUNT, GROUP, 0o700)),
    "mock": (LOADBUILD / "mock", MOCKS),
    "mock-cache": (LOADBUILD / "mock-cache", MOCKS),
    "sbuild": (LOADBUILD / "sbuild", Made(ACCOUNT, GROUP, 0o750)),
}
# What a command has to itself; on the disk, because what is built needs room.
TEMPORARY = {"tmp": Path("/tmp"), "var-tmp": Path("/var/tmp")}  # noqa: S108


class Request(NamedTuple):
    """What to run, where and within which limits; times are in seconds, 0 bytes are no limit."""

    project: str
    workspace: str
    command: list[str]
    chdir: str
    environment: dict[str, str]
    log: str | None
    time_limit: float
    network: bool
    sources: str
    kept: str
    min_free_bytes: int
    max_bytes: int
    # What the command reads; more than fits into its arguments.
    input: str

    @property
    def checkout(self) -> Path:
        """The project's sources."""
        return DESIGNER / ACCOUNT / self.project

    @property
    def cache(self) -> Path:
        """The project's git objects."""
        return DESIGNER / "cache" / self.project

    @property
    def work(self) -> Path:
        """The build's workspace."""
        return LOADBUILD / ACCOUNT / self.project / self.workspace

    @property
    def state(self) -> Path:
        """What is kept for the build, out of its reach."""
        return SANDBOX / self.project / self.workspace

    @property
    def downloads(self) -> Path:
        """What the project has downloaded."""
        return STREAMS / self.project

    def own(self) -> Iterator[tuple[Path, Path, Made]]:
        """Yield what the build has to itself: directory, where it is seen, how it is made."""
        for name, (target, made) in OWN.items():
            with contextlib.suppress(KeyError):
                # A host without mock has no group for it.
                grp.getgrnam(made.group)
                yield self.state / name, target, made


def open_directory(path: Path, made: Made | None = None) -> int:
    """Open a directory, following no link below the first; with ``made``, make it if missing.

    Raises OSError, with the path in it.
    """
    top = next(top for top in (LOCALDISK, IMPORT) if top in path.parents)
    # An administrator may have put this one elsewhere, by a link.
    inner = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
    names = path.relative_to(top).parts
    for depth, name in enumerate(names, 1):
        outer, make = inner, made if depth == len(names) else None
        try:
            if make:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, 0o700, dir_fd=outer)
            inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=outer)
        except OSError as error:
            error.filename = str(path)
            raise
        os.close(outer)
        # Root's: new, or left so by a helper that was killed right here.
        if make and os.fstat(inner).st_uid == 0:
            os.fchmod(inner, make.mode)
            os.fchown(inner, pwd.getpwnam(make.owner).pw_uid, grp.getgrnam(make.group).gr_gid)
    return inner
