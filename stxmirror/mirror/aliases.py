"""``latest_build`` and the legacy links, as they follow from what lies in the tree.

An alias is never stored anywhere but in its link, and is always computed anew: the newest success
of its directory. So it cannot go back to an older build while the newer one is there, and the
next run repairs what a crash left.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from stxmirror import names
from stxmirror.layout import is_identifier, legacy_alias
from stxmirror.mirror import fs
from stxmirror.mirror.state import BuildState
from stxmirror.mirror.store import Store
from stxmirror.retention import Rule, rule_for

NAME = names.LATEST


@dataclass(frozen=True)
class Targets:
    """Where the links must point.

    ``latest`` has a build-date, or ``None`` for no link, for each directory; ``legacy`` the
    identifier for each link at the top; ``identifiers`` are all that have builds.
    """

    latest: dict[str, str | None]
    legacy: dict[str, str]
    identifiers: frozenset[str]


def targets(
    states: Iterable[BuildState], rules: Sequence[Rule], to_delete: Collection[str] = ()
) -> Targets:
    """Return where every link belongs, as if the builds ``to_delete`` were gone already."""
    latest: dict[str, str | None] = {}
    legacy: dict[str, str] = {}
    identifiers = set()
    for state in states:
        build = state.id
        newest = latest.setdefault(build.directory, None)
        if str(build) in to_delete or state.tombstone:
            continue
        identifiers.add(build.identifier)
        rule = rule_for(rules, build.directory)
        name = rule.legacy_alias if rule else legacy_alias(build.identifier)
        if name:
            legacy[name] = build.identifier
        if state.is_success and (newest is None or newest < build.build_date):
            latest[build.directory] = build.build_date
    return Targets(latest, legacy, frozenset(identifiers))


def update(
    store: Store, states: Iterable[BuildState], to_delete: Collection[str] = ()
) -> dict[str, str | None]:
    """Point every alias where it belongs, as if the builds ``to_delete`` were gone already.

    Called before those are moved away, so that an alias names a complete build at every moment.
    Returns ``{directory: build-date or None}`` of the aliases that moved.
    """
    wanted = targets(states, store.config.policy.rules, to_delete)
    moved = {}
    for directory, target in sorted(wanted.latest.items()):
        if _point(store, directory, target):
            moved[directory] = target
    _update_legacy(store, wanted)
    return moved


def current(store: Store, directories: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return the aliases as they stand, ``{directory: {"latest_build": build-date}}``."""
    found = {}
    for directory in sorted(set(directories)):
        target = fs.link_target(store.config.public / directory / NAME)
        if target is not None:
            found[directory] = {NAME: target}
    return found


def _point(store: Store, directory: str, target: str | None) -> bool:
    link = store.config.public / directory / NAME
    if target is not None:
        return fs.set_link(link, target, store.scratch)
    if fs.link_target(link) is None:
        return False
    link.unlink()
    fs.fsync_path(link.parent)
    return True


def _update_legacy(store: Store, wanted: Targets) -> None:
    public = store.config.public
    for name, identifier in sorted(wanted.legacy.items()):
        status = fs.look(public / name)
        if status is None or stat.S_ISLNK(status.st_mode):
            fs.set_link(public / name, identifier, store.scratch)
    with os.scandir(public) as entries:
        links = [entry.name for entry in entries if entry.is_symlink()]
    for name in links:
        # A link that still leads somewhere stays even when no rule asks for it any more: people
        # use its address.
        target = str((public / name).readlink())
        is_ours = name not in wanted.legacy and is_identifier(target)
        if is_ours and target not in wanted.identifiers:
            (public / name).unlink()
            fs.fsync_path(public)
