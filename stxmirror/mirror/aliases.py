"""``latest_build`` and the legacy links, as they follow from what lies in the tree.

An alias is never stored anywhere but in its link, and is always reckoned anew: the newest success
of its directory. So it cannot go back to an older build while the newer one is there, and the
next run repairs what a crash left.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from stxmirror.errors import StxMirrorError
from stxmirror.layout import BuildId, check_identifier, legacy_alias
from stxmirror.mirror import fs
from stxmirror.mirror.store import Store
from stxmirror.retention import rule_for

NAME = "latest_build"


def settle(
    store: Store, entries: Mapping[str, Mapping[str, Any]], doomed: Iterable[str] = ()
) -> dict[str, str | None]:
    """Point every alias where it belongs, as if the builds ``doomed`` were gone already.

    Called before those are taken away, so that an alias names a complete build at every moment.
    Returns ``{directory: build-date or None}`` of the aliases that moved.
    """
    gone = frozenset(doomed)
    latest: dict[str, str | None] = {}
    legacy: dict[str, str] = {}
    identifiers = set()
    for build_id, entry in entries.items():
        build = BuildId.parse(build_id)
        newest = latest.setdefault(build.directory, None)
        if build_id in gone or entry["tombstone"]:
            continue
        identifiers.add(build.identifier)
        name = _legacy_name(store, build)
        if name:
            legacy[name] = build.identifier
        if entry["result"] == "success" and (newest is None or newest < build.build_date):
            latest[build.directory] = build.build_date
    moved = {}
    for directory, target in sorted(latest.items()):
        if _point(store, directory, target):
            moved[directory] = target
    _settle_legacy(store, legacy, identifiers)
    return moved


def current(store: Store, directories: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return the aliases as they stand, ``{directory: {"latest_build": build-date}}``."""
    found = {}
    for directory in sorted(set(directories)):
        link = store.config.public / directory / NAME
        if link.is_symlink():
            found[directory] = {NAME: str(link.readlink())}
    return found


def _point(store: Store, directory: str, target: str | None) -> bool:
    link = store.config.public / directory / NAME
    if target is not None:
        return fs.set_link(link, target, store.scratch)
    if not link.is_symlink():
        return False
    link.unlink()
    fs.fsync_path(link.parent)
    return True


def _legacy_name(store: Store, build: BuildId) -> str | None:
    rule = rule_for(store.config.rules, build.directory)
    return rule.get("legacy_alias") if rule else legacy_alias(build.identifier)


def _settle_legacy(store: Store, wanted: Mapping[str, str], identifiers: set[str]) -> None:
    public = store.config.public
    for name, identifier in sorted(wanted.items()):
        if (public / name).is_symlink() or not (public / name).exists():
            fs.set_link(public / name, identifier, store.scratch)
    with os.scandir(public) as entries:
        links = [entry.name for entry in entries if entry.is_symlink()]
    for name in links:
        # A link that still leads somewhere stays even when no rule asks for it any more: people
        # use its address.
        target = str((public / name).readlink())
        if name not in wanted and _is_identifier(target) and target not in identifiers:
            (public / name).unlink()
            fs.fsync_path(public)


def _is_identifier(text: str) -> bool:
    try:
        check_identifier(text)
    except StxMirrorError:
        return False
    return True
