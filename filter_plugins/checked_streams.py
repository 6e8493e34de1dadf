# Copyright the StarlingX build tools authors
# SPDX-License-Identifier: Apache-2.0
"""Filter checked_streams: the streams, checked and complete."""

from __future__ import annotations

DOCUMENTATION = """
name: checked_streams
short_description: Check the inventory's streams as a whole
version_added: "0.1.0"
author: StarlingX build tools (@starlingx)
description:
  - Reads the list C(streams) of the inventory, and fails with every problem in one message.
  - Two streams that could write into one directory are refused.
options:
  _input:
    description:
      - The streams.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = """
- name: Read the streams
  ansible.builtin.set_fact:
    checked: "{{ streams | checked_streams }}"
"""

RETURN = """
_value:
  description:
    - The streams, every default filled in.
  type: list
  elements: dict
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

try:
    from stxmirror import streams
    from stxmirror.errors import StxMirrorError
except ImportError as problem:
    MISSING = str(problem)
else:
    MISSING = ""


def checked_streams(entries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the checked streams."""
    if MISSING:
        raise AnsibleFilterError(
            f"checked_streams needs the package stxmirror in Ansible's own Python ({MISSING}): "
            "run script/bootstrap, or `pip install .` with that Python's pip"
        )
    try:
        return [stream.as_dict() for stream in streams.check_streams(entries)]
    except StxMirrorError as problem:
        raise AnsibleFilterError(str(problem)) from problem


class FilterModule:
    """Offers the filter to Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter under its name."""
        return {"checked_streams": checked_streams}
