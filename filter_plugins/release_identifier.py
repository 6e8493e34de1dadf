# Copyright the StarlingX build tools authors
# SPDX-License-Identifier: Apache-2.0
"""Filter release_identifier: where a branch or tag goes on the mirror."""

from __future__ import annotations

DOCUMENTATION = """
name: release_identifier
short_description: Turn a branch or tag into its release identifier
version_added: "0.1.0"
author: StarlingX build tools (@starlingx)
description:
  - Gives the first part of a build's path on the mirror.
  - V(master) stays, V(f/x) becomes V(feature/x), V(r/x) becomes V(release/x), V(m/x) becomes
    V(milestone/x).
  - Any other form is refused by name; a stream's C(identifier) can place it.
options:
  _input:
    description:
      - The branch or tag.
    type: str
    required: true
"""

EXAMPLES = """
- name: Show where a feature branch goes
  ansible.builtin.debug:
    msg: "{{ 'f/centos76' | release_identifier }}"
    # feature/centos76
"""

RETURN = """
_value:
  description:
    - The release identifier.
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


def release_identifier(ref):
    """Return the release identifier of a branch or tag."""
    if MISSING:
        raise AnsibleFilterError(
            f"release_identifier needs the package stxmirror in Ansible's own Python ({MISSING}): "
            "run script/bootstrap, or `pip install .` with that Python's pip"
        )
    try:
        return layout.release_identifier(ref)
    except StxMirrorError as problem:
        raise AnsibleFilterError(str(problem)) from problem


class FilterModule:
    """Offers the filter to Ansible."""

    def filters(self):
        """Return the filter under its name."""
        return {"release_identifier": release_identifier}
