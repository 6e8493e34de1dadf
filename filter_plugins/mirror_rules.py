# Copyright the StarlingX build tools authors
# SPDX-License-Identifier: Apache-2.0
"""Filter mirror_rules: what the mirror needs to know of the streams."""

from __future__ import annotations

DOCUMENTATION = """
name: mirror_rules
short_description: Give the mirror's retention rules of the streams
version_added: "0.1.0"
author: StarlingX build tools (@starlingx)
description:
  - Gives a retention rule for each stream's directory, for the mirror's own configuration.
options:
  _input:
    description:
      - The streams of the inventory.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = """
- name: Write the mirror's configuration
  ansible.builtin.copy:
    content: "{{ {'rules': streams | mirror_rules} | to_nice_json }}"
    dest: /etc/stx-mirror/mirror.json
    owner: root
    group: root
    mode: "0644"
"""

RETURN = """
_value:
  description:
    - The rules, with C(stream), C(directory) (with C(*) for a pattern), C(keep), C(audience),
      C(description), C(legacy_alias), C(retired).
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


def mirror_rules(entries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the retention rules of the streams."""
    if MISSING:
        raise AnsibleFilterError(
            f"mirror_rules needs the package stxmirror in Ansible's own Python ({MISSING}): "
            "run script/bootstrap, or `pip install .` with that Python's pip"
        )
    try:
        return streams.mirror_rules(streams.check_streams(entries))
    except StxMirrorError as problem:
        raise AnsibleFilterError(str(problem)) from problem


class FilterModule:
    """Offers the filter to Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter under its name."""
        return {"mirror_rules": mirror_rules}
