"""The store on disk: the tree, what is known of each build, the open uploads, and the locks.

``state/builds/<id>.json`` holds what the mirror itself says of a build: result, the promise of
until when it is kept, hold, tombstone. ``state/uploads/<token>.json`` is an upload that was begun;
``staging/<token>/`` what is reserved for it and, while it is promoted, the tree in the making.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from stxmirror import names
from stxmirror.errors import StxMirrorError
from stxmirror.layout import RESERVED_NAMES, BuildId
from stxmirror.mirror import fs, identity
from stxmirror.mirror.config import Config
from stxmirror.mirror.errors import Busy
from stxmirror.mirror.record import read as read_record
from stxmirror.mirror.state import BuildState, Upload
from stxmirror.records import BuildRecord

# State changes take moments: whoever waits longer than this had better come back.
LOCK_SECONDS = 20.0

_T = TypeVar("_T")

_DEPTH_MAX = 4  # directories above a build-date: kind, name, distro, layer


def token_for(build: BuildId) -> str:
    """Return the name of a build's upload directory.

    It follows from the id, so that every account computes the same one and a build that is begun
    again finds what it had already sent.
    """
    return hashlib.sha256(str(build).encode("ascii")).hexdigest()[:32]


def reserved_directory(staging: Path) -> Path:
    """Return where an upload has links to the bytes that the mirror already holds.

    The name on disk stays: an upload may be open while the mirror is upgraded.
    """
    return staging / "pins"


class Store:
    """The store of one configuration, at one moment (aware, UTC)."""

    def __init__(self, config: Config, now: datetime) -> None:
        """Touch nothing yet; :meth:`prepare` makes what lacks."""
        self.config = config
        self.now = now
        self.builds = config.state / "builds"
        self.uploads = config.state / "uploads"
        self.scratch = config.staging / "scratch"
        self.trash = config.staging / "trash"
        self._stale = config.state / "pages-stale"

    def prepare(self) -> None:
        """Make the directories below those that the provisioning made."""
        for path in (self.config.public, self.config.staging, self.config.state):
            if not path.is_dir():
                raise StxMirrorError(
                    f"the store has no directory {path}: provision this host as a mirror"
                )
        for path in (self.builds, self.uploads, self.scratch, self.trash):
            path.mkdir(mode=0o700, exist_ok=True)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the one lock over changes of the tree and the state; the kernel frees it."""
        fd = os.open(self.config.state / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            deadline = time.monotonic() + LOCK_SECONDS
            while not _locked(fd):
                if time.monotonic() > deadline:
                    raise Busy("the mirror is busy with another change: try again in a minute")
                time.sleep(0.05)
            for leftover in self.scratch.iterdir():
                leftover.unlink()
            yield
        finally:
            os.close(fd)

    @contextlib.contextmanager
    def upload_lock(self, token: str, *, create: bool = False) -> Iterator[None]:
        """Hold the lock on one upload, which is its staging directory, if that exists.

        Taken before :meth:`lock`, so that a long copy needs no more than this one; never
        waited for.
        """
        path = self.config.staging / token
        while True:
            if create:
                path.mkdir(mode=0o700, exist_ok=True)
            try:
                fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except FileNotFoundError:
                if create:
                    continue
                yield
                return
            try:
                if not _locked(fd):
                    raise Busy("this build is being published by another run: try again later")
                if not _is_still(path, fd):
                    continue  # its last holder removed it before this lock came through
                yield
                return
            finally:
                os.close(fd)

    def states(self) -> dict[str, BuildState]:
        """Return what is known of every build, by its id."""
        paths = [path for path, _ in fs.walk(self.builds) if path.endswith(".json")]
        read = {
            path[: -len(".json")]: _read(self.builds / path, BuildState.parse) for path in paths
        }
        return {build_id: state for build_id, state in read.items() if state is not None}

    def save(self, state: BuildState) -> None:
        """Make what is known of a build durable; the pages are out of date from now on."""
        self.mark_stale()
        path = self.builds / f"{state.id}.json"
        fs.make_directories(path.parent, self.builds)
        fs.write_file(path, _json(state.to_json()), self.scratch)

    def forget(self, build_id: str) -> None:
        """Drop what is known of a build that is no longer there."""
        self.mark_stale()
        path = self.builds / f"{build_id}.json"
        path.unlink(missing_ok=True)
        remove_empty_parents(path.parent, self.builds)

    def path(self, build_id: str) -> Path:
        """Return where a build lies, or would lie, in the tree."""
        return self.config.public / build_id

    def record(self, build_id: str) -> BuildRecord | None:
        """Return the build.json of a build in the tree, ``None`` if the disk has damaged it."""
        try:
            return read_record((self.path(build_id) / names.RECORD).read_bytes())
        except (OSError, ValueError):
            return None

    def published(self) -> set[str]:
        """Return the ids of the builds that lie in the tree."""
        found: set[str] = set()
        pending: list[tuple[Path, tuple[str, ...]]] = [(self.config.public, ())]
        while pending:
            path, parts = pending.pop()
            with os.scandir(path) as entries:
                names = [item.name for item in entries if item.is_dir(follow_symlinks=False)]
            for name in names:
                if not parts and name in RESERVED_NAMES:
                    continue
                below = (*parts, name)
                if _is_build(below):
                    found.add("/".join(below))
                elif len(below) <= _DEPTH_MAX:
                    pending.append((path / name, below))
        return found

    def open_uploads(self) -> dict[str, Upload]:
        """Return the uploads that were begun and not yet promoted, by the id of their build."""
        paths = sorted(self.uploads.glob("*.json"))
        uploads = (_read(path, Upload.parse) for path in paths)
        return {str(upload.id): upload for upload in uploads if upload}

    def save_upload(self, upload: Upload) -> None:
        """Make an upload durable, which is what opens it."""
        path = self.uploads / f"{upload.token}.json"
        fs.write_file(path, _json(upload.to_json()), self.scratch)

    def forget_upload(self, token: str) -> list[identity.Step]:
        """Close an upload: its reserved files and its unfinished tree go with it.

        Returns what the index must be told of published files that were reserved.
        """
        (self.uploads / f"{token}.json").unlink(missing_ok=True)
        return identity.remove_tree(self.config.staging / token)

    def mark_stale(self) -> None:
        """Note that the pages must be made anew, so that a crash does not forget it."""
        if not self._stale.exists():
            self._stale.touch()
            fs.fsync_path(self.config.state)

    def is_stale(self) -> bool:
        """Say whether the pages must be made anew."""
        return self._stale.exists()

    def clear_stale(self) -> None:
        """Note that the pages say what the tree has."""
        self._stale.unlink(missing_ok=True)


def remove_empty_parents(path: Path, root: Path) -> None:
    """Remove ``path`` and its parents below ``root`` as far as nothing lies in them."""
    while path != root:
        try:
            path.rmdir()
        except FileNotFoundError:
            pass
        except OSError:
            return  # something lies in it
        path = path.parent


def _is_build(parts: tuple[str, ...]) -> bool:
    try:
        BuildId.parse("/".join(parts))
    except StxMirrorError:
        return False
    return True


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_still(path: Path, fd: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(fd))
    except FileNotFoundError:
        return False


def _read(path: Path, parse: Callable[[object, str], _T]) -> _T | None:
    try:
        return parse(json.loads(path.read_bytes()), str(path))
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError) as error:
        # Not to be guessed at: it may hold a promise, or a person's mark.
        raise StxMirrorError(
            f"{path} is damaged: restore it from a backup, or delete it, then run this again"
        ) from error


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True) + "\n").encode("ascii")
