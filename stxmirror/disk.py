"""What may go from a build host's disk: workspaces and collected trees, never records.

Ages are reckoned from the build-date in a name, never from a file's time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import PurePosixPath
from typing import Any

from stxmirror.errors import StxMirrorError
from stxmirror.layout import BuildId, project_name
from stxmirror.times import format_time, in_utc, parse_build_date


def plan(
    found: Mapping[str, Sequence[Any]],
    now: datetime,
    *,
    workspace_days: int,
    tree_days: int,
    unpublished_days: int,
) -> list[dict[str, str]]:
    """Say of every workspace and tree whether it is kept or deleted, and why, sorted by path.

    ``found`` has ``workspaces`` (paths ``.../<project>/<build-date>``), ``trees`` (mappings
    ``id``, ``path``), ``builds`` (mappings ``id``, ``ref``, ``result``, ``workspace``, for all that
    have a record), ``running`` (projects with a run), ``last_good`` (ids that the next
    builds are compared with) and ``on_mirror`` (ids).

    Always kept: what a running build may use, and the workspace of a last good build, from which
    the next one takes unchanged packages. A build that failed or is not on the mirror keeps its
    workspace for ``workspace_days``, to be resumed. A tree is kept ``tree_days`` once the
    mirror has it, ``unpublished_days`` before.
    """
    for name, days in (
        ("workspace_days", workspace_days),
        ("tree_days", tree_days),
        ("unpublished_days", unpublished_days),
    ):
        if isinstance(days, bool) or not isinstance(days, int) or days < 0:
            raise StxMirrorError(f"{name} is {days!r}: give a number of days, 0 or more")
    moment = in_utc(now)
    facts = _Facts(found)
    steps = [_workspace(path, facts, moment, workspace_days) for path in found["workspaces"]]
    steps += [
        _tree(tree, facts, moment, tree_days=tree_days, unpublished_days=unpublished_days)
        for tree in found["trees"]
    ]
    return sorted(steps, key=lambda step: step["path"])


class _Facts:
    def __init__(self, found: Mapping[str, Sequence[Any]]) -> None:
        self.running = frozenset(found["running"])
        self.last_good = frozenset(found["last_good"])
        self.on_mirror = frozenset(found["on_mirror"])
        self.builds = {build["id"]: build for build in found["builds"]}
        # Builds that were resumed share one workspace; the newest is what it is kept for.
        self.users: dict[str, list[Mapping[str, Any]]] = {}
        for build in sorted(found["builds"], key=lambda build: BuildId.parse(build["id"]).when):
            self.users.setdefault(build["workspace"], []).append(build)


def _workspace(path: str, facts: _Facts, now: datetime, days: int) -> dict[str, str]:
    place = PurePosixPath(path)
    users = facts.users.get(path, [])
    if place.parent.name in facts.running:
        return _step(path, "keep", f"{place.parent.name} is being built or published")
    good = [build["id"] for build in users if build["id"] in facts.last_good]
    if good:
        return _step(path, "keep", f"of {good[-1]}, the last good build: packages are reused")
    if not users:
        return _by_age(path, now, place.name, days, "it has no record")
    newest = users[-1]
    if newest["result"] == "success" and newest["id"] in facts.on_mirror:
        return _step(path, "delete", f"{newest['id']} is published, and a newer one is good")
    state = "failed" if newest["result"] != "success" else "is not on the mirror"
    date = BuildId.parse(newest["id"]).build_date
    return _by_age(path, now, date, days, f"{newest['id']} {state}")


def _tree(
    tree: Mapping[str, str],
    facts: _Facts,
    now: datetime,
    *,
    tree_days: int,
    unpublished_days: int,
) -> dict[str, str]:
    record = facts.builds.get(tree["id"])
    if record is not None and project_name(record["ref"]) in facts.running:
        return _step(tree["path"], "keep", f"{record['ref']} is being built or published")
    is_there = tree["id"] in facts.on_mirror
    why = "the mirror has it" if is_there else "the mirror does not have it"
    days = tree_days if is_there else unpublished_days
    return _by_age(tree["path"], now, PurePosixPath(tree["path"]).name, days, why)


def _by_age(path: str, now: datetime, date: str, days: int, why: str) -> dict[str, str]:
    try:
        until = parse_build_date(date) + timedelta(days=days)
    except StxMirrorError:
        return _step(path, "keep", "its name is no real build-date: see whose it is")
    if now <= until:
        return _step(path, "keep", f"{why}; kept until {format_time(until)}")
    return _step(path, "delete", f"{why}; was kept until {format_time(until)}")


def _step(path: str, action: str, why: str) -> dict[str, str]:
    return {"path": path, "action": action, "why": why}
