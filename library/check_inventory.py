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
  - Inventories in YAML, in INI's format, and programs (each is run once more) are looked at, and
    whatever else Ansible has a plugin for. Each problem is named once, with file and line; a
    program has no lines, so that the host or group is named instead.
  - A name that begins with a role's name must be one of the role's inputs, and one that nearly is a
    known name is taken for a misspelling. Other names are a site's own.
  - Values are compared with the argument specs of the host's roles, strictly - a text is no
    boolean and no number, because Ansible would not make it one.
  - A directory or file in C(group_vars) or C(host_vars) whose name is no group or host is refused,
    because Ansible never reads it.
  - The list of admins, the networks that they come from and the streams are judged as a whole, by
    the same code as the roles use once they are on the host.
  - A variable is refused where no host of its group gets a role that reads it, a reference to a
    variable that is set nowhere, and a stream's profile that has no file in C(profiles/).
  - It is one task for all hosts of the play, C(run_once).
options:
  roles_in:
    description: The variable that lists the roles of a host, in C(roles/); each host has its own.
    type: str
    required: true
  group_roles:
    description: The roles that only hosts of a group get, by the name of the group.
    type: dict
    required: true
  variables_in:
    description:
      - Variables that are mappings of further variables, for roles of other playbooks, each with
        the list of these roles.
    type: dict
    default: {}
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
    roles_in: host_roles
    group_roles:
      mirrors: [mirror_host]
    variables_in:
      scheduler_variables: [collect, publish]
    also_read: [streams]
  run_once: true
"""

RETURN = """
checked:
  description: How many variables were looked at.
  type: int
  returned: success
"""
