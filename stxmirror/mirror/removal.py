"""What goes, what stays, and what a person says about it."""

from __future__ import annotations

import json
import stat
from collections.abc import Collection
from typing import Any

from stxmirror.errors import StxMirrorError
from stxmirror.layout import BuildId
from stxmirror.mirror import aliases, fs, site
from stxmirror.mirror.store import Store
from stxmirror.mirror.upkeep import Change, changing, clear_away
from stxmirror.retention import plan
from stxmirror.times import format_time

_REQUEST_BYTES_MAX = 16 * 1024 * 1024
_REASON_MAX = 500


def listing(store: Store) -> dict[str, Any]:
    """Return every build with its promise, the aliases and the policy: what a plan is made from."""
    with changing(store) as change:
        return {
            "builds": _present(change),
            "aliases": aliases.current(store, _directories(change)),
            "rules": store.config.rules,
            "release_period_days": store.config.release_period_days,
            "max_delete_share": store.config.max_delete_share,
        }


def _present(change: Change) -> list[dict[str, Any]]:
    keys = ("id", "result", "keep_until", "hold", "bytes", "published")
    return [
        {
            **{key: change.entries[build_id][key] for key in keys},
            "publishing": build_id in change.uploads,
        }
        for build_id in sorted(change.published)
    ]


def _directories(change: Change) -> set[str]:
    return {BuildId.parse(build_id).directory for build_id in change.published}


def prune(store: Store, data: bytes) -> dict[str, Any]:
    """Delete those of the builds asked for that the mirror's own rules let go."""
    wanted, allow_more = _read_request(data)
    with changing(store, pages=False) as change:
        verdicts = _verdicts(store, change, allow_more=allow_more)
        doomed, refused = [], []
        for build_id in wanted:
            verdict = verdicts.get(build_id)
            if verdict is None:
                refused.append({"id": build_id, "why": "it is not on this mirror"})
            elif verdict["action"] != "delete":
                refused.append({"id": build_id, "why": verdict["why"]})
            else:
                doomed.append(build_id)
        freed = _freed_bytes(store, doomed)
        change.take_away(doomed)
        for build_id in doomed:
            store.forget(build_id)
            del change.entries[build_id]
    clear_away(store)
    return {"deleted": doomed, "refused": refused, "freed_bytes": freed}


def _read_request(data: bytes) -> tuple[list[str], bool]:
    """Return the ids asked for, each once and in order, and whether more than the share may go."""
    problem = 'the request on standard input must be {"delete": [build ids], "allow_more": bool}'
    if len(data) > _REQUEST_BYTES_MAX:
        raise StxMirrorError(problem)
    try:
        raw = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise StxMirrorError(problem) from error
    if not isinstance(raw, dict) or not isinstance(raw.get("delete"), list):
        raise StxMirrorError(problem)
    if not isinstance(raw.get("allow_more", False), bool):
        raise StxMirrorError(problem)
    return list(dict.fromkeys(str(BuildId.parse(item)) for item in raw["delete"])), raw.get(
        "allow_more", False
    )


def _verdicts(store: Store, change: Change, *, allow_more: bool) -> dict[str, dict[str, Any]]:
    targets = aliases.current(store, _directories(change))
    steps = plan(
        _present(change),
        store.config.rules,
        store.now,
        store.config.release_period_days,
        store.config.max_delete_share,
        aliases={f"{directory}/{names[aliases.NAME]}" for directory, names in targets.items()},
        allow_more=allow_more,
    )
    return {step["id"]: step for step in steps}


def _freed_bytes(store: Store, doomed: Collection[str]) -> int:
    """Return what the disk gets back: bytes that another build shares stay."""
    links: dict[int, list[int]] = {}
    for build_id in doomed:
        for _, status in fs.walk(store.path(build_id)):
            if stat.S_ISREG(status.st_mode):
                seen = links.setdefault(status.st_ino, [0, status.st_nlink, status.st_blocks * 512])
                seen[0] += 1
    return sum(size for seen, links_of_it, size in links.values() if seen == links_of_it)


def hold(store: Store, build: BuildId, reason: str) -> dict[str, Any]:
    """Mark a build so that no rule deletes it."""
    return _mark(store, build, _checked_reason(reason))


def unhold(store: Store, build: BuildId) -> dict[str, Any]:
    """Take the mark away; retention decides again."""
    return _mark(store, build, None)


def _mark(store: Store, build: BuildId, reason: str | None) -> dict[str, Any]:
    with changing(store) as change:
        entry = _published_entry(change, build)
        change.record({**entry, "hold": reason})
        return {"id": str(build), "hold": reason, "keep_until": entry["keep_until"]}


def withdraw(store: Store, build: BuildId, reason: str) -> dict[str, Any]:
    """Take a build away against the rules; a tombstone says why, the alias falls back."""
    reason = _checked_reason(reason)
    with changing(store, pages=False) as change:
        entry = _published_entry(change, build)
        tombstone = {
            "reason": reason,
            "when": format_time(store.now),
            "record": store.record(str(build)),
        }
        change.record({**entry, "tombstone": tombstone})
        change.take_away([str(build)])
        targets = aliases.current(store, [build.directory])
    clear_away(store)
    return {"id": str(build), "withdrawn": reason, "alias": targets.get(build.directory)}


def _published_entry(change: Change, build: BuildId) -> dict[str, Any]:
    if str(build) not in change.published:
        raise StxMirrorError(f"{build} is not on this mirror: `mirrorctl list` shows what is")
    return change.entries[str(build)]


def _checked_reason(reason: str) -> str:
    text = " ".join(reason.split())
    if not text or len(text) > _REASON_MAX or not text.isprintable():
        raise StxMirrorError(
            f"give a reason that readers of the page understand, 1 to {_REASON_MAX} characters"
        )
    return text


def expire(store: Store) -> dict[str, Any]:
    """Close uploads that nobody promoted in time, and delete what was taken away."""
    with changing(store, pages=False) as change:
        expired = change.expire_uploads()
        tokens = sorted(upload["token"] for upload in change.uploads.values())
    clear_away(store)
    return {"expired": expired, "open": tokens}


def make_pages(store: Store) -> dict[str, Any]:
    """Make the pages anew: ages and dates on them change with time."""
    with changing(store, pages=False) as change:
        site.write(store, change.entries)
        return {"builds": len(change.published)}
