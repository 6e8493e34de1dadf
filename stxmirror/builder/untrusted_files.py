"""Files that lie where builds write: found, opened and named without trusting who owns them."""

from __future__ import annotations

import contextlib
import fnmatch
import os
import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from stxmirror.errors import StxMirrorError

BLOCK = 1 << 20
# More than any report or list of a build has: what is longer is not read.
SMALL_FILE = 4 * BLOCK
# The mirror refuses any other name, so a bad one is better found here, where its origin is known.
SAFE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+~^@%=,:-]{0,254}", re.ASCII)


class Unusable(StxMirrorError):
    """Why one file is not taken, without its name."""


def is_inside(path: str, roots: Sequence[str]) -> bool:
    """Whether the real path ``path`` lies below one of the real paths ``roots``."""
    return any(path.startswith(root.rstrip("/") + "/") for root in roots)


@contextlib.contextmanager
def open_inside(path: str | Path, roots: Sequence[str | Path]) -> Iterator[BinaryIO]:
    """Open a regular file that really lies under ``roots``; whoever owns the path may be racing.

    The path is resolved once, by the kernel, to a handle that can neither block nor touch a
    device (O_PATH). Where that handle points is then asked of the kernel, and the same file is
    reopened through it: nobody can exchange it between the check and the reading.
    """
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError as error:
        raise Unusable(error.strerror or "it cannot be opened") from error
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise Unusable("it is not a regular file")
        here = Path(f"/proc/self/fd/{handle}")
        if not is_inside(str(here.readlink()), [os.path.realpath(root) for root in roots]):
            raise Unusable("it leads outside the build's own directories")
        try:
            file = here.open("rb")
        except PermissionError as error:
            raise Unusable("the orchestrator may not read it") from error
        with file:
            yield file
    finally:
        os.close(handle)


def read_inside(path: str | Path, roots: Sequence[str | Path]) -> bytes:
    """Return the content of a small regular file that really lies under ``roots``."""
    with open_inside(path, roots) as file:
        return file.read(SMALL_FILE)


def expand(pattern: str, base: str) -> list[str]:
    """Return the paths that a glob matches, sorted; `**` is any number of real directories.

    Python's own glob follows links to directories under `**`, which a hostile tree can make
    endless.
    """
    parts = pattern.split("/")
    if parts[0] == "":
        base, parts = "/", parts[1:]
    return sorted(_expand(base.rstrip("/"), [part for part in parts if part not in ("", ".")]))


def _expand(directory: str, parts: Sequence[str]) -> set[str]:
    if not parts:
        return set() if Path(directory).is_dir() else {directory}
    part, rest = parts[0], parts[1:]
    found: set[str] = set()
    if part == "**":
        for inside, names, _ in os.walk(directory):
            names[:] = [name for name in names if not name.startswith(".")]
            found |= _expand(inside, rest or ["*"])
    elif any(sign in part for sign in "*?["):
        with contextlib.suppress(OSError):
            for name in (entry.name for entry in Path(directory).iterdir()):
                hidden = name.startswith(".") and not part.startswith(".")
                if not hidden and fnmatch.fnmatchcase(name, part):
                    found |= _expand(f"{directory}/{name}", rest)
    elif os.path.lexists(f"{directory}/{part}"):
        found |= _expand(f"{directory}/{part}", rest)
    return found


def check_name(name: str) -> None:
    """Refuse a name that the mirror would refuse."""
    if not SAFE_NAME.fullmatch(name):
        raise Unusable(
            "a name may have letters, digits and . _ + ~ ^ @ % = , : - only, and begins with a "
            "letter, a digit or '_'"
        )
