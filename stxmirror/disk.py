"""What may go from a build host's disk: workspaces and collected trees, never records.

Ages are computed from the build-date in a name, never from a file's time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import PurePosixPath

from stxmirror.errors import StxMirrorError
from stxmirror.layout import BuildId, project_name
from stxmirror.times import format_time, in_utc, parse_build_date


@dataclass(frozen=True)
class Tree:
    """A collected tree: the id of its build, and where it lies."""

    id: str
    path: str


@dataclass(frozen=True)
class RecordedBuild:
    """A build that has a record on this host."""

    id: BuildId
    ref: str
    is_success: bool
    workspace: str


@dataclass(frozen=True)
class Found:
    """What lies on a build host.

    ``workspaces`` are paths ``.../<project>/<build-date>``, ``running`` projects with a run,
    ``last_good`` the ids that the next builds are compared with.
    """

    workspaces: tuple[str, ...] = ()
    trees: tuple[Tree, ...] = ()
    builds: tuple[RecordedBuild, ...] = ()
    running: frozenset[str] = frozenset()
    last_good: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Limits:
    """For how many days what is kept."""

    workspace_days: int
    tree_days: int
    unpublished_days: int

    def __post_init__(self) -> None:
        """Refuse what is not a number of days."""
        for name, days in vars(self).items():
            if isinstance(days, bool) or not isinstance(days, int) or days < 0:
                raise StxMirrorError(f"{name} is {days!r}: give a number of days, 0 or more")


@dataclass(frozen=True)
class Step:
    """What a plan says of one directory."""

    path: str
    is_deletion: bool
    why: str

    def to_json(self) -> dict[str, str]:
        """Return the step as playbooks get it."""
        action = "delete" if self.is_deletion else "keep"
        return {"path": self.path, "action": action, "why": self.why}


def plan(found: Found, on_mirror: Sequence[str], now: datetime, limits: Limits) -> list[Step]:
    """Say of every workspace and tree whether it is kept or deleted, and why, sorted by path.

    ``on_mirror`` are the ids of the builds that the mirror has.

    Always kept: what a running build may use, and the workspace of a last good build, for whoever
    looks into it. A build that failed or is not on the mirror keeps its
    workspace for ``workspace_days``, to be resumed. A tree is kept ``tree_days`` once the
    mirror has it, ``unpublished_days`` before.
    """
    planner = _Planner(found, frozenset(on_mirror), in_utc(now), limits)
    # Builds that were resumed share one workspace; the newest is what it is kept for.
    users: dict[str, list[RecordedBuild]] = {}
    for build in sorted(found.builds, key=lambda build: build.id.when):
        users.setdefault(build.workspace, []).append(build)
    records = {str(build.id): build for build in found.builds}
    steps = [planner.workspace(path, users.get(path, [])) for path in found.workspaces]
    steps += [planner.tree(tree, records.get(tree.id)) for tree in found.trees]
    return sorted(steps, key=lambda step: step.path)


@dataclass(frozen=True)
class _Planner:
    found: Found
    published: frozenset[str]
    now: datetime
    limits: Limits

    def workspace(self, path: str, users: Sequence[RecordedBuild]) -> Step:
        place = PurePosixPath(path)
        if place.parent.name in self.found.running:
            return Step(path, False, f"{place.parent.name} is being built or published")
        good = [build.id for build in users if str(build.id) in self.found.last_good]
        if good:
            return Step(path, False, f"of {good[-1]}, the last good build")
        if not users:
            return self._by_age(path, place.name, self.limits.workspace_days, "it has no record")
        newest = users[-1]
        if newest.is_success and str(newest.id) in self.published:
            return Step(path, True, f"{newest.id} is published, and a newer one is good")
        state = "is not on the mirror" if newest.is_success else "failed"
        why = f"{newest.id} {state}"
        return self._by_age(path, newest.id.build_date, self.limits.workspace_days, why)

    def tree(self, tree: Tree, record: RecordedBuild | None) -> Step:
        if record is not None and project_name(record.ref) in self.found.running:
            return Step(tree.path, False, f"{record.ref} is being built or published")
        is_published = tree.id in self.published
        why = "the mirror has it" if is_published else "the mirror does not have it"
        days = self.limits.tree_days if is_published else self.limits.unpublished_days
        return self._by_age(tree.path, PurePosixPath(tree.path).name, days, why)

    def _by_age(self, path: str, date: str, days: int, why: str) -> Step:
        try:
            until = parse_build_date(date) + timedelta(days=days)
        except StxMirrorError:
            return Step(path, False, "its name is no real build-date: see whose it is")
        if self.now <= until:
            return Step(path, False, f"{why}; kept until {format_time(until)}")
        return Step(path, True, f"{why}; was kept until {format_time(until)}")
