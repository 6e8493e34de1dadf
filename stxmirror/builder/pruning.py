"""What builds have left on this host's disk, deleted as :mod:`stxmirror.disk` plans."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from stxmirror import disk
from stxmirror.builder.sandbox import RealSandbox
from stxmirror.builder.session import now
from stxmirror.disk import Found, Limits, RecordedBuild, Step, Tree
from stxmirror.layout import BuildId
from stxmirror.names import RECORD
from stxmirror.state.builds import dated
from stxmirror.state.files import read_json
from stxmirror.state.paths import SESSION, Paths


def plan(
    paths: Paths,
    on_mirror: Sequence[str],
    workspace_days: int,
    tree_days: int,
    unpublished_days: int,
) -> list[Step]:
    """Say of every workspace and tree whether it is kept or deleted, and why.

    ``on_mirror`` are the ids of the builds that the mirror has.
    """
    limits = Limits(workspace_days, tree_days, unpublished_days)
    return disk.plan(find(paths), on_mirror, now(), limits)


def find(paths: Paths) -> Found:
    """Return what lies on this host, and what is known of it."""
    projects = sorted(path for path in paths.workspaces("x").parent.glob("*") if path.is_dir())
    workspaces = tuple(str(p / date) for p in projects for date in dated(p))
    trees = tuple(
        Tree(path.relative_to(paths.trees).as_posix(), str(path)) for path in _builds(paths.trees)
    )
    status = [read_json(path) or {} for path in paths.status_files()]
    good = [(entry.get("last_success") or {}).get("id") for entry in status]
    return Found(
        workspaces=workspaces,
        trees=trees,
        builds=tuple(_recorded(paths, set(workspaces), {tree.id for tree in trees})),
        running=frozenset(path.parent.name for path in paths.running_files()),
        last_good=frozenset(build_id for build_id in good if build_id),
    )


def _builds(base: Path) -> list[Path]:
    """Return the directories of builds below a directory, sorted."""
    found: list[Path] = []
    for directory, names, _ in os.walk(base):
        dates = dated(Path(directory))
        names[:] = [name for name in names if name not in dates]
        found += [Path(directory) / date for date in dates]
    return sorted(found)


def _recorded(paths: Paths, workspaces: set[str], trees: set[str]) -> list[RecordedBuild]:
    """Return what the records say of the builds that still have something on the disk."""
    builds = []
    for place in _builds(paths.builds):
        record = read_json(place / RECORD) or {}
        workspace = str((read_json(place / SESSION) or {}).get("workspace", ""))
        if "ref" in record and (workspace in workspaces or record.get("id") in trees):
            builds.append(
                RecordedBuild(
                    id=BuildId.parse(record["id"]),
                    ref=record["ref"],
                    is_success=record.get("result") == "success",
                    workspace=workspace,
                )
            )
    return builds


def carry_out(paths: Paths, steps: Sequence[Step]) -> None:
    """Delete what a plan says."""
    for step in steps:
        path = Path(step.path)
        if not step.is_deletion:
            continue
        if path.is_relative_to(paths.trees):
            shutil.rmtree(path)
        else:
            # Packages are built as the builder, as other ids and as root.
            RealSandbox(paths.run_as_builder, path.parent.name, path.name).remove()
