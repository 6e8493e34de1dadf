# Copyright the StarlingX build tools authors
# SPDX-License-Identifier: Apache-2.0
"""Filter legacy_alias: the old name of a release."""

from __future__ import annotations

DOCUMENTATION = """
name: legacy_alias
short_description: Give the old link to a release identifier
version_added: "0.1.0"
author: StarlingX build tools (@starlingx)
description:
  - Gives the name of the link at the mirror's top that the specification keeps for old users, if
    there is one.
options:
  _input:
    description:
      - The release identifier.
    type: str
    required: true
"""

EXAMPLES = """
- name: Show the old name of a release
  ansible.builtin.debug:
    msg: "{{ 'release/2018.10' | legacy_alias }}"
    # r2018.10
"""

RETURN = """
_value:
  description:
    - The name of the link, or null.
  type: str
"""

from ansible.errors import AnsibleFilterError

try:
    from stxmirror import layout
    from stxmirror.errors import StxMirrorError
except ImportError as problem:
    MISSING = str(problem)
else:
    MISSING = ""


def legacy_alias(identifier):
    """Return the name of the old link to an identifier, or None."""
    if MISSING:
        raise AnsibleFilterError(
            f"legacy_alias needs the package stxmirror in Ansible's own Python ({MISSING}): "
            "run script/bootstrap, or `pip install .` with that Python's pip"
        )
    try:
        return layout.legacy_alias(identifier)
    except StxMirrorError as problem:
        raise AnsibleFilterError(str(problem)) from problem


class FilterModule:
    """Offers the filter to Ansible."""

    def filters(self):
        """Return the filter under its name."""
        return {"legacy_alias": legacy_alias}
