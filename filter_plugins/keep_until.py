# Copyright the StarlingX build tools authors
# SPDX-License-Identifier: Apache-2.0
"""Filter keep_until: the end of a build's retention."""

from __future__ import annotations

DOCUMENTATION = """
name: keep_until
short_description: Say until when a build is kept
version_added: "0.1.0"
author: StarlingX build tools (@starlingx)
description:
  - Computed from the build-date, never from a file's time.
positional: keep, release_period_days
options:
  _input:
    description:
      - The build-date.
    type: str
    required: true
  keep:
    description:
      - The rule, one of C(days), C(release_periods) or C(forever).
    type: dict
    required: true
  release_period_days:
    description:
      - The length of a release period in days.
    type: int
    required: true
"""

EXAMPLES = """
- name: Show until when a nightly is kept
  ansible.builtin.debug:
    msg: "{{ '20261101T020000Z' | keep_until({'days': 14}, 182) }}"
    # 2026-11-15T02:00:00Z
"""

RETURN = """
_value:
  description:
    - The time in UTC, or null for forever.
  type: str
"""

from ansible.errors import AnsibleFilterError

try:
    from stxmirror import retention, times
    from stxmirror.errors import StxMirrorError
except ImportError as problem:
    MISSING = str(problem)
else:
    MISSING = ""


def keep_until(build_date, keep, release_period_days):
    """Return until when a rule keeps a build."""
    if MISSING:
        raise AnsibleFilterError(
            f"keep_until needs the package stxmirror in Ansible's own Python ({MISSING}): "
            "run script/bootstrap, or `pip install .` with that Python's pip"
        )
    try:
        rule = retention.Keep.parse(keep)
        return times.format_time(rule.until(build_date, release_period_days))
    except StxMirrorError as problem:
        raise AnsibleFilterError(str(problem)) from problem


class FilterModule:
    """Offers the filter to Ansible."""

    def filters(self):
        """Return the filter under its name."""
        return {"keep_until": keep_until}
