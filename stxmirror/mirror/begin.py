"""The first step of publishing: what is to come, and what of it the mirror already holds."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from datetime import timedelta
from pathlib import Path

from stxmirror import names
from stxmirror.errors import StxMirrorError
from stxmirror.layout import BuildId
from stxmirror.mirror import fs, manifest, signature
from stxmirror.mirror.index import Index
from stxmirror.mirror.manifest import Entry
from stxmirror.mirror.state import Upload
from stxmirror.mirror.store import Store, reserved_directory, token_for
from stxmirror.mirror.transaction import Transaction, transaction
from stxmirror.times import format_time

# Clocks that are kept right differ by less; a build-date further ahead would beat the next build.
CLOCK_SKEW = timedelta(seconds=5)


def begin(store: Store, build: BuildId, data: bytes) -> dict[str, object]:
    """Open an upload for ``build``, or refuse it, by the manifest ``data``.

    Calling it again for an open upload is fine: the answer is computed anew.
    """
    files = manifest.read_manifest(data, build)
    check_rule(store, build)
    if build.when > store.now + CLOCK_SKEW:
        ahead = (build.when - store.now).total_seconds()
        raise StxMirrorError(
            f"the build-date of {build} lies {ahead:.0f} s in the future (here it is "
            f"{format_time(store.now)}): set the clocks right (chrony, `timedatectl`), and publish "
            "again when that time has come, or build again"
        )
    store.prepare()
    token = token_for(build)
    with store.upload_lock(token, create=True), transaction(store) as current:
        try:
            return _open(store, current, build, files)
        except BaseException:
            store.forget_upload(token)
            raise


def check_rule(store: Store, build: BuildId) -> None:
    """Raise unless the mirror's policy says how long builds of this directory are kept."""
    if store.config.policy.rule_for(build.directory) is None:
        raise StxMirrorError(
            f"the mirror has no retention rule for {build.directory}: add a stream for it to the "
            "inventory and provision the mirror, then publish again"
        )


def refuse_withdrawn(store: Store, current: Transaction, build: BuildId) -> None:
    """Close what is open of a build that was withdrawn, and raise; it must not come back."""
    known = current.states.get(str(build))
    if known and known.tombstone:
        store.forget_upload(token_for(build))
        raise StxMirrorError(
            f"{build} was withdrawn from the mirror: {known.tombstone.reason}: build again"
        )


def _open(
    store: Store, current: Transaction, build: BuildId, files: dict[str, Entry]
) -> dict[str, object]:
    staging = store.config.staging / token_for(build)
    total = sum(entry.size for entry in files.values())
    refuse_withdrawn(store, current, build)
    if str(build) in current.published:
        _check_same(store, build, files)
        # An open upload is one whose promotion was cut off after the build had become visible:
        # `promote` ends it.
        if str(build) not in current.uploads:
            fs.remove_tree(staging)
        return _reply(None, [], 0, total, "published")
    current.check_known(build)
    signature.check_announced(store.config, build, files)
    current.expire_uploads(except_for=token_for(build))
    need = _reserve(current.index, files, reserved_directory(staging))
    need_bytes = sum(files[path].size for path in need)
    _check_room(store, current, build, need_bytes)
    store.save_upload(
        Upload(
            id=build,
            token=token_for(build),
            began=store.now,
            need_bytes=need_bytes,
            list_sha256=None,
        ),
        files,
    )
    return _reply(token_for(build), need, need_bytes, total - need_bytes, "open")


def _reply(
    token: str | None, need: list[str], need_bytes: int, have_bytes: int, state: str
) -> dict[str, object]:
    return {
        "upload": token,
        "need": need,
        "need_bytes": need_bytes,
        "have_bytes": have_bytes,
        "state": state,
    }


def _check_same(store: Store, build: BuildId, files: dict[str, Entry]) -> None:
    """A published build is final; the same content again is no fault.

    SHA256SUMS stands for everything that it lists. Its signature is not compared: signing the same
    list again gives other bytes.
    """
    sums = (store.path(str(build)) / names.SUMS).read_bytes()
    if manifest.digest(sums) != files[names.SUMS].sha256:
        raise StxMirrorError(
            f"{build} is already published with other content, and a published build never "
            "changes: build again, under a new build-date"
        )


def _reserve(index: Index, files: dict[str, Entry], reserved: Path) -> list[str]:
    """Link what the mirror holds into ``reserved``; return a path for each content that it lacks.

    The link keeps the bytes although the build they came from may be pruned meanwhile.
    """
    reserved.mkdir(exist_ok=True)
    wanted = {entry.sha256: entry.size for entry in files.values()}
    for link in reserved.iterdir():
        if link.name not in wanted:
            link.unlink()
    missing = {
        sha256
        for sha256, size in wanted.items()
        if not _is_reserved(index, sha256, size, reserved / sha256)
    }
    fs.fsync_path(reserved)
    need = []
    for path in sorted(files):
        if files[path].sha256 in missing:
            missing.discard(files[path].sha256)
            need.append(path)
    return need


def _is_reserved(index: Index, sha256: str, size: int, link: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        status = os.lstat(link)
        if stat.S_ISREG(status.st_mode) and status.st_size == size:
            return True
        link.unlink()
    for found in index.find(sha256, size):
        try:
            os.link(found, link, follow_symlinks=False)
        except OSError as error:
            # A file system bounds the links of one file; such a content is sent once more.
            if error.errno not in (errno.EMLINK, errno.ENOENT):
                raise
            continue
        return True
    return False


def _check_room(store: Store, current: Transaction, build: BuildId, need_bytes: int) -> None:
    """Raise unless what is to come fits beside what other uploads were promised.

    The bytes lie on the disk twice while they are promoted: as they arrived, and as the mirror's
    own copy.
    """
    owed = 2 * need_bytes - _received(store, token_for(build))
    for build_id, upload in current.uploads.items():
        if build_id != str(build):
            owed += max(0, 2 * upload.need_bytes - _received(store, upload.token))
    space = os.statvfs(store.config.store)
    free = space.f_bavail * space.f_frsize
    if need_bytes and owed + store.config.reserve_bytes > free:
        raise StxMirrorError(
            f"no room on the mirror for {build}: it needs {owed} bytes and a reserve of "
            f"{store.config.reserve_bytes}, and {free} are free: prune, or enlarge the volume"
        )


def _received(store: Store, token: str) -> int:
    received = fs.walk_received(store.config.incoming / token)
    return sum(status.st_blocks * 512 for _, status in received)
