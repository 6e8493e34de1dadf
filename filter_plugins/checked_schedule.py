# Copyright the StarlingX build tools authors
# SPDX-License-Identifier: Apache-2.0
"""Filter checked_schedule: a schedule that every cron reads."""

from __future__ import annotations

DOCUMENTATION = """
name: checked_schedule
short_description: Check a schedule in cron's five fields
version_added: "0.1.0"
author: StarlingX build tools (@starlingx)
description:
  - Fails if a cron of a supported host could refuse the schedule, and pass over the whole file that
    it stands in, or if the schedule is never due.
options:
  _input:
    description:
      - The five fields, parted by one space.
    type: str
    required: true
"""

EXAMPLES = """
- name: Refuse a schedule that cron cannot read
  ansible.builtin.assert:
    that: scheduler_prune_schedule | checked_schedule is string
"""

RETURN = """
_value:
  description:
    - The schedule, unchanged.
  type: str
"""

from ansible.errors import AnsibleFilterError

try:
    from stxmirror import schedule
    from stxmirror.errors import StxMirrorError
except ImportError as problem:
    MISSING = str(problem)
else:
    MISSING = ""


def checked_schedule(fields):
    """Return the schedule."""
    if MISSING:
        raise AnsibleFilterError(
            f"checked_schedule needs the package stxmirror in Ansible's own Python ({MISSING}): "
            "run script/bootstrap, or `pip install .` with that Python's pip"
        )
    try:
        schedule.parse(fields)
    except StxMirrorError as problem:
        raise AnsibleFilterError(str(problem)) from problem
    return fields


class FilterModule:
    """Offers the filter to Ansible."""

    def filters(self):
        """Return the filter under its name."""
        return {"checked_schedule": checked_schedule}
