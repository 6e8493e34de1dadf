#!/usr/bin/python3
"""Say which commits lie between two states of a checkout."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
module: git_changes
short_description: Lists the commits between two states of a repo checkout
description:
  - Adds to each change that filter C(context_changes) found the commits that make it up.
  - A state that git no longer has (the branch was rewritten) gives no commits, and no error.
options:
  root:
    description: The directory of the checkout.
    type: path
    required: true
  changes:
    description: What differs, each with C(path), C(from) and C(to).
    type: list
    elements: dict
    required: true
  limit:
    description: Of more commits than this in one git only the newest are given.
    type: int
    default: 200
attributes:
  check_mode:
    description: It only reads.
    support: full
author: StarlingX build tools
"""

EXAMPLES = r"""
- name: List what has changed
  git_changes:
    root: /localdisk/designer/builder/master
    changes: "{{ older | context_changes(newer) }}"
"""

RETURN = r"""
changes:
  description: The changes, each with C(commits), newest first, each with C(sha) and C(subject).
  type: list
  elements: dict
  returned: success
"""

import subprocess

from ansible.module_utils.basic import AnsibleModule

# What the schema of build.json allows.
SUBJECT_MAX = 1000


def commits_between(root, change, limit):
    """Return the commits of one change; none where one of its ends is missing."""
    if not (change["from"] and change["to"]):
        return []
    command = ["git", "-C", f"{root}/{change['path']}", "log", "--format=%H %s", f"-n{limit}"]
    command += [f"{change['from']}..{change['to']}", "--"]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode != 0:
        return []
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    return [
        {"sha": sha, "subject": subject[:SUBJECT_MAX]}
        for sha, _, subject in (line.partition(" ") for line in lines)
    ]


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "required": True},
            "changes": {"type": "list", "elements": "dict", "required": True},
            "limit": {"type": "int", "default": 200},
        },
        supports_check_mode=True,
    )
    root, limit = module.params["root"], module.params["limit"]
    module.exit_json(
        changed=False,
        changes=[
            dict(change, commits=commits_between(root, change, limit))
            for change in module.params["changes"]
        ],
    )


if __name__ == "__main__":
    main()
