# Copyright the StarlingX build tools authors
# SPDX-License-Identifier: Apache-2.0
"""Filter build_id: the id of a build, which is its path on the mirror."""

from __future__ import annotations

DOCUMENTATION = """
name: build_id
short_description: Put the parts of a build id together
version_added: "0.1.0"
author: StarlingX build tools (@starlingx)
description:
  - Checks every part and gives the id, which is also the build's path below the mirror's root.
options:
  _input:
    description:
      - The parts C(identifier), C(distro) and C(build_date), and C(layer) if there is one.
    type: dict
    required: true
"""

EXAMPLES = """
- name: Show the path of a build
  ansible.builtin.debug:
    msg: "{{ parts | build_id }}"
    # release/2018.10/centos/20261101T020000Z
  vars:
    parts:
      identifier: release/2018.10
      distro: centos
      build_date: 20261101T020000Z
"""

RETURN = """
_value:
  description:
    - The id, C(<identifier>/<distro>[/<layer>]/<build-date>).
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


def build_id(parts):
    """Return the id of the build with these parts."""
    if MISSING:
        raise AnsibleFilterError(
            f"build_id needs the package stxmirror in Ansible's own Python ({MISSING}): "
            "run script/bootstrap, or `pip install .` with that Python's pip"
        )
    try:
        if not isinstance(parts, dict):
            raise StxMirrorError(
                "build_id takes a mapping of identifier, distro, layer, build_date"
            )
        unknown = sorted(set(parts) - {"identifier", "distro", "layer", "build_date", "directory"})
        missing = sorted({"identifier", "distro", "build_date"} - set(parts))
        if unknown or missing:
            raise StxMirrorError(f"build_id lacks {missing}, and does not know {unknown}")
        made = layout.BuildId(
            parts["identifier"], parts["distro"], parts.get("layer"), parts["build_date"]
        )
        return str(made)
    except StxMirrorError as problem:
        raise AnsibleFilterError(str(problem)) from problem


class FilterModule:
    """Offers the filter to Ansible."""

    def filters(self):
        """Return the filter under its name."""
        return {"build_id": build_id}
