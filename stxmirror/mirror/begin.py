"""The first step of publishing: what is to come, and what of it the mirror already holds."""

from __future__ import annotations

import errno
import os
from datetime import timedelta
from pathlib import Path

from stxmirror import names
from stxmirror.errors import StxMirrorError
from stxmirror.layout import BuildId
from stxmirror.mirror import fs, health, identity, manifest, signature
from stxmirror.mirror.errors import Busy
from stxmirror.mirror.identity import Identity, Reading, Step
from stxmirror.mirror.index import Index
from stxmirror.mirror.manifest import Entry
from stxmirror.mirror.state import BuildState, Upload
from stxmirror.mirror.store import Store, reserved_directory, token_for
from stxmirror.mirror.transaction import Transaction, transaction
from stxmirror.times import format_time

# Clocks that are kept right differ by less; a build-date further ahead would beat the next build.
CLOCK_SKEW = timedelta(seconds=5)
# A file is read again if somebody links it while it is read: at most so often.
_READINGS = 4


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
    readings: list[Reading] = []
    with store.upload_lock(token, create=True):
        for _ in range(_READINGS):
            with transaction(store) as current:
                try:
                    health.record(store, current.index, readings)
                    reply, unread = _open(store, current, build, files)
                except BaseException:
                    current.index.follow_steps(store.forget_upload(token))
                    raise
            if not unread:
                return reply
            # Long, so without the store's lock; what is reserved stays meanwhile.
            readings = [identity.read(path, path.name) for path in unread]
    raise Busy("what the mirror holds of this build is being published elsewhere: begin again")


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
        current.index.follow_steps(store.forget_upload(token_for(build)))
        raise StxMirrorError(
            f"{build} was withdrawn from the mirror: {known.tombstone.reason}: build again"
        )


def _open(
    store: Store, current: Transaction, build: BuildId, files: dict[str, Entry]
) -> tuple[dict[str, object], list[Path]]:
    """Return the reply, or the reserved files that must be read before there is one."""
    staging = store.config.staging / token_for(build)
    total = sum(entry.size for entry in files.values())
    refuse_withdrawn(store, current, build)
    known = current.states.get(str(build))
    if str(build) in current.published:
        _check_same(store, build, files, known)
        holes = _holes(store, build, files, known)
        if holes:
            return _open_for(store, current, build, holes), []
        # An open upload is one whose promotion was cut off after the build had become visible:
        # `promote` ends it.
        if str(build) not in current.uploads:
            current.index.follow_steps(identity.remove_tree(staging))
        return _reply(None, [], 0, total, "published"), []
    current.check_known(build)
    signature.check_announced(store.config, build, files)
    current.expire_uploads(except_for=token_for(build))
    need, unread = _reserve(current.index, files, reserved_directory(staging))
    if unread:
        return {}, unread
    return _open_for(store, current, build, files, need), []


def _open_for(
    store: Store,
    current: Transaction,
    build: BuildId,
    files: dict[str, Entry],
    need: list[str] | None = None,
) -> dict[str, object]:
    """Open the upload of ``files``, of which ``need`` (or all) are to come; return the reply."""
    if need is None:
        need = sorted(files)
    need_bytes = sum(files[path].size for path in need)
    total = sum(entry.size for entry in files.values())
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


def _check_same(
    store: Store, build: BuildId, files: dict[str, Entry], known: BuildState | None
) -> None:
    """A published build is final; the same content again is no fault.

    SHA256SUMS stands for everything that it lists. Its signature is not compared: signing the same
    list again gives other bytes.
    """
    published = known.seals.get(names.SUMS) if known else None
    if published is None:
        published = manifest.digest((store.path(str(build)) / names.SUMS).read_bytes())
    if published != files[names.SUMS].sha256:
        raise StxMirrorError(
            f"{build} is already published with other content, and a published build never "
            "changes: build again, under a new build-date"
        )


def _holes(
    store: Store, build: BuildId, files: dict[str, Entry], known: BuildState | None
) -> dict[str, Entry]:
    """Return what is damaged of a published build and can be sent again.

    A signature that was made anew is no mending for the one that was published.
    """
    seals = known.seals if known else {}
    return {
        path: files[path]
        for path in sorted(health.load(store).holes(str(build)) & files.keys())
        if path not in names.UNLISTED or seals.get(path) == files[path].sha256
    }


def _reserve(index: Index, files: dict[str, Entry], reserved: Path) -> tuple[list[str], list[Path]]:
    """Link what the mirror holds into ``reserved``.

    Returns a path for each content that it lacks, and the links to what must be read before it
    is used. A link keeps the bytes although the build they came from may be pruned meanwhile.
    """
    reserved.mkdir(exist_ok=True)
    wanted = {entry.sha256: entry.size for entry in files.values()}
    steps: list[Step] = []
    held: set[str] = set()
    unread = []
    for link in sorted(reserved.iterdir()):
        found = Identity.of(link.lstat())
        is_intact = (
            index.verdict(found, link.name) if found.size == wanted.get(link.name) else False
        )
        if is_intact is False:
            steps.append(identity.unlink(link))
            continue
        held.add(link.name)
        if is_intact is None:
            unread.append(link)
    # What is known of the links that were just taken away.
    index.follow_steps(steps)
    steps = []
    place = str(reserved)
    for sha256 in wanted.keys() - held:
        for path, found in index.find(sha256, wanted[sha256]):
            is_intact = index.verdict(found, sha256)
            if is_intact is False:
                continue  # damaged: another copy may not be
            step = _linked(path, f"{place}/{sha256}", found)
            if step:
                steps.append(step)
                held.add(sha256)
                if is_intact is None:
                    unread.append(reserved / sha256)
            break
    index.follow_steps(steps)
    fs.fsync_path(reserved)
    missing = wanted.keys() - held
    need = []
    for name in sorted(files):
        if files[name].sha256 in missing:
            missing.discard(files[name].sha256)
            need.append(name)
    return need, unread


def _linked(source: str, target: str, found: Identity) -> Step | None:
    try:
        return identity.link(source, target, found)
    except OSError as error:
        # A file system bounds the links of one file; such a content is sent once more.
        if error.errno not in (errno.EMLINK, errno.ENOENT):
            raise
        return None


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
