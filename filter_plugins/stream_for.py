# Copyright the StarlingX build tools authors
# SPDX-License-Identifier: Apache-2.0
"""Filter stream_for: the stream of a ref, with what follows from the two."""

from __future__ import annotations

DOCUMENTATION = """
name: stream_for
short_description: Find the stream that builds a branch or tag
version_added: "0.1.0"
author: StarlingX build tools (@starlingx)
description:
  - Checks the streams, and gives the one whose C(match) fits a branch or tag, that is the exact
    one, else the longest pattern.
positional: ref
options:
  _input:
    description:
      - The streams of the inventory.
    type: list
    elements: dict
    required: true
  ref:
    description:
      - The branch or tag to build.
    type: str
    required: true
"""

EXAMPLES = """
- name: Show where a feature's builds go
  ansible.builtin.debug:
    msg: "{{ (streams | stream_for('f/centos76')).directory }}"
    # feature/centos76/centos
"""

RETURN = """
_value:
  description:
    - The stream, and beside its own settings C(ref), C(identifier), C(directory) (on the mirror),
      C(project) (the name of the work directories), C(image_prefix) (how tags of container
      images begin) and C(manifest.branch) for this ref.
  type: dict
"""

from ansible.errors import AnsibleFilterError

try:
    from stxmirror import streams
    from stxmirror.errors import StxMirrorError
except ImportError as problem:
    MISSING = str(problem)
else:
    MISSING = ""


def stream_for(entries, ref):
    """Return the stream of a ref."""
    if MISSING:
        raise AnsibleFilterError(
            f"stream_for needs the package stxmirror in Ansible's own Python ({MISSING}): "
            "run script/bootstrap, or `pip install .` with that Python's pip"
        )
    try:
        return streams.facts_for(entries, ref)
    except StxMirrorError as problem:
        raise AnsibleFilterError(str(problem)) from problem


class FilterModule:
    """Offers the filter to Ansible."""

    def filters(self):
        """Return the filter under its name."""
        return {"stream_for": stream_for}
