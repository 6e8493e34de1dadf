# Copyright the StarlingX build tools authors
# SPDX-License-Identifier: Apache-2.0
"""Filter context_changes: which repositories differ between two builds."""

from __future__ import annotations

DOCUMENTATION = """
name: context_changes
short_description: Compare two CONTEXT texts
version_added: "0.1.0"
author: StarlingX build tools (@starlingx)
description:
  - Reads two texts of CONTEXT strictly, and gives what differs.
positional: newer
options:
  _input:
    description:
      - The older CONTEXT.
    type: str
    required: true
  newer:
    description:
      - The newer CONTEXT.
    type: str
    required: true
"""

EXAMPLES = """
- name: Show which repositories changed
  ansible.builtin.debug:
    msg: "{{ older | context_changes(newer) | map(attribute='path') }}"
"""

RETURN = """
_value:
  description:
    - C(path), C(from) (null if the repository is new), C(to) (null if it has gone), sorted by
      path.
  type: list
  elements: dict
"""

from ansible.errors import AnsibleFilterError

try:
    from stxmirror import context
    from stxmirror.errors import StxMirrorError
except ImportError as problem:
    MISSING = str(problem)
else:
    MISSING = ""


def context_changes(older, newer):
    """Return what differs between two contexts."""
    if MISSING:
        raise AnsibleFilterError(
            f"context_changes needs the package stxmirror in Ansible's own Python ({MISSING}): "
            "run script/bootstrap, or `pip install .` with that Python's pip"
        )
    try:
        return context.difference(context.parse(older), context.parse(newer))
    except StxMirrorError as problem:
        raise AnsibleFilterError(str(problem)) from problem


class FilterModule:
    """Offers the filter to Ansible."""

    def filters(self):
        """Return the filter under its name."""
        return {"context_changes": context_changes}
