"""The builds of the mirror: listing them, and what a person says about one."""

from __future__ import annotations

from dataclasses import replace

from stxmirror.errors import StxMirrorError
from stxmirror.layout import BuildId
from stxmirror.mirror import aliases
from stxmirror.mirror.state import BuildState, Tombstone
from stxmirror.mirror.store import Store
from stxmirror.mirror.transaction import Transaction, empty_trash, transaction
from stxmirror.mirror.write_pages import write_pages
from stxmirror.retention import ListedBuild
from stxmirror.times import format_time

_REASON_MAX = 500


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
        current.move_away([str(build)])
        targets = aliases.current(store, [build.directory])
    empty_trash(store)
    return {"id": str(build), "withdrawn": reason, "alias": targets.get(build.directory)}


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
