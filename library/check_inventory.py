# Copyright the StarlingX build tools authors
# SPDX-License-Identifier: Apache-2.0
"""Documentation of check_inventory, which works on the controller: action_plugins/ has it."""

from __future__ import annotations

DOCUMENTATION = """
module: check_inventory
short_description: Refuse an inventory with variables that nothing reads or of the wrong type
version_added: "0.2.0"
author: StarlingX build tools (@starlingx)
description:
  - Looks at every variable that the inventory, its C(group_vars) and C(host_vars) and the command
    line set, before any host is touched. Nothing runs on the host.
  - A name that begins with a role's name must be one of the role's inputs, and one that nearly is a
    known name is taken for a misspelling. Other names are a site's own.
  - Values are compared with the argument specs of the host's roles, strictly - a text is no
    boolean and no number, because Ansible would not make it one.
  - A directory or file in C(group_vars) or C(host_vars) whose name is no group or host is refused,
    because Ansible never reads it.
  - The list of admins, the networks that they come from and the streams are judged as a whole, by
    the same code as the roles use once they are on the host.
  - All problems are reported together, each with file and line.
options:
  roles:
    description: The roles that the host gets, in C(roles/).
    type: list
    elements: str
    required: true
  variables_in:
    description: Variables that are mappings of further variables, for roles of other playbooks.
    type: list
    elements: str
    default: []
  also_read:
    description: Names that no role's argument spec has and that are read all the same.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    description: Works as always.
    support: full
"""

EXAMPLES = """
- name: Check the inventory
  check_inventory:
    roles: [packages, users, hardening]
    variables_in: [scheduler_variables]
    also_read: [streams]
"""

RETURN = """
checked:
  description: How many variables were looked at.
  type: int
  returned: success
"""
