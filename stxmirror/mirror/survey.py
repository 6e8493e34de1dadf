"""What a published tree must have, and what it has: names, kinds, links, modes, owners.

Reads the lists and no other file: what the bytes are is for :mod:`verify` to find out.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from stxmirror import names
from stxmirror.errors import StxMirrorError
from stxmirror.layout import RESERVED_NAMES, BuildId, is_identifier
from stxmirror.mirror import aliases, fs, manifest
from stxmirror.mirror.health import BYTES, FOREIGN, TREE, Problem
from stxmirror.mirror.identity import Identity
from stxmirror.mirror.state import BuildState
from stxmirror.mirror.store import Store
from stxmirror.times import format_time

FILE_MODE = 0o644
DIRECTORY_MODE = 0o755
_OTHERS_WRITE = 0o022
DAMAGED = "its bytes are not the published ones"


class Held(NamedTuple):
    """An inode of the tree: one of its places, and the bytes that it should have."""

    build: str
    path: str
    sha256: str
    identity: Identity


class Tree(NamedTuple):
    """What a build's directory must have: files with their SHA-256, links with their targets."""

    files: dict[str, str]
    directories: frozenset[str]
    links: dict[str, str]


@dataclass
class Survey:
    """The problems that were found, and each inode once."""

    problems: list[Problem] = field(default_factory=list)
    held: dict[int, Held] = field(default_factory=dict)
    suspects: set[int] = field(default_factory=set)


def tree_of(build: BuildId, sums: Collection[str], files: dict[str, str]) -> Tree:
    """Return what a build whose SHA256SUMS lists ``sums`` must have."""
    directories = frozenset(manifest.needed_directories(sums))
    return Tree(files, directories, manifest.links(build, sums))


def published(store: Store, build: BuildId, state: BuildState | None) -> Tree:
    """Return what a build must have by the list that was published with it.

    Raises ``OSError`` or ``StxMirrorError`` if that list is not readable or not the published one.
    """
    data = (store.path(str(build)) / names.SUMS).read_bytes()
    seals = dict(state.seals) if state else {}
    if manifest.digest(data) != seals.setdefault(names.SUMS, manifest.digest(data)):
        raise StxMirrorError(DAMAGED)
    sums = manifest.parse_sums(data)
    return tree_of(build, sums, {**sums, **seals})


def look(
    store: Store,
    build: BuildId,
    state: BuildState | None,
    known: Collection[tuple[str | None, str]],
    survey: Survey,
) -> None:
    """Compare a build's directory with what it must have; ``known`` are places of old problems."""

    def problem(path: str, kind: str, why: str) -> None:
        survey.problems.append(Problem(str(build), path, kind, why, format_time(store.now)))

    root = store.path(str(build))
    found = dict(fs.walk(root))
    try:
        tree = published(store, build, state)
    except FileNotFoundError:
        problem(names.SUMS, BYTES, "it is missing")
        return
    except (OSError, StxMirrorError) as error:
        problem(names.SUMS, BYTES, str(error))
        return
    for path, sha256 in tree.files.items():
        if path not in found:
            problem(path, BYTES, "it is missing")
        elif stat.S_ISREG(found[path].st_mode):
            identity = Identity.of(found[path])
            survey.held.setdefault(identity.inode, Held(str(build), path, sha256, identity))
            if (str(build), path) in known:
                survey.suspects.add(identity.inode)
    for path in sorted((tree.directories | tree.links.keys()) - found.keys()):
        problem(path, TREE, "it is missing")
    # Of a build from before there were seals, nobody knows whether it was signed.
    unknown = () if state and state.seals else names.UNLISTED
    owner = store.config.public.stat().st_uid
    for path, status in {".": root.lstat(), **found}.items():
        wrong = _wrong_entry(tree, root, path, status)
        if path in unknown or wrong is None:
            wrong = _wrong_right(status, owner)
        if wrong:
            problem(path, *wrong)


def _wrong_entry(
    tree: Tree, root: Path, path: str, status: os.stat_result
) -> tuple[str, str] | None:
    """Say what is wrong with what lies at ``path``, apart from its bytes and rights."""
    if path in tree.files:
        return None if stat.S_ISREG(status.st_mode) else (FOREIGN, "it is not a regular file")
    if path == "." or path in tree.directories:
        return None if stat.S_ISDIR(status.st_mode) else (FOREIGN, "it is not a directory")
    if path not in tree.links:
        return FOREIGN, "it is not part of the build"
    if not stat.S_ISLNK(status.st_mode):
        return FOREIGN, "it is not a link"
    if str((root / path).readlink()) != tree.links[path]:
        return TREE, f"it does not lead to {tree.links[path]}"
    return None


def _wrong_right(status: os.stat_result, owner: int) -> tuple[str, str] | None:
    if status.st_uid != owner:
        return FOREIGN, f"it belongs to the user id {status.st_uid}, not to the tree's owner"
    mode = stat.S_IMODE(status.st_mode)
    wanted = DIRECTORY_MODE if stat.S_ISDIR(status.st_mode) else FILE_MODE
    if not stat.S_ISLNK(status.st_mode) and mode != wanted:
        return TREE, f"its mode is {mode:04o}, not {wanted:04o}"
    return None


def outside(store: Store, builds: Collection[str]) -> list[Problem]:
    """Return what lies in the tree outside of its builds and is not the mirror's; under its lock.

    What the mirror itself writes there, below reserved names, is only looked at for its rights.
    """
    parents = {str(parent) for build in builds for parent in Path(build).parents}
    streams = {BuildId.parse(build).directory for build in builds}
    problems = []
    for path, status in _around(store.config.public, builds):
        if stat.S_ISLNK(status.st_mode):
            directory, _, name = path.rpartition("/")
            target = str((store.config.public / path).readlink())
            is_ours = (name == aliases.NAME and directory in streams) or (
                not directory and is_identifier(target)
            )
        else:
            is_ours = path.split("/")[0] in RESERVED_NAMES or (
                stat.S_ISDIR(status.st_mode) and path in parents
            )
        if not is_ours:
            why = "it is not part of the mirror"
        elif not stat.S_ISLNK(status.st_mode) and status.st_mode & _OTHERS_WRITE:
            why = f"others may write to it: its mode is {stat.S_IMODE(status.st_mode):04o}"
        else:
            continue
        problems.append(Problem(None, path, FOREIGN, why, format_time(store.now)))
    return problems


def _around(public: Path, builds: Collection[str]) -> Iterator[tuple[str, os.stat_result]]:
    pending = [""]
    while pending:
        prefix = pending.pop()
        with os.scandir(public / prefix) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
        for entry in listed:
            path = f"{prefix}{entry.name}"
            if path in builds:
                continue
            yield path, entry.stat(follow_symlinks=False)
            if entry.is_dir(follow_symlinks=False):
                pending.append(f"{path}/")
