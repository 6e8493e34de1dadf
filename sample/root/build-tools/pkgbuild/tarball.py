"""Tar archives that have the same bytes whenever and by whomever they are made."""

from __future__ import annotations

import contextlib
import fnmatch
import gzip
import tarfile
from pathlib import Path
from typing import IO

# What StarlingX's tools leave out of every source tarball.
_NEVER = (".git*", "build", ".pc", "patches", "pbr-*.egg")


def write(to: Path, tree: Path, top: str, epoch: int, leave_out: set[Path]) -> None:
    """Archives ``tree`` as directory ``top`` into ``to``, in order of names.

    The archive is gzipped unless its name ends in .tar. ``leave_out`` are paths below ``tree``;
    times are ``epoch``, the owner is root, and a file is executable or it is not.
    """
    with to.open("wb") as plain, contextlib.ExitStack() as stack:
        out: IO[bytes] = plain
        if to.suffix != ".tar":
            # Without a name and a time in its header.
            out = stack.enter_context(gzip.GzipFile("", "wb", 6, plain, mtime=0))
        archive = stack.enter_context(
            tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT)
        )
        _add(archive, tree, top, epoch, leave_out)


def _add(archive: tarfile.TarFile, path: Path, name: str, epoch: int, leave_out: set[Path]) -> None:
    member = archive.gettarinfo(str(path), name)
    member.mtime = epoch
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    # A second name of a file would refer to the first: always the content instead.
    if member.islnk():
        member.type, member.size = tarfile.REGTYPE, path.stat().st_size
    if not member.issym():
        member.mode = 0o755 if member.isdir() or member.mode & 0o111 else 0o644
    if member.isreg():
        with path.open("rb") as file:
            archive.addfile(member, file)
        return
    archive.addfile(member)
    if member.isdir():
        for child in sorted(path.iterdir()):
            if child not in leave_out and not any(fnmatch.fnmatch(child.name, p) for p in _NEVER):
                _add(archive, child, f"{name}/{child.name}", epoch, leave_out)
