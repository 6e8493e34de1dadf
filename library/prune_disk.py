#!/usr/bin/python
"""Delete what builds have left on a build host's disk."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
module: prune_disk
short_description: Prune workspaces and collected trees of a build host
version_added: "0.1.0"
author:
  - StarlingX build tools (@starlingx)
description:
  - Plans what may go (C(stxmirror.disk)), and deletes it. In check mode the plan is all that is
    made.
  - Runs on a build host, as the orchestrator, with the Python of the installed environment.
options:
  on_mirror:
    description: The ids of the builds that the mirror has.
    type: list
    elements: str
    required: true
  workspace_days:
    description: Days that the workspace of a build is kept that failed or is not on the mirror.
    type: int
    required: true
  tree_days:
    description: Days that a collected tree is kept once the mirror has it.
    type: int
    required: true
  unpublished_days:
    description: Days that a collected tree is kept while the mirror does not have it.
    type: int
    required: true
attributes:
  check_mode:
    description: In check mode nothing is done.
    support: full
"""

EXAMPLES = r"""
- name: Prune this host
  prune_disk:
    on_mirror: []
    workspace_days: 3
    tree_days: 1
    unpublished_days: 14
"""

RETURN = r"""
plan:
  description: A line for each directory, with what happens to it and why.
  returned: success
  type: list
  elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from stxmirror.builder import pruning
from stxmirror.errors import StxMirrorError
from stxmirror.state.paths import Paths


def main() -> None:
    """Run the module."""
    days: dict[str, Any] = {"type": "int", "required": True}
    module = AnsibleModule(
        argument_spec={
            "on_mirror": {"type": "list", "elements": "str", "required": True},
            "workspace_days": days,
            "tree_days": days,
            "unpublished_days": days,
        },
        supports_check_mode=True,
    )
    try:
        plan = pruning.plan(Paths(), **module.params)
        if not module.check_mode:
            pruning.carry_out(Paths(), plan)
    except (StxMirrorError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=any(step.is_deletion for step in plan),
        plan=[
            f"{'delete' if step.is_deletion else 'keep'}  {step.path}  {step.why}" for step in plan
        ],
    )


if __name__ == "__main__":
    main()
