"""The last step of publishing: verify what arrived, and make it visible in one rename."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

from stxmirror import names
from stxmirror.errors import StxMirrorError
from stxmirror.layout import BuildId
from stxmirror.mirror import aliases, fs, manifest, signature
from stxmirror.mirror.begin import check_rule, refuse_withdrawn
from stxmirror.mirror.errors import shown
from stxmirror.mirror.manifest import Entry
from stxmirror.mirror.record import read as read_record
from stxmirror.mirror.state import BuildState
from stxmirror.mirror.store import Store, reserved_directory, token_for
from stxmirror.mirror.transaction import Transaction, new_state, transaction

_CHUNK = 1024 * 1024
_FSYNCS_AT_ONCE = 16
_CLOSED = (
    "is closed to the mirror, with the mode or the group that it has at the sender's (rsync -a): "
    "begin again, which clears it, send with --chmod=D755,F644, promote"
)
_AGAIN = "send it again (rsync --checksum) and promote again"


def promote(store: Store, build: BuildId) -> dict[str, object]:
    """Publish a build whose upload is open; a build that is published already is brought to rest.

    The copy, which takes long, is made under the lock of this upload alone; the store's lock is
    held for the rename and what follows from it.
    """
    store.prepare()
    token = token_for(build)
    staging = store.config.staging / token
    with store.upload_lock(token):
        with transaction(store) as current:
            refuse_withdrawn(store, current, build)
            if str(build) in current.published:
                return _at_rest(store, current, build)
            current.check_known(build)
            upload = current.uploads.get(str(build))
            if upload is None:
                raise StxMirrorError(
                    f"no upload is open for {build} (it may have expired): begin again"
                )
            check_rule(store, build)
        files = store.upload_files(upload)
        signature.check_announced(store.config, build, files)
        tree = staging / "tree"
        fs.remove_tree(tree)
        try:
            copies = _assemble(store, token, files, reserved_directory(staging), tree)
            result = _check_content(build, files, tree)
            signature.check(store.config, build, tree, staging)
            _finish_tree(build, files, copies, tree)
        except BaseException:
            fs.remove_tree(tree)
            raise
        with transaction(store) as current:
            refuse_withdrawn(store, current, build)
            size = sum(entry.size for entry in files.values())
            _make_visible(store, current, new_state(store, build, result, size), files, tree)
            return _at_rest(store, current, build)


def _assemble(
    store: Store, token: str, files: dict[str, Entry], reserved: Path, tree: Path
) -> list[Path]:
    """Put the build's tree together in staging: copies of what arrived, links to what was reserved.

    Returns the copies, which are not durable yet.
    """
    tree.mkdir(mode=0o755)
    for directory in manifest.needed_directories(files):
        (tree / directory).mkdir(mode=0o755)
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
        placed: dict[str, Path] = {}
        copies = []
        for path, entry in sorted(files.items()):
            target = tree / path
            source = placed.get(entry.sha256, reserved / entry.sha256)
            if not _is_file(source, entry.size):
                _receive(root, path, entry, target)
                copies.append(target)
            elif not _linked(source, target):
                _copy(source, target)
                copies.append(target)
            placed.setdefault(entry.sha256, target)
    finally:
        os.close(root)
    return copies


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
        raise StxMirrorError(f"{path} has not arrived: send what `begin` asked for") from error
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


def _is_file(path: Path, size: int) -> bool:
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_size == size


def _linked(source: Path, target: Path) -> bool:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        # A file system bounds the links of one file.
        if error.errno != errno.EMLINK:
            raise
        return False
    return True


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as stream, _new_file(target) as copy:
        while chunk := stream.read(_CHUNK):
            copy.write(chunk)


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


def _finish_tree(build: BuildId, files: dict[str, Entry], copies: list[Path], tree: Path) -> None:
    """Make the links, and make all of it durable."""
    for path, target in manifest.links(build, files).items():
        (tree / path).symlink_to(target)
    # One after the other, thousands of small files would wait for a disk's journal each.
    with ThreadPoolExecutor(max_workers=_FSYNCS_AT_ONCE) as pool:
        list(pool.map(fs.fsync_path, copies))
    for directory in (*reversed(manifest.needed_directories(files)), "."):
        (tree / directory).chmod(0o755)
        fs.fsync_path(tree / directory)


def _make_visible(
    store: Store,
    current: Transaction,
    state: BuildState,
    files: dict[str, Entry],
    tree: Path,
) -> None:
    """Keep the promise first, then show the build: a build without a promise is never seen."""
    current.save(state)
    build_id = str(state.id)
    path = store.path(build_id)
    fs.make_directories(path.parent, store.config.public)
    tree.rename(path)
    fs.fsync_path(path.parent)
    current.published.add(build_id)
    current.index.add(build_id, ((name, *known) for name, known in files.items()))


def _at_rest(store: Store, current: Transaction, build: BuildId) -> dict[str, object]:
    """Move the aliases, close the upload, and say what became of the build."""
    current.update_aliases()
    current.uploads.pop(str(build), None)
    store.forget_upload(token_for(build))
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
