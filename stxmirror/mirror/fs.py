"""Files and directories, changed so that a crash leaves the old or the new, never a half."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Collection, Iterator
from pathlib import Path

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Without O_NONBLOCK, opening a FIFO that somebody put there would wait forever.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

# What is met where somebody exchanges or adds entries between one look and the next.
_DISTURBED = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENOTEMPTY, errno.EEXIST})
# Far more than a sender that is about to find its directory gone, and still an end.
_DISTURBANCES = 10_000

# No answer about a file, but that of a disk or a machine that cannot give one.
UNREADABLE = frozenset({errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ENFILE})


def fsync_path(path: Path) -> None:
    """Make a file's bytes, or a directory's entries, survive a power cut."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def look(path: Path) -> os.stat_result | None:
    """Return what lies at ``path``, a link as itself; ``None`` if nothing does.

    A path's own ``exists`` and its like also answer "no" where the disk could not be read. Here
    that is an ``OSError``, because a wrong "no" would be acted upon.
    """
    try:
        return os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def is_directory(path: Path) -> bool:
    """Say whether a directory, and no link to one, lies at ``path``."""
    found = look(path)
    return found is not None and stat.S_ISDIR(found.st_mode)


def link_target(path: Path) -> str | None:
    """Return where the symbolic link ``path`` points; ``None`` if there is no link."""
    try:
        return str(path.readlink())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno == errno.EINVAL:  # it is something else than a link
            return None
        raise


def make_directories(path: Path, root: Path) -> None:
    """Make ``path`` and what lacks between it and ``root``, each durable, mode 0755."""
    if path == root or is_directory(path):
        return
    make_directories(path.parent, root)
    with contextlib.suppress(FileExistsError):
        path.mkdir()
    path.chmod(0o755)
    fsync_path(path.parent)


def write_file(path: Path, data: bytes, scratch: Path, mode: int = 0o644) -> None:
    """Replace ``path`` by ``data`` in one step; ``scratch`` is a directory on the same disk.

    The temporary file lies in ``scratch``, where no reader of the tree ever sees it.
    """
    temporary = scratch / f"{os.getpid()}.file"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    fsync_path(path.parent)


def set_link(path: Path, target: str, scratch: Path) -> bool:
    """Point the symbolic link ``path`` at ``target`` in one step; say whether that changed it.

    Unlinking and making it again would lose readers in between.
    """
    if link_target(path) == target:
        return False
    temporary = scratch / f"{os.getpid()}.link"
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.replace(path)
    fsync_path(path.parent)
    return True


def open_beneath(root: int, path: str) -> int:
    """Open the regular file ``path`` below the open directory ``root``; return its descriptor.

    No component may be a symbolic link, whoever exchanges it at whatever moment: each is opened
    relative to the one before. Raises ``OSError``: ELOOP or ENOTDIR for a link in the way,
    EINVAL for what is not a regular file.
    """
    *parents, name = path.split("/")
    here = os.dup(root)
    try:
        for part in parents:
            below = os.open(part, _DIRECTORY, dir_fd=here)
            os.close(here)
            here = below
        fd = os.open(name, _FILE, dir_fd=here)
    finally:
        os.close(here)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "not a regular file", path)
    return fd


def walk(root: Path, *, skip: Collection[int] = ()) -> Iterator[tuple[str, os.stat_result]]:
    """Yield ``(path relative to root, lstat)`` of everything below ``root``; links stay links.

    What vanishes meanwhile is left out. What cannot be read is an ``OSError``, unless its ``errno``
    is one of ``skip``: then it is left out, too.
    """
    left_out = {errno.ENOENT, errno.ENOTDIR, *skip}
    pending = [""]
    while pending:
        prefix = pending.pop()
        try:
            with os.scandir(root / prefix) as entries:
                names = sorted(entry.name for entry in entries)
        except OSError as error:
            if error.errno in left_out:
                continue
            raise
        for name in names:
            path = f"{prefix}{name}"
            try:
                status = os.lstat(root / path)
            except OSError as error:
                if error.errno in left_out:
                    continue
                raise
            yield path, status
            if stat.S_ISDIR(status.st_mode):
                pending.append(f"{path}/")


def walk_received(root: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Walk what somebody sent, as :func:`walk` does; what the sender closed off is left out.

    Whatever needs one of those files fails at that file, and can name it.
    """
    return walk(root, skip=(errno.EACCES,))


def remove_tree(path: Path) -> None:
    """Delete a directory whatever is in it, following no link; gone already is fine.

    Its sub-directories are moved up to its top one after the other and emptied there: a tree of any
    depth costs neither recursion nor open files, and somebody who still writes into it can
    lead nothing astray. Who never stops writing is met with an ``OSError``.
    """
    parent = os.open(path.parent, _DIRECTORY)
    try:
        root = _opened(path.name, parent)
    except FileNotFoundError:
        return
    finally:
        os.close(parent)
    disturbances = 0
    try:
        while True:
            try:
                if _emptied(root):
                    with contextlib.suppress(FileNotFoundError):
                        path.rmdir()
                    return
            except OSError as error:
                disturbances += 1
                if error.errno not in _DISTURBED or disturbances > _DISTURBANCES:
                    raise
    finally:
        os.close(root)


def _emptied(root: int) -> bool:
    """Take away what is in an open directory, one level of it; say whether nothing was there."""
    names = _names(root)
    for name in names:
        if not _unlinked(name, root):
            _empty(name, root)
            os.rmdir(name, dir_fd=root)
    return not names


def _empty(name: str, root: int) -> None:
    """Unlink the files of a directory in ``root`` and move its directories up beside it."""
    below = _opened(name, root)
    try:
        for child in _names(below):
            if not _unlinked(child, below):
                # Moving a directory rewrites its `..`, which takes the right to write into it.
                os.close(_opened(child, below))
                moved = f".{secrets.token_hex(8)}"
                os.rename(child, moved, src_dir_fd=below, dst_dir_fd=root)
    finally:
        os.close(below)


def _names(directory: int) -> list[str]:
    with os.scandir(directory) as entries:
        return [entry.name for entry in entries]


def _unlinked(name: str, parent: int) -> bool:
    try:
        os.unlink(name, dir_fd=parent)
    except FileNotFoundError:
        return True
    except IsADirectoryError:
        return False
    return True


def _opened(name: str, parent: int) -> int:
    """Open a directory, giving its owner back the rights that a sender may have taken away."""
    fd = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        # The descriptor names the very directory, so no link can be put in its place.
        handle = f"/proc/self/fd/{fd}"
        if os.fstat(fd).st_mode & stat.S_IRWXU != stat.S_IRWXU:
            os.chmod(handle, stat.S_IRWXU)  # noqa: PTH101 - a path object would not say it better
        return os.open(handle, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    finally:
        os.close(fd)
