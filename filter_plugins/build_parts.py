# Copyright the StarlingX build tools authors
# SPDX-License-Identifier: Apache-2.0
"""Filter build_parts: what a build id says."""

from __future__ import annotations

DOCUMENTATION = """
name: build_parts
short_description: Take a build id apart
version_added: "0.1.0"
author: StarlingX build tools (@starlingx)
description:
  - Reads an id strictly, and gives its parts.
options:
  _input:
    description:
      - The id of a build.
    type: str
    required: true
"""

EXAMPLES = """
- name: Show the directory that a build's alias lies in
  ansible.builtin.debug:
    msg: "{{ ('master/centos/flock/20261101T020000Z' | build_parts).directory }}"
    # master/centos/flock
"""

RETURN = """
_value:
  description:
    - C(identifier), C(distro), C(layer) (null if there is none), C(build_date) and C(directory),
      the part before the build-date.
  type: dict
"""

from ansible.errors import AnsibleFilterError

try:
    from stxmirror import layout
    from stxmirror.errors import StxMirrorError
except ImportError as problem:
    MISSING = str(problem)
else:
    MISSING = ""


def build_parts(build):
    """Return the parts of a build id."""
    if MISSING:
        raise AnsibleFilterError(
            f"build_parts needs the package stxmirror in Ansible's own Python ({MISSING}): "
            "run script/bootstrap, or `pip install .` with that Python's pip"
        )
    try:
        parts = layout.BuildId.parse(build)
        return {
            "identifier": parts.identifier,
            "distro": parts.distro,
            "layer": parts.layer,
            "build_date": parts.build_date,
            "directory": parts.directory,
        }
    except StxMirrorError as problem:
        raise AnsibleFilterError(str(problem)) from problem


class FilterModule:
    """Offers the filter to Ansible."""

    def filters(self):
        """Return the filter under its name."""
        return {"build_parts": build_parts}
