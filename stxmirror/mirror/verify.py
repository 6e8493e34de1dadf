"""Reading the published bytes again: what the disk, or a person, has done to them since."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import timedelta

from stxmirror.errors import StxMirrorError
from stxmirror.layout import BuildId
from stxmirror.mirror import health, identity, log, survey
from stxmirror.mirror.health import BYTES, STATE, Health, Problem
from stxmirror.mirror.identity import Reading
from stxmirror.mirror.index import Copy
from stxmirror.mirror.store import Store
from stxmirror.mirror.survey import Held, Survey
from stxmirror.mirror.transaction import Transaction, transaction
from stxmirror.times import format_time


def verify(store: Store, build: BuildId | None, days: int | None = None) -> dict[str, object]:
    """Compare one build, or all of them, with what was published; change no published file.

    Names, links, modes and owners are looked at in any case. All bytes are read, those that several
    builds share once; with ``days`` only a slice of them: those that were read longest ago, so many
    that a run a day reads every byte within as many days, and all that was touched by others.
    """
    with transaction(store, pages=False) as current:
        builds = _asked_for(current, build)
        states = dict(current.states)
        copies = current.index.copies()
        known = {(item.id, item.path) for item in health.load(store).problems}
    found = Survey()
    for build_id in sorted(builds):
        survey.look(store, BuildId.parse(build_id), states.get(build_id), known, found)
    chosen = found.held.values() if days is None else _slice(store, found, copies, days)
    readings = [(held, _read(store, held)) for held in chosen]
    with transaction(store, pages=False) as current:
        problems = found.problems + _damage(current, readings)
        if build is None:
            problems += survey.outside(store, current.published)
        # A build that was pruned meanwhile is no fault of the disk.
        problems = [item for item in problems if item.id is None or item.id in current.published]
        problems += _state_damage(current, build)
        problems = _kept(store, build, problems)
        if build is None:
            _save_all(store, current, found, problems, days)
        size = sum(held.identity.size for held, _ in readings)
        log.note(
            store,
            "verify",
            id=str(build) if build else None,
            files=len(readings),
            bytes=size,
            problems=len(problems),
        )
    return {
        "verified": len(builds),
        "read_files": len(readings),
        "read_bytes": size,
        "problems": [item.to_json() for item in problems],
    }


def _state_damage(current: Transaction, build: BuildId | None) -> list[Problem]:
    """Return the builds of which the mirror's own state is damaged."""
    when = format_time(current.store.now)
    return [
        Problem(build_id, str(current.store.state_path(build_id)), STATE, why, when)
        for build_id, why in sorted(current.damaged.items())
        if build is None or build_id == str(build)
    ]


def _asked_for(current: Transaction, build: BuildId | None) -> set[str]:
    if build is None:
        return set(current.published)
    if str(build) not in current.published:
        raise StxMirrorError(f"{build} is not on this mirror: `mirrorctl list` shows what is")
    return {str(build)}


def _slice(store: Store, found: Survey, copies: Mapping[int, Copy], days: int) -> Iterable[Held]:
    """Choose what is read tonight; what is known to be damaged is looked at each time."""
    limit = format_time(store.now - timedelta(days=days))
    quota = sum(held.identity.size for held in found.held.values()) / days
    chosen = []
    size = 0
    for held in sorted(found.held.values(), key=lambda held: _last_read(held, copies) or ""):
        copy = copies.get(held.identity.inode)
        is_strange = (
            copy is not None
            and copy.sha256 == held.sha256
            and (copy.identity != held.identity or not copy.is_intact)
        )
        last = _last_read(held, copies)
        is_late = last is not None and last <= limit
        if is_strange or is_late or held.identity.inode in found.suspects or size < quota:
            chosen.append(held)
            size += held.identity.size
    return chosen


def _last_read(held: Held, copies: Mapping[int, Copy]) -> str | None:
    copy = copies.get(held.identity.inode)
    return copy.read if copy and copy.sha256 == held.sha256 else None


def _read(store: Store, held: Held) -> Reading | None:
    """Return what the disk has; ``None`` if the file is gone, be it pruned or replaced."""
    try:
        return identity.read(store.path(held.build) / held.path, held.sha256)
    except FileNotFoundError:
        return None
    except OSError:
        return Reading(held.sha256, "", None)


def _damage(current: Transaction, readings: Iterable[tuple[Held, Reading | None]]) -> list[Problem]:
    when = format_time(current.store.now)
    current.index.note((reading for _, reading in readings if reading), when)
    problems = []
    for held, reading in readings:
        if reading is None or reading.is_intact:
            continue
        problems.append(Problem(held.build, held.path, BYTES, survey.DAMAGED, when))
        # Every other build that has the same file is hit, too.
        problems += health.damaged(current.index, held.sha256, held.identity.inode, when)
    return problems


def _kept(store: Store, build: BuildId | None, problems: Collection[Problem]) -> list[Problem]:
    """Save the problems in place of those that were known of the same builds, and return them.

    What was known already keeps the time when it was found, and since when it may be.
    """
    before = health.load(store)
    old = {(item.id, item.path, item.kind): item for item in before.problems}
    merged: dict[tuple[str | None, str, str], Problem] = {}
    for item in problems:
        key = (item.id, item.path, item.kind)
        known = old.get(key)
        merged[key] = (
            replace(item, found=known.found, since=item.since or known.since) if known else item
        )
    result = sorted(merged.values(), key=lambda item: (item.id or "", item.path, item.kind))
    others = [
        item
        for key, item in old.items()
        if build is not None and item.id != str(build) and key not in merged
    ]
    health.save(store, replace(before, problems=(*others, *result)))
    return result


def _save_all(
    store: Store,
    current: Transaction,
    found: Survey,
    problems: Collection[Problem],
    days: int | None,
) -> None:
    """Keep how far the reading of all builds has come."""
    copies = current.index.copies()
    damaged = {(item.id, item.path) for item in problems if item.kind == BYTES}
    times = [
        _last_read(held, copies)
        for held in found.held.values()
        if (held.build, held.path) not in damaged
    ]
    read = [when for when in times if when is not None]
    before = health.load(store)
    health.save(
        store,
        Health(
            checked=format_time(store.now),
            days=before.days if days is None else days,
            oldest=min(read, default=None),
            unread=len(times) - len(read),
            problems=before.problems,
        ),
    )
