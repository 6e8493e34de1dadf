"""The last step of publishing: verify what arrived, and make it visible in one rename."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from stxmirror import names
from stxmirror.errors import StxMirrorError
from stxmirror.layout import BuildId
from stxmirror.mirror import aliases, fs, health, identity, log, manifest, repair, signature
from stxmirror.mirror.begin import check_rule, refuse_withdrawn
from stxmirror.mirror.errors import Busy, shown
from stxmirror.mirror.identity import Identity, Reading, Step
from stxmirror.mirror.manifest import Entry
from stxmirror.mirror.record import read as read_record
from stxmirror.mirror.store import Store, reserved_directory, token_for
from stxmirror.mirror.transaction import Transaction, new_state, transaction

_CHUNK = 1024 * 1024
_FSYNCS_AT_ONCE = 16
_CLOSED = (
    "is closed to the mirror, with the mode or the group that it has at the sender's (rsync -a): "
    "begin again, which clears it, send with --chmod=D755,F644, promote"
)
_AGAIN = "send it again (rsync --checksum) and promote again"


class _NotArrived(StxMirrorError):
    """A file was not sent."""


@dataclass
class _Tree:
    """A build's tree in the making, and what is learnt meanwhile.

    ``placed`` has the first place of each content, ``unread`` the reserved files that must be read
    before they are linked, ``damaged`` what no longer counts as reserved, ``copies`` the files that
    were copied, with their SHA-256.
    """

    path: Path
    files: dict[str, Entry]
    reserved: Path
    placed: dict[str, str] = field(default_factory=dict)
    unread: dict[str, Path] = field(default_factory=dict)
    damaged: set[str] = field(default_factory=set)
    copies: dict[Path, str] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)


def promote(store: Store, build: BuildId) -> dict[str, object]:
    """Publish a build whose upload is open; a build that is published already is brought to rest.

    The copy, which takes long, is made under the lock of this upload alone; the store's lock is
    held for what links published files, the rename and what follows from it.
    """
    store.prepare()
    token = token_for(build)
    staging = store.config.staging / token
    with store.upload_lock(token):
        with transaction(store) as current:
            refuse_withdrawn(store, current, build)
            upload = current.uploads.get(str(build))
            is_published = str(build) in current.published
            holes = health.load(store).holes(str(build)) if is_published and upload else set()
            if is_published and not holes:
                return _at_rest(store, current, build)
            current.check_known(build)
            if upload is None:
                raise StxMirrorError(
                    f"no upload is open for {build} (it may have expired): begin again"
                )
            files = store.upload_files(upload)
            tree = _Tree(staging / "tree", files, reserved_directory(staging))
            if not is_published:
                check_rule(store, build)
                signature.check_announced(store.config, build, files)
                _start(current, tree)
        if is_published:
            asked_for = {path: files[path] for path in sorted(holes & files.keys())}
            received = _receive_holes(store, token, asked_for)
            with transaction(store) as current:
                refuse_withdrawn(store, current, build)
                repair.fill(current, build, asked_for, received)
                return _at_rest(store, current, build)
        try:
            _complete(store, token, tree)
            result = _check_content(build, tree.files, tree.path)
            signature.check(store.config, build, tree.path, staging)
            _finish_tree(build, tree)
        except BaseException:
            _abandon(store, tree)
            raise
        with transaction(store) as current:
            refuse_withdrawn(store, current, build)
            _make_visible(store, current, build, result, tree)
            return _at_rest(store, current, build)


def _start(current: Transaction, tree: _Tree) -> None:
    """Begin a build's tree in staging with links to what was reserved and not touched since.

    Under the store's lock, so that nothing else of this program links or unlinks meanwhile.
    """
    steps = identity.remove_tree(tree.path)
    current.index.follow_steps(steps)
    tree.path.mkdir(mode=0o755)
    for directory in manifest.needed_directories(tree.files):
        (tree.path / directory).mkdir(mode=0o755)
    steps = []
    place, reserved = str(tree.path), str(tree.reserved)
    held = {path.name for path in tree.reserved.iterdir()} if tree.reserved.is_dir() else set()
    for path, entry in sorted(tree.files.items()):
        if entry.sha256 not in held:
            continue
        held.discard(entry.sha256)
        source, target = f"{reserved}/{entry.sha256}", f"{place}/{path}"
        found = Identity.of(os.lstat(source))
        is_intact = current.index.verdict(found, entry.sha256)
        if is_intact is False:
            tree.damaged.add(entry.sha256)
        elif is_intact and _linked(source, target, found, steps):
            tree.placed[entry.sha256] = path
        else:
            tree.unread[entry.sha256] = Path(source)
    current.index.follow_steps(steps)


def _complete(store: Store, token: str, tree: _Tree) -> None:
    """Copy what arrived and link the rest of what was reserved, each byte verified."""
    read: dict[str, Reading] = {}
    for sha256, reserved in sorted(tree.unread.items()):
        read[sha256] = identity.read(reserved, sha256)
        tree.readings.append(read[sha256])
        if not read[sha256].is_intact:
            tree.damaged.add(sha256)
    usable = read.keys() - tree.damaged
    with _incoming(store, token) as root:
        for path, entry in sorted(tree.files.items()):
            if tree.placed.get(entry.sha256) == path:
                continue
            target = tree.path / path
            source = None
            if entry.sha256 in tree.placed:
                source = tree.path / tree.placed[entry.sha256]
            elif entry.sha256 in usable:
                source = tree.unread[entry.sha256]
                if Identity.of(source.lstat()) != read[entry.sha256].identity:
                    raise Busy(f"{path} is being published elsewhere: promote again")
            if source is None:
                _receive_new(root, path, entry, target, entry.sha256 in tree.damaged)
                tree.copies[target] = entry.sha256
            elif not _linked(str(source), str(target), Identity.of(source.lstat()), tree.steps):
                if identity.copy(source, target) != entry.sha256:
                    raise Busy(f"{path} is damaged on the mirror: begin again, send, promote")
                tree.copies[target] = entry.sha256
            tree.placed.setdefault(entry.sha256, path)


def _receive_new(root: int, path: str, entry: Entry, target: Path, was_reserved: bool) -> None:
    try:
        _receive(root, path, entry, target)
    except _NotArrived as error:
        if not was_reserved:
            raise
        raise Busy(
            f"{path} was damaged on the mirror after `begin` had counted on it: begin again, send "
            "what that asks for, promote"
        ) from error


def _receive_holes(store: Store, token: str, holes: dict[str, Entry]) -> dict[str, Path]:
    """Copy what was sent for the holes of a published build, verified; return it by path."""
    place = store.config.staging / token / "tree"
    fs.remove_tree(place)
    place.mkdir(mode=0o700)
    received: dict[str, Path] = {}
    with _incoming(store, token) as root:
        for number, (path, entry) in enumerate(holes.items()):
            received[path] = place / str(number)
            _receive(root, path, entry, received[path])
            fs.fsync_path(received[path])
    return received


@contextlib.contextmanager
def _incoming(store: Store, token: str) -> Iterator[int]:
    """Open the directory that a sender wrote to, once nothing but files lies in it."""
    incoming = store.config.incoming / token
    try:
        root = os.open(incoming, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except PermissionError as error:
        raise StxMirrorError(f"the upload's directory {_CLOSED}") from error
    except OSError as error:
        if error.errno in fs.UNREADABLE:
            raise
        raise StxMirrorError(
            f"the upload's directory cannot be read ({error.strerror}): begin again, send, promote"
        ) from error
    try:
        _refuse_foreign(incoming)
        yield root
    finally:
        os.close(root)


def _abandon(store: Store, tree: _Tree) -> None:
    """Delete a tree that cannot be published, and keep what was learnt of published files."""
    with contextlib.suppress(OSError, StxMirrorError), transaction(store) as current:
        health.record(store, current.index, tree.readings)
        current.index.follow_steps(tree.steps + identity.remove_tree(tree.path))


def _refuse_foreign(incoming: Path) -> None:
    for path, status in fs.walk_received(incoming):
        if stat.S_ISLNK(status.st_mode):
            what = "a symbolic link"
        elif stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode):
            continue
        else:
            what = "neither a file nor a directory"
        raise StxMirrorError(
            f"the upload has {what} at {shown(path)}: send regular files only (the mirror makes "
            "the links of the tree itself); begin again, send, promote"
        )


def _receive(root: int, path: str, entry: Entry, target: Path) -> None:
    """Copy one file that arrived while hashing it; the sender may still have it open."""
    try:
        source = fs.open_beneath(root, path)
    except FileNotFoundError as error:
        raise _NotArrived(f"{path} has not arrived: send what `begin` asked for") from error
    except PermissionError as error:
        raise StxMirrorError(f"{path} {_CLOSED}") from error
    except OSError as error:
        if error.errno in fs.UNREADABLE:
            raise
        raise StxMirrorError(
            f"{path} arrived as something else than a regular file ({error.strerror}): {_AGAIN}"
        ) from error
    digest = hashlib.sha256()
    size = 0
    with os.fdopen(source, "rb", buffering=0) as stream, _new_file(target) as copy:
        while size <= entry.size:
            chunk = stream.read(min(_CHUNK, entry.size + 1 - size))
            if not chunk:
                break
            size += len(chunk)
            digest.update(chunk)
            copy.write(chunk)
    if size > entry.size:
        raise StxMirrorError(f"{path} is larger than the manifest says (still written?): {_AGAIN}")
    if size < entry.size:
        raise StxMirrorError(
            f"{path} arrived with {size} of {entry.size} bytes: send the rest and promote again"
        )
    if digest.hexdigest() != entry.sha256:
        raise StxMirrorError(f"{path} arrived damaged, its SHA-256 differs: {_AGAIN}")


def _new_file(path: Path) -> BinaryIO:
    stream = path.open("xb")
    os.fchmod(stream.fileno(), 0o644)
    return stream


def _linked(source: str, target: str, found: Identity, steps: list[Step]) -> bool:
    try:
        steps.append(identity.link(source, target, found))
    except OSError as error:
        # A file system bounds the links of one file.
        if error.errno != errno.EMLINK:
            raise
        return False
    return True


def _check_content(build: BuildId, files: dict[str, Entry], tree: Path) -> str:
    """Return the build's result once its own records agree with each other and with the files."""
    manifest.check_sums(manifest.parse_sums((tree / names.SUMS).read_bytes()), files)
    record = read_record((tree / names.RECORD).read_bytes())
    if record["id"] != str(build):
        raise StxMirrorError(f"build.json is of {record['id']}, not of {build}: publish that one")
    if names.MARKERS[record["result"]] not in files:
        raise StxMirrorError(
            f"build.json says {record['result']}, and {names.MARKERS[record['result']]} is not "
            "there: close the build again"
        )
    return record["result"]


