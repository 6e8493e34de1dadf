# Copyright the StarlingX build tools authors
# SPDX-License-Identifier: Apache-2.0
"""Filter admin_problems: what is wrong with the list of admins."""

from __future__ import annotations

DOCUMENTATION = """
name: admin_problems
short_description: Say what is wrong with the list of admins
version_added: "0.2.0"
author: StarlingX build tools (@starlingx)
description:
  - Reads the people who administer the hosts, every key included, and returns each problem as a
    sentence that names the person and what to write instead.
  - No sentence repeats a key, which may be somebody's private one.
options:
  _input:
    description:
      - The admins, as role users has them in C(users_admins).
    type: list
    elements: dict
    required: true
  reserved:
    description:
      - Names that no person may have, because they are accounts of services.
    type: list
    elements: str
    default: []
"""

EXAMPLES = """
- name: Check the admins
  ansible.builtin.assert:
    that: users_admins | admin_problems | length == 0
    fail_msg: "{{ users_admins | admin_problems | join('; ') }}"
    # anna: key 1 is a private key: take it out, ...
"""

RETURN = """
_value:
  description:
    - The problems; empty if there are none.
  type: list
  elements: str
"""

from ansible.errors import AnsibleFilterError

try:
    from stxmirror import admins
except ImportError as problem:
    MISSING = str(problem)
else:
    MISSING = ""


def admin_problems(entries, *, reserved=()):
    """Return what is wrong with the admins."""
    if MISSING:
        raise AnsibleFilterError(
            f"admin_problems needs the package stxmirror in Ansible's own Python ({MISSING}): "
            "run script/bootstrap, or `pip install .` with that Python's pip"
        )
    return admins.admin_problems(entries, reserved)


class FilterModule:
    """Offers the filter to Ansible."""

    def filters(self):
        """Return the filter under its name."""
        return {"admin_problems": admin_problems}
