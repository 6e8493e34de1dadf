#!/usr/bin/python3
"""Say what builds have left on a build host's disk."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
module: disk_facts
short_description: Lists workspaces and collected trees, and what is known of their builds
description:
  - Finds directories that are named like a build-date, and reads the records of their builds and
    the state of their streams. Changes nothing.
options:
  loadbuild:
    description: Where the workspaces lie, as C(<project>/<build-date>).
    type: path
    required: true
  publish:
    description: Where the collected trees lie, as C(<build id>).
    type: path
    required: true
  state:
    description: Where the orchestrator keeps records and status.
    type: path
    required: true
attributes:
  check_mode:
    description: It only reads.
    support: full
author: StarlingX build tools
"""

EXAMPLES = r"""
- name: See what is on the disk
  disk_facts:
    loadbuild: /localdisk/loadbuild/builder
    publish: /localdisk/publish
    state: /var/lib/stx-mirror
"""

RETURN = r"""
workspaces:
  description: The paths of the workspaces.
  type: list
  elements: str
  returned: always
trees:
  description: The trees, each with C(id) and C(path).
  type: list
  elements: dict
  returned: always
builds:
  description:
    - Of every build with a record whose workspace or tree is still there, C(id), C(ref),
      C(result) and C(workspace).
  type: list
  elements: dict
  returned: always
running:
  description: The projects of the streams that run now.
  type: list
  elements: str
  returned: always
last_good:
  description: The ids of the last good build of each stream.
  type: list
  elements: str
  returned: always
"""

import json
import os
import re
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DATE = re.compile(r"[0-9]{8}T[0-9]{6}Z", re.ASCII)


def dated(base):
    """Return the real directories below ``base`` that are named like a build-date, sorted."""
    found = []
    for directory, names, _ in os.walk(str(base)):
        there = [name for name in names if DATE.fullmatch(name)]
        names[:] = [name for name in names if name not in there]
        found += [Path(directory) / name for name in there]
    return sorted(path for path in found if not path.is_symlink())


def read_json(path):
    """Return the object in a file, or an empty one."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def read_builds(state, workspaces, trees):
    """Return what the records say of the builds that still have something on the disk."""
    builds = []
    for place in dated(state / "builds"):
        record = read_json(place / "build.json")
        workspace = read_json(place / "session.json").get("workspace", "")
        if "ref" in record and (workspace in workspaces or record.get("id") in trees):
            known = {key: record.get(key) for key in ("id", "ref", "result")}
            builds.append(dict(known, workspace=workspace))
    return builds


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "loadbuild": {"type": "path", "required": True},
            "publish": {"type": "path", "required": True},
            "state": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    loadbuild, publish, state = (
        Path(module.params[name]) for name in ("loadbuild", "publish", "state")
    )
    # A workspace lies just below its project; what is deeper is a build's own.
    workspaces = [
        str(path) for project in sorted(loadbuild.glob("*")) for path in dated_children(project)
    ]
    trees = [
        {"id": path.relative_to(publish).as_posix(), "path": str(path)} for path in dated(publish)
    ]
    status = [read_json(path) for path in sorted((state / "status").glob("*.json"))]
    good = [(entry.get("last_success") or {}).get("id") for entry in status]
    module.exit_json(
        changed=False,
        workspaces=workspaces,
        trees=trees,
        builds=read_builds(state, set(workspaces), {tree["id"] for tree in trees}),
        running=[path.parent.name for path in sorted((state / "runner").glob("*/running.json"))],
        last_good=[build_id for build_id in good if build_id],
    )


def dated_children(project):
    """Return the workspaces of one project, sorted."""
    return sorted(
        path
        for path in (project.iterdir() if project.is_dir() else ())
        if DATE.fullmatch(path.name) and path.is_dir() and not path.is_symlink()
    )


if __name__ == "__main__":
    main()
