"""Mending published builds: from an intact copy, or with the bytes that their sender has still."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from stxmirror import names
from stxmirror.errors import StxMirrorError
from stxmirror.layout import BuildId
from stxmirror.mirror import fs, health, identity, log, manifest, survey
from stxmirror.mirror.health import BYTES, STATE, TREE, Problem
from stxmirror.mirror.identity import Identity, Reading, Step
from stxmirror.mirror.manifest import Entry
from stxmirror.mirror.store import Store
from stxmirror.mirror.survey import Tree
from stxmirror.mirror.transaction import Transaction, transaction
from stxmirror.mirror.verify import verify
from stxmirror.times import format_time

Place = tuple[str, str]  # a build's id and a path in it


def repair(store: Store, build: BuildId | None) -> dict[str, object]:
    """Mend one build, or what is known to be wrong with any; say what is left and what to do.

    The builds are read first, so that nothing is mended by what was true some time ago.
    """
    if build is None:
        known = {item.id for item in health.load(store).problems if item.id}
        builds = sorted(known & store.published())
    else:
        builds = [str(build)]
    for build_id in builds:
        verify(store, BuildId.parse(build_id))
    with transaction(store) as current:
        mended = []
        for build_id in builds:
            mended += _mend(current, build_id)
        health.forget(store, (place for place, _ in mended))
        if mended:
            _note(store, mended)
        problems = [
            item for item in health.load(store).problems if build is None or item.id in builds
        ]
    return {
        "repaired": _listed(mended),
        "problems": [{**item.to_json(), "do": _advice(item)} for item in problems],
    }


def fill(
    current: Transaction,
    build: BuildId,
    files: Mapping[str, Entry],
    received: Mapping[str, Path],
) -> None:
    """Put verified files where a published build has holes, and wherever else those bytes lie.

    What they must be is the mirror's own word: its SHA256SUMS, and the seals over that.
    """
    store = current.store
    state = current.states[str(build)]
    if names.SUMS in received:
        sums = manifest.parse_sums(received[names.SUMS].read_bytes())
        wanted = {**sums, **state.seals}
    else:
        wanted = survey.published(store, build, state).files
    mended: list[tuple[Place, str]] = []
    for path, source in received.items():
        sha256 = files[path].sha256
        if sha256 != wanted.get(path):
            raise StxMirrorError(
                f"{path} is not the file that was published in {build}: send the build's own"
            )
        places = _places(current, sha256, (str(build), path))
        _put(current, source, sha256, places)
        mended += [(place, "from the bytes that were sent again") for place in places]
        target = store.path(str(build)) / path
        reading = Reading(sha256, sha256, Identity.of(target.lstat()))
        current.index.note([reading], format_time(store.now))
    health.forget(store, (place for place, _ in mended))
    _note(store, mended)


def _mend(current: Transaction, build_id: str) -> list[tuple[Place, str]]:
    store = current.store
    state = current.states.get(build_id)
    problems = [item for item in health.load(store).problems if item.id == build_id]
    try:
        tree = survey.published(store, BuildId.parse(build_id), state)
    except (OSError, StxMirrorError):
        # Without its list nothing of it can be judged; that list itself may have a copy.
        tree = Tree(dict(state.seals) if state else {}, frozenset(), {})
    mended: list[tuple[Place, str]] = []
    for item in problems:
        if item.kind == BYTES and item.path in tree.files:
            mended += _from_copy(current, (build_id, item.path), tree.files[item.path])
        elif item.kind == TREE and _put_right(current, store.path(build_id), item.path, tree):
            mended.append(((build_id, item.path), "put right"))
    return mended


def _from_copy(current: Transaction, place: Place, sha256: str) -> list[tuple[Place, str]]:
    """Replace a damaged file, wherever it is linked, by an intact one with the same bytes."""
    index, store = current.index, current.store
    places = _places(current, sha256, place)
    damaged = {store.path(build_id) / path for build_id, path in places}
    for name, found in index.find(sha256):
        source = Path(name)
        if source in damaged:
            continue
        if index.verdict(found, sha256) is None:
            index.note([identity.read(source, sha256)], format_time(store.now))
        if index.verdict(found, sha256):
            _put(current, source, sha256, places)
            where = source.relative_to(store.config.public)
            return [(mended, f"from {where}") for mended in places]
    return []


def _places(current: Transaction, sha256: str, place: Place) -> list[Place]:
    """Return every place that has what ``place`` has: the same inode, or nothing."""
    path = current.store.path(place[0]) / place[1]
    status = fs.look(path)
    inode = None if status is None else Identity.of(status).inode
    return sorted({place, *current.index.sharing(sha256, inode)})


def _put(current: Transaction, source: Path, sha256: str, places: Iterable[Place]) -> None:
    """Link a file with these bytes to each of the places; readers see the old one or the new."""
    store = current.store
    temporary = store.scratch / f"{os.getpid()}.mend"
    steps: list[Step] = []
    for build_id, path in places:
        target = store.path(build_id) / path
        fs.make_directories(target.parent, store.path(build_id))
        try:
            before = Identity.of(source.lstat())
            steps.append(identity.link(str(source), str(temporary), before))
        except OSError as error:
            if error.errno != errno.EMLINK:
                raise
            if identity.copy(source, temporary) != sha256:
                raise StxMirrorError(f"{source} was damaged meanwhile: run it again") from error
            fs.fsync_path(temporary)
        temporary.replace(target)
        fs.fsync_path(target.parent)
    current.index.follow_steps(steps)


def _put_right(current: Transaction, root: Path, name: str, tree: Tree) -> bool:
    """Give an entry of a build's tree its mode, or make a directory or link that is missing."""
    path = root / name
    if name in tree.links:
        fs.make_directories(path.parent, root)
        fs.set_link(path, tree.links[name], current.store.scratch)
        return True
    before = fs.look(path)
    if before is None:
        fs.make_directories(path, root)
    elif stat.S_ISREG(before.st_mode):
        path.chmod(survey.FILE_MODE)
        inode = Identity.of(before).inode
        step = Step(inode, before.st_ctime_ns, path.lstat().st_ctime_ns)
        current.index.follow_steps([step])
    elif stat.S_ISDIR(before.st_mode):
        path.chmod(survey.DIRECTORY_MODE)
    return True


def _advice(problem: Problem) -> str:
    if problem.kind == STATE:
        return f"`mirrorctl repair-state {problem.id}`"
    if problem.kind != BYTES:
        return "look at it, and remove it or give it back its owner by hand, as root"
    return (
        f"`stx-mirror publish {problem.id}` on its build host sends it again if that still has it; "
        f"else `mirrorctl withdraw {problem.id} --reason ...`"
    )


def _note(store: Store, mended: Iterable[tuple[Place, str]]) -> None:
    log.note(store, "repair", repaired=_listed(mended))


def _listed(mended: Iterable[tuple[Place, str]]) -> list[dict[str, str]]:
    return [{"id": build_id, "path": path, "how": how} for (build_id, path), how in mended]