def _finish_tree(build: BuildId, tree: _Tree) -> None:
    """Make the links, and make all of it durable."""
    for path, target in manifest.links(build, tree.files).items():
        (tree.path / path).symlink_to(target)
    # One after the other, thousands of small files would wait for a disk's journal each.
    with ThreadPoolExecutor(max_workers=_FSYNCS_AT_ONCE) as pool:
        list(pool.map(fs.fsync_path, tree.copies))
    for directory in (*reversed(manifest.needed_directories(tree.files)), "."):
        (tree.path / directory).chmod(0o755)
        fs.fsync_path(tree.path / directory)
    # Nobody but the mirror reaches staging: what was hashed on its way here is what lies here.
    tree.readings += (
        Reading(sha256, sha256, Identity.of(path.lstat())) for path, sha256 in tree.copies.items()
    )


def _make_visible(
    store: Store, current: Transaction, build: BuildId, result: str, tree: _Tree
) -> None:
    """Keep the promise first, then show the build: a build without a promise is never seen."""
    files = tree.files
    health.record(store, current.index, tree.readings)
    current.index.follow_steps(tree.steps)
    received = sorted(path.relative_to(tree.path).as_posix() for path in tree.copies)
    # What is not among these was linked, from what lay on the mirror already.
    log.note(store, "promote", id=str(build), files=len(files), received=received)
    seals = {name: files[name].sha256 for name in names.UNLISTED if name in files}
    size = sum(entry.size for entry in files.values())
    current.save(new_state(store, build, result, size, seals))
    build_id = str(build)
    path = store.path(build_id)
    fs.make_directories(path.parent, store.config.public)
    tree.path.rename(path)
    fs.fsync_path(path.parent)
    current.published.add(build_id)
    current.index.add(build_id, ((name, *known) for name, known in files.items()))


def _at_rest(store: Store, current: Transaction, build: BuildId) -> dict[str, object]:
    """Move the aliases, close the upload, and say what became of the build."""
    current.update_aliases()
    current.uploads.pop(str(build), None)
    current.index.follow_steps(store.forget_upload(token_for(build)))
    state = current.states[str(build)]
    target = aliases.current(store, [build.directory]).get(build.directory, {}).get(aliases.NAME)
    if target == build.build_date:
        why = "this is the newest good build"
    elif not state.is_success:
        why = "only a successful build moves the alias"
    else:
        why = "a newer good build is there"
    return {
        "id": str(build),
        "result": state.result,
        "keep_until": state.keep_until,
        "rule": state.rule,
        "alias": {
            "name": aliases.NAME,
            "target": target,
            "moved": build.directory in current.moved,
            "why": why,
        },
        "path": str(build),
    }
