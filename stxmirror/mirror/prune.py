"""Pruning: of what is asked for, what the mirror's own rules let go."""

from __future__ import annotations

import json
import stat
from collections.abc import Collection
from dataclasses import dataclass

from stxmirror import retention
from stxmirror.errors import StxMirrorError
from stxmirror.layout import BuildId
from stxmirror.mirror import aliases, fs
from stxmirror.mirror.catalog import directories, listed
from stxmirror.mirror.store import Store
from stxmirror.mirror.transaction import Transaction, empty_trash, transaction

_REQUEST_BYTES_MAX = 16 * 1024 * 1024


@dataclass(frozen=True)
class Request:
    """The ids asked for, each once and in order, and whether more than the share may go."""

    builds: tuple[str, ...]
    allow_more: bool

    @classmethod
    def parse(cls, data: bytes) -> Request:
        """Read the request on standard input, or raise."""
        problem = (
            'the request on standard input must be {"delete": [build ids], "allow_more": bool}'
        )
        if len(data) > _REQUEST_BYTES_MAX:
            raise StxMirrorError(problem)
        try:
            raw = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise StxMirrorError(problem) from error
        if not isinstance(raw, dict) or not isinstance(raw.get("delete"), list):
            raise StxMirrorError(problem)
        allow_more = raw.get("allow_more", False)
        if not isinstance(allow_more, bool):
            raise StxMirrorError(problem)
        builds = dict.fromkeys(str(BuildId.parse(item)) for item in raw["delete"])
        return cls(tuple(builds), allow_more)


def prune(store: Store, data: bytes) -> dict[str, object]:
    """Delete those of the builds asked for that the mirror's own rules let go."""
    request = Request.parse(data)
    with transaction(store, pages=False) as current:
        steps = _plan(store, current)
        problem = retention.refusal(steps, store.config.policy.max_delete_share)
        if problem and not request.allow_more:
            raise StxMirrorError(problem)
        step_of = {str(step.id): step for step in steps}
        to_delete, refused = [], []
        for build_id in request.builds:
            step = step_of.get(build_id)
            if step is None:
                refused.append({"id": build_id, "why": "it is not on this mirror"})
            elif not step.is_deletion:
                refused.append({"id": build_id, "why": step.why})
            else:
                to_delete.append(build_id)
        freed = _freed_bytes(store, to_delete)
        current.move_away(to_delete)
        for build_id in to_delete:
            current.forget(build_id)
    empty_trash(store)
    return {"deleted": to_delete, "refused": refused, "freed_bytes": freed}


def _plan(store: Store, current: Transaction) -> list[retention.Step]:
    links = aliases.current(store, directories(current))
    targets = retention.alias_targets(links)
    return retention.plan(listed(current).values(), store.config.policy, store.now, aliases=targets)


def _freed_bytes(store: Store, to_delete: Collection[str]) -> int:
    """Return what the disk gets back: bytes that another build shares stay."""
    links: dict[int, list[int]] = {}
    for build_id in to_delete:
        for _, status in fs.walk(store.path(build_id)):
            if stat.S_ISREG(status.st_mode):
                seen = links.setdefault(status.st_ino, [0, status.st_nlink, status.st_blocks * 512])
                seen[0] += 1
    return sum(size for seen, links_of_it, size in links.values() if seen == links_of_it)
