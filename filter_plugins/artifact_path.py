# Copyright the StarlingX build tools authors
# SPDX-License-Identifier: Apache-2.0
"""Filter artifact_path: where artifacts of one type lie in a build's directory."""

from __future__ import annotations

DOCUMENTATION = """
name: artifact_path
short_description: Give the place of an artifact type in a build
version_added: "0.1.0"
author: StarlingX build tools (@starlingx)
description:
  - Gives the directory, relative to the build's, that artifacts of a type and build phase are
    published in.
positional: phase
options:
  _input:
    description:
      - The side and the type, such as V(outputs/iso).
    type: str
    required: true
  phase:
    description:
      - The build phase, such as V(std), for V(outputs/RPMS) and V(outputs/SRPMS), and only there.
    type: str
"""

EXAMPLES = """
- name: Show where the real-time packages go
  ansible.builtin.debug:
    msg: "{{ 'outputs/RPMS' | artifact_path('rt') }}"
    # outputs/RPMS/rt
"""

RETURN = """
_value:
  description:
    - The relative path.
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


def artifact_path(kind, phase=None):
    """Return the relative path of an artifact type."""
    if MISSING:
        raise AnsibleFilterError(
            f"artifact_path needs the package stxmirror in Ansible's own Python ({MISSING}): "
            "run script/bootstrap, or `pip install .` with that Python's pip"
        )
    try:
        side, _, rest = str(kind).partition("/")
        return layout.artifact_path(side, rest, phase)
    except StxMirrorError as problem:
        raise AnsibleFilterError(str(problem)) from problem


class FilterModule:
    """Offers the filter to Ansible."""

    def filters(self):
        """Return the filter under its name."""
        return {"artifact_path": artifact_path}
