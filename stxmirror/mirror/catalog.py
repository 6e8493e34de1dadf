"""The builds of the mirror: listing them, and what a person says about one."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace

from stxmirror.errors import StxMirrorError
from stxmirror.layout import BuildId
from stxmirror.mirror import aliases
from stxmirror.mirror.errors import Busy
from stxmirror.mirror.state import BuildState, Tombstone
from stxmirror.mirror.store import Store, token_for
from stxmirror.mirror.transaction import Transaction, empty_trash, transaction
from stxmirror.mirror.write_pages import write_pages
from stxmirror.retention import ListedBuild
from stxmirror.times import format_time

_REASON_MAX = 500
# Of how many builds one question may be.
_KNOWN_MAX = 100


def listing(store: Store) -> dict[str, object]:
    """Return every build with its promise, the aliases and the policy: what a plan is made from."""
    policy = store.config.policy
    with transaction(store) as current:
        return {
            "builds": [
                {
                    "id": build_id,
                    "result": current.states[build_id].result,
                    "keep_until": current.states[build_id].keep_until,
                    "hold": build.hold,
                    "bytes": current.states[build_id].bytes,
                    "published": current.states[build_id].published,
                    "publishing": build.is_publishing,
                }
                for build_id, build in listed(current).items()
            ],
            "damaged": [
                {"id": build_id, "why": why} for build_id, why in sorted(current.damaged.items())
            ],
            "aliases": aliases.current(store, directories(current)),
            "rules": [rule.to_json() for rule in policy.rules],
            "release_period_days": policy.release_period_days,
            "max_delete_share": policy.max_delete_share,
        }


def known(store: Store, data: bytes) -> dict[str, object]:
    """Say of the builds in the request whether readers can see them.

    ``state`` is ``published`` (with ``result``), ``withdrawn`` (with ``reason``) or ``absent``.
    """
    build_ids = _requested(data)
    with transaction(store) as current:
        return {"builds": {build_id: _standing(current, build_id) for build_id in build_ids}}


def _requested(data: bytes) -> list[str]:
    problem = f'the request on standard input must be {{"builds": [up to {_KNOWN_MAX} build ids]}}'
    try:
        raw = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise StxMirrorError(problem) from error
    asked = raw.get("builds") if isinstance(raw, dict) else None
    if not isinstance(asked, list) or len(asked) > _KNOWN_MAX:
        raise StxMirrorError(problem)
    return [str(BuildId.parse(item)) for item in asked]


def _standing(current: Transaction, build_id: str) -> dict[str, str]:
    state = current.states.get(build_id)
    if state and state.tombstone:
        return {"state": "withdrawn", "reason": state.tombstone.reason}
    if state and build_id in current.published:
        return {"state": "published", "result": state.result}
    return {"state": "absent"}


def listed(current: Transaction) -> dict[str, ListedBuild]:
    """Return the published builds as retention sees them, by id, sorted."""
    return {
        build_id: current.states[build_id].listed(is_publishing=build_id in current.uploads)
        for build_id in sorted(current.published)
    }


def directories(current: Transaction) -> set[str]:
    """Return the directories that have builds."""
    return {BuildId.parse(build_id).directory for build_id in current.published}


def hold(store: Store, build: BuildId, reason: str) -> dict[str, object]:
    """Mark a build so that no rule deletes it."""
    return _mark(store, build, _checked_reason(reason))


def unhold(store: Store, build: BuildId) -> dict[str, object]:
    """Take the mark away; retention decides again."""
    return _mark(store, build, None)


def _mark(store: Store, build: BuildId, reason: str | None) -> dict[str, object]:
    with transaction(store) as current:
        state = _published_state(current, build)
        current.check_known(build)
        current.save(replace(state, hold=reason))
        return {"id": str(build), "hold": reason, "keep_until": state.keep_until}


def withdraw(store: Store, build: BuildId, reason: str) -> dict[str, object]:
    """Take a build away against the rules; a tombstone says why, the alias falls back."""
    reason = _checked_reason(reason)
    with transaction(store, pages=False) as current:
        state = _published_state(current, build)
        tombstone = Tombstone(reason, format_time(store.now), store.record(str(build)))
        current.save(replace(state, tombstone=tombstone))
        _close_upload(store, current, build)
        current.move_away([str(build)])
        targets = aliases.current(store, [build.directory])
    empty_trash(store)
    return {"id": str(build), "withdrawn": reason, "alias": targets.get(build.directory)}


def _close_upload(store: Store, current: Transaction, build: BuildId) -> None:
    """Close an upload of a build, which a promotion that was cut off has left open."""
    token = token_for(build)
    # Whoever holds the upload waits for the store's lock, and meets the tombstone.
    with contextlib.suppress(Busy), store.upload_lock(token):
        current.index.follow_steps(store.forget_upload(token))
        current.uploads.pop(str(build), None)


def _published_state(current: Transaction, build: BuildId) -> BuildState:
    if str(build) not in current.published:
        raise StxMirrorError(f"{build} is not on this mirror: `mirrorctl list` shows what is")
    return current.states[str(build)]


def _checked_reason(reason: str) -> str:
    text = " ".join(reason.split())
    if not text or len(text) > _REASON_MAX or not text.isprintable():
        raise StxMirrorError(
            f"give a reason that readers of the page understand, 1 to {_REASON_MAX} characters"
        )
    return text


def expire(store: Store) -> dict[str, object]:
    """Close uploads that nobody promoted in time, and delete what was moved away."""
    with transaction(store, pages=False) as current:
        expired = current.expire_uploads()
        tokens = sorted(upload.token for upload in current.uploads.values())
    empty_trash(store)
    return {"expired": expired, "open": tokens}


def make_pages(store: Store) -> dict[str, object]:
    """Make the pages anew: ages and dates on them change with time."""
    with transaction(store, pages=False) as current:
        write_pages(store, current.states, current.damaged)
        return {"builds": len(current.published)}
