"""The store on disk: the tree, what is known of each build, the open uploads, and the locks.

``state/builds/<id>.json`` holds what the mirror itself says of a build: result, the promise of
until when it is kept, hold, tombstone. ``state/uploads/<token>.upload`` is an upload that was begun
(``<token>.json`` if an earlier version began it); ``staging/<token>/`` has the list of its files,
what is reserved for it and, while it is promoted, the tree in the making. ``state/damaged`` keeps
the state files of builds that were damaged, once they have a new one.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import stat
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from stxmirror import names
from stxmirror.errors import StxMirrorError
from stxmirror.layout import RESERVED_NAMES, BuildId
from stxmirror.mirror import fs, identity, state_file
from stxmirror.mirror.config import Config
from stxmirror.mirror.errors import Busy
from stxmirror.mirror.manifest import Entry
from stxmirror.mirror.record import read as read_record
from stxmirror.mirror.state import (
    BUILD_KEYS,
    UPLOAD_KEYS,
    BuildState,
    Upload,
    list_to_json,
    parse_list,
)
from stxmirror.records import BuildRecord

# State changes take moments: whoever waits longer than this had better come back.
LOCK_SECONDS = 20.0

_STATE = ".json"

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
        self.damaged = config.state / "damaged"
        self.scratch = config.staging / "scratch"
        self.trash = config.staging / "trash"
        self._stale = config.state / "pages-stale"
        self.is_warned = False  # of damaged state files

    def prepare(self) -> None:
        """Make the directories below those that the provisioning made."""
        for path in (self.config.public, self.config.staging, self.config.state):
            with contextlib.suppress(FileNotFoundError):
                if stat.S_ISDIR(path.stat().st_mode):
                    continue
            raise StxMirrorError(
                f"the store has no directory {path}: provision this host as a mirror"
            )
        for path in (self.builds, self.uploads, self.damaged, self.scratch, self.trash):
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

    def states(self) -> tuple[dict[str, BuildState], dict[str, str]]:
        """Return what is known of every build, and what is wrong with damaged files, by its id.

        A damaged file is not guessed at: it may hold a promise, or a person's mark. One that cannot
        be read at all is an ``OSError``.
        """
        states: dict[str, BuildState] = {}
        damaged: dict[str, str] = {}
        for name, status in fs.walk(self.builds):
            if stat.S_ISDIR(status.st_mode) or not name.endswith(_STATE):
                continue
            build_id = name[: -len(_STATE)]
            path = self.builds / name
            try:
                state = _read(path, BUILD_KEYS, BuildState.parse)
            except state_file.Damaged as error:
                damaged[build_id] = f"{path} is damaged: {error}"
                continue
            if state is not None and str(state.id) == build_id:
                states[build_id] = state
            elif state is not None:
                damaged[build_id] = f"{path} is damaged: it is of {state.id}"
        return states, damaged

    def state_path(self, build_id: str) -> Path:
        """Return where what is known of a build lies."""
        return self.builds / f"{build_id}{_STATE}"

    def set_aside(self, build_id: str) -> Path | None:
        """Keep a build's damaged state file for a person; return where, ``None`` if it has none.

        It also stays where it is until a new one takes its place: without any, a withdrawn build
        could come back.
        """
        source = self.state_path(build_id)
        if fs.look(source) is None:
            return None
        target = self.damaged / f"{build_id}.{self.now:%Y%m%dT%H%M%S%fZ}{_STATE}"
        fs.make_directories(target.parent, self.config.state)
        with contextlib.suppress(FileExistsError):  # this run has done it
            os.link(source, target)
        fs.fsync_path(target.parent)
        return target

    def save(self, state: BuildState) -> None:
        """Make what is known of a build durable; the pages are out of date from now on."""
        self.mark_stale()
        path = self.state_path(str(state.id))
        fs.make_directories(path.parent, self.builds)
        fs.write_file(path, state_file.encode(state.to_json()), self.scratch)

    def forget(self, build_id: str) -> None:
        """Drop what is known of a build that is no longer there."""
        self.mark_stale()
        path = self.state_path(build_id)
        path.unlink(missing_ok=True)
        remove_empty_parents(path.parent, self.builds)

    def path(self, build_id: str) -> Path:
        """Return where a build lies, or would lie, in the tree."""
        return self.config.public / build_id

    def record(self, build_id: str) -> BuildRecord | None:
        """Return the build.json of a build in the tree, ``None`` if it is damaged or not there.

        One that cannot be read is an ``OSError``.
        """
        try:
            return read_record((self.path(build_id) / names.RECORD).read_bytes())
        except (FileNotFoundError, ValueError):
            return None

    def published(self) -> set[str]:
        """Return the ids of the builds that lie in the tree."""
        return self.scan()[0]

    def scan(self) -> tuple[set[str], list[Path]]:
        """Return the ids of the builds that lie in the tree, and the directories above them that
        are empty: a run that was cut off while it removed the last build leaves some.
        """
        found: set[str] = set()
        empty: list[Path] = []
        pending: list[tuple[Path, tuple[str, ...]]] = [(self.config.public, ())]
        while pending:
            path, parts = pending.pop()
            with os.scandir(path) as entries:
                items = {item.name: item.is_dir(follow_symlinks=False) for item in entries}
            if not items and parts:
                empty.append(path)
            for name in (name for name, is_directory in items.items() if is_directory):
                if name.startswith(".") or (not parts and name in RESERVED_NAMES):
                    continue
                below = (*parts, name)
                if is_build("/".join(below)):
                    found.add("/".join(below))
                elif len(below) <= _DEPTH_MAX:
                    pending.append((path / name, below))
        return found, empty

    def open_uploads(self) -> tuple[dict[str, Upload], dict[str, str]]:
        """Return the uploads that were begun and not yet promoted, by the id of their build, and
        what is wrong with the state files of damaged ones, by token.
        """
        uploads: dict[str, Upload] = {}
        damaged: dict[str, str] = {}
        for path in sorted(self.uploads.iterdir()):
            try:
                upload = _read(path, UPLOAD_KEYS, Upload.parse)
            except state_file.Damaged as error:
                damaged[path.stem] = f"{path} is damaged: {error}"
                continue
            if upload is not None and upload.token == path.stem == token_for(upload.id):
                uploads[str(upload.id)] = upload
            elif upload is not None:
                damaged[path.stem] = f"{path} is damaged: it is of another upload"
        return uploads, damaged

    def upload_files(self, upload: Upload) -> dict[str, Entry]:
        """Return what the build of an upload consists of, ``{path: Entry}``, or raise."""
        try:
            if upload.list_sha256 is None:
                path = self.uploads / f"{upload.token}.json"
                return parse_list(state_file.salvage(path.read_bytes()).get("files"), str(path))
            path = self._upload_list(upload.token)
            data = path.read_bytes()
            if hashlib.sha256(data).hexdigest() == upload.list_sha256:
                return parse_list(json.loads(data), str(path))
        except (FileNotFoundError, ValueError):
            pass
        raise StxMirrorError(
            f"the list of files of the upload for {upload.id} is damaged: begin again"
        )

    def save_upload(self, upload: Upload, files: Mapping[str, Entry]) -> None:
        """Make an upload and the list of its files durable, which is what opens it."""
        data = json.dumps(list_to_json(files), sort_keys=True).encode("ascii")
        upload = replace(upload, list_sha256=hashlib.sha256(data).hexdigest())
        fs.write_file(self._upload_list(upload.token), data, self.scratch, 0o600)
        path = self.uploads / f"{upload.token}.upload"
        fs.write_file(path, state_file.encode(upload.to_json()), self.scratch)
        (self.uploads / f"{upload.token}.json").unlink(missing_ok=True)

    def forget_upload(self, token: str) -> list[identity.Step]:
        """Close an upload: its reserved files and its unfinished tree go with it.

        Returns what the index must be told of published files that were reserved.
        """
        for suffix in ("upload", "json"):
            (self.uploads / f"{token}.{suffix}").unlink(missing_ok=True)
        return identity.remove_tree(self.config.staging / token)

    def _upload_list(self, token: str) -> Path:
        return self.config.staging / token / "files.json"

    def mark_stale(self) -> None:
        """Note that the pages must be made anew, so that a crash does not forget it."""
        with contextlib.suppress(FileExistsError):
            self._stale.touch(exist_ok=False)
            fs.fsync_path(self.config.state)

    def is_stale(self) -> bool:
        """Say whether the pages must be made anew."""
        return fs.look(self._stale) is not None

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
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                return  # something lies in it
            raise
        path = path.parent


def is_build(path: str) -> bool:
    """Say whether a path below the tree is that of a build."""
    try:
        BuildId.parse(path)
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


def _read(path: Path, keys: Collection[str], parse: Callable[[object, str], _T]) -> _T | None:
    """Read a state file; ``None`` if it is gone meanwhile. Raise if it is damaged, saying how."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    value = state_file.decode(data, keys)
    try:
        return parse(value, "it")
    except StxMirrorError as error:
        # What follows the colon is for people who write such files; nobody writes these.
        raise state_file.Damaged(str(error).partition(": ")[0]) from error
