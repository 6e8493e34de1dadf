# Copyright the StarlingX build tools authors
# SPDX-License-Identifier: Apache-2.0
"""Filter disk_plan: what may go from a build host's disk."""

from __future__ import annotations

DOCUMENTATION = """
name: disk_plan
short_description: Plan which workspaces and trees of a build host are kept and which are deleted
version_added: "0.1.0"
author: StarlingX build tools (@starlingx)
description:
  - Never deletes what a running build may use, nor the workspace of a last good build.
  - Computes ages from the build-date in a name, never from a file's time.
positional: now, on_mirror
options:
  _input:
    description:
      - What module M(disk_facts) found.
    type: dict
    required: true
  now:
    description:
      - The time to plan for, in UTC, as V(YYYY-MM-DDTHH:MM:SSZ).
    type: str
    required: true
  on_mirror:
    description:
      - The ids of the builds that the mirror has.
    type: list
    elements: str
    required: true
  workspace_days:
    description:
      - Days that the workspace of a build is kept that failed or is not on the mirror.
    type: int
    required: true
  tree_days:
    description:
      - Days that a collected tree is kept that the mirror has.
    type: int
    required: true
  unpublished_days:
    description:
      - Days that a collected tree is kept that the mirror does not have.
    type: int
    required: true
"""

EXAMPLES = """
- name: Plan
  ansible.builtin.set_fact:
    plan: >-
      {{ found | disk_plan('2026-11-22T03:00:00Z', on_mirror, workspace_days=3, tree_days=1,
      unpublished_days=14) }}
"""

RETURN = """
_value:
  description:
    - A step for each directory, sorted by C(path), with C(action) (V(keep) or V(delete)) and
      C(why).
  type: list
  elements: dict
"""

from ansible.errors import AnsibleFilterError

try:
    from stxmirror import disk, times
    from stxmirror.errors import StxMirrorError
except ImportError as problem:
    MISSING = str(problem)
else:
    MISSING = ""


def disk_plan(found, now, on_mirror, *, workspace_days, tree_days, unpublished_days):
    """Return the plan for what was found."""
    if MISSING:
        raise AnsibleFilterError(
            f"disk_plan needs the package stxmirror in Ansible's own Python ({MISSING}): "
            "run script/bootstrap, or `pip install .` with that Python's pip"
        )
    try:
        limits = disk.Limits(
            workspace_days=workspace_days, tree_days=tree_days, unpublished_days=unpublished_days
        )
        steps = disk.plan(disk.Found.parse(found), on_mirror, times.parse_time(now), limits)
        return [step.to_json() for step in steps]
    except StxMirrorError as problem:
        raise AnsibleFilterError(str(problem)) from problem


class FilterModule:
    """Offers the filter to Ansible."""

    def filters(self):
        """Return the filter under its name."""
        return {"disk_plan": disk_plan}
