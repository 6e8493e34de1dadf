# Copyright the StarlingX build tools authors
# SPDX-License-Identifier: Apache-2.0
"""Filter admin_changes: what the list of admins means for a host."""

from __future__ import annotations

DOCUMENTATION = """
name: admin_changes
short_description: Compare the list of admins with a host
version_added: "0.2.0"
author: StarlingX build tools (@starlingx)
description:
  - Says who was taken off the list, and what speaks against beginning on this host.
  - Only a member of group C(stx-admins) can have been taken off.
options:
  _input:
    description:
      - The admins, as role users has them in C(users_admins), without problems of their own.
    type: list
    elements: dict
    required: true
  passwd:
    description:
      - Lines of C(getent passwd) of the listed names and of the members of C(stx-admins).
    type: list
    elements: str
    required: true
  groups:
    description:
      - Lines of C(getent group) of C(stx-admins), C(stx-build) and the listed names.
    type: list
    elements: str
    required: true
  connected:
    description:
      - The account that Ansible comes in with.
    type: str
    required: true
  reserved:
    description:
      - Names that no person may have, because they are accounts of services.
    type: list
    elements: str
    default: []
"""

EXAMPLES = """
- name: Show who was taken off
  ansible.builtin.debug:
    msg: "{{ changes.removed }}"
  vars:
    changes: "{{ users_admins | admin_changes(passwd=passwd, groups=groups, connected='anna') }}"
    # changes.removed: [ben]
"""

RETURN = """
_value:
  description:
    - C(problems), each a sentence, and C(removed), the names of those who were taken off.
  type: dict
"""

import dataclasses

from ansible.errors import AnsibleFilterError

try:
    from stxmirror import admins
except ImportError as problem:
    MISSING = str(problem)
else:
    MISSING = ""


def admin_changes(entries, *, passwd, groups, connected, reserved=()):
    """Return what the admins mean for a host."""
    if MISSING:
        raise AnsibleFilterError(
            f"admin_changes needs the package stxmirror in Ansible's own Python ({MISSING}): "
            "run script/bootstrap, or `pip install .` with that Python's pip"
        )
    return dataclasses.asdict(
        admins.host_changes(
            entries, passwd=passwd, groups=groups, connected=connected, reserved=reserved
        )
    )


class FilterModule:
    """Offers the filter to Ansible."""

    def filters(self):
        """Return the filter under its name."""
        return {"admin_changes": admin_changes}
