# Copyright the StarlingX build tools authors
# SPDX-License-Identifier: Apache-2.0
"""Filter checked_profile: a profile, checked and complete."""

from __future__ import annotations

DOCUMENTATION = """
name: checked_profile
short_description: Check a profile as a whole
version_added: "0.1.0"
author: StarlingX build tools (@starlingx)
description:
  - Reads the C(profile) of a product, and fails with every problem in one message.
positional: roots
options:
  _input:
    description:
      - The profile.
    type: dict
    required: true
  roots:
    description:
      - Directories that an absolute glob may lie under.
    type: list
    elements: str
    default: []
"""

EXAMPLES = """
- name: Read the profile
  ansible.builtin.set_fact:
    checked: "{{ profile | checked_profile(roots=['/localdisk']) }}"
"""

RETURN = """
_value:
  description:
    - The profile, every default filled in; values of environments are text.
  type: dict
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

try:
    from stxmirror import profiles
    from stxmirror.errors import StxMirrorError
except ImportError as problem:
    MISSING = str(problem)
else:
    MISSING = ""


def checked_profile(profile: Mapping[str, Any], roots: Sequence[str] = ()) -> dict[str, Any]:
    """Return the checked profile."""
    if MISSING:
        raise AnsibleFilterError(
            f"checked_profile needs the package stxmirror in Ansible's own Python ({MISSING}): "
            "run script/bootstrap, or `pip install .` with that Python's pip"
        )
    try:
        return profiles.check_profile(profile, roots).as_dict()
    except StxMirrorError as problem:
        raise AnsibleFilterError(str(problem)) from problem


class FilterModule:
    """Offers the filter to Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter under its name."""
        return {"checked_profile": checked_profile}
