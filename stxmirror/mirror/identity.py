"""Whether anybody but this program has touched published bytes since they were read.

A file's identity is taken when its bytes are hashed. Writing to it changes the ctime, which no
program can set. So does linking and unlinking it, which publishing and pruning do all the time:
such a :class:`Step` from one ctime to the next is told to the index, which takes it only from the
ctime that it knows. Whoever else changed the file in between breaks that chain, and the file is
read again before it is used.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from stxmirror.mirror import fs

_CHUNK = 1024 * 1024
# SQLite's integers have a sign, an inode's number has none.
_INODE_BITS = 2**63 - 1
# What a disk or a file system that checks its blocks says of damaged ones.
_UNREADABLE = frozenset({errno.EIO, errno.EBADMSG, errno.EUCLEAN})
_ENTRY = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


class Identity(NamedTuple):
    """An inode and what changes when it does; times in nanoseconds, size in bytes.

    Without the device's number, which is another one after some restarts: the store is one file
    system.
    """

    inode: int
    size: int
    mtime: int
    ctime: int

    @classmethod
    def of(cls, status: os.stat_result) -> Identity:
        """Return the identity in a file's status."""
        inode = status.st_ino & _INODE_BITS
        return cls(inode, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


class Step(NamedTuple):
    """A change of an inode's ctime by this program, which left the bytes alone."""

    inode: int
    before: int
    after: int


class Reading(NamedTuple):
    """What the disk has of bytes that should be ``sha256``.

    ``found`` is empty if the disk cannot read it; ``identity`` is ``None`` if the file was touched
    while it was read.
    """

    sha256: str
    found: str
    identity: Identity | None

    @property
    def is_intact(self) -> bool:
        """Whether the bytes are those that they should be."""
        return self.found == self.sha256


def read(path: Path, sha256: str) -> Reading:
    """Hash a file as the disk has it, which should be ``sha256``; raises ``OSError``."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(fd, "rb", buffering=0) as stream:
        before = Identity.of(os.fstat(fd))
        # Else memory answers for the disk.
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        digest = hashlib.sha256()
        try:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
            found = digest.hexdigest()
        except OSError as error:
            if error.errno not in _UNREADABLE:
                raise
            found = ""
        after = Identity.of(os.fstat(fd))
    return Reading(sha256, found, after if after == before else None)


def link(source: str, target: str, before: Identity) -> Step:
    """Link a file whose identity was ``before`` a moment ago."""
    os.link(source, target, follow_symlinks=False)
    return Step(before.inode, before.ctime, os.lstat(target).st_ctime_ns)


def copy(source: Path, target: Path) -> str:
    """Copy a file that has as many links as one may have; return the SHA-256 of what was copied."""
    digest = hashlib.sha256()
    with source.open("rb") as stream, target.open("xb") as made:
        os.fchmod(made.fileno(), 0o644)
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
            made.write(chunk)
    return digest.hexdigest()


def unlink(path: Path) -> Step:
    """Unlink a file that may have other links."""
    return _unlink(str(path), os.lstat(path))


def _unlink(path: str, before: os.stat_result) -> Step:
    fd = os.open(path, _ENTRY)
    try:
        os.unlink(path)  # noqa: PTH108 - of many files, a path object costs more than the call
        after = os.fstat(fd).st_ctime_ns
    finally:
        os.close(fd)
    return Step(before.st_ino & _INODE_BITS, before.st_ctime_ns, after)


def remove_tree(path: Path) -> list[Step]:
    """Delete a directory of the mirror's own; return what that did to files that live on."""
    if not fs.is_directory(path):
        return []
    steps = []
    pending = [str(path)]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in list(entries):
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    pending.append(entry.path)
                elif stat.S_ISREG(status.st_mode) and status.st_nlink > 1:
                    steps.append(_unlink(entry.path, status))
    fs.remove_tree(path)
    return steps


def joined(steps: Iterable[Step]) -> list[Step]:
    """Return the steps with those that follow directly upon each other made one."""
    made: dict[tuple[int, int], Step] = {}
    for step in steps:
        first = made.pop((step.inode, step.before), step)
        made[step.inode, step.after] = Step(step.inode, first.before, step.after)
    return list(made.values())
