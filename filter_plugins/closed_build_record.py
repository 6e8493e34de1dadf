# Copyright the StarlingX build tools authors
# SPDX-License-Identifier: Apache-2.0
"""Filter closed_build_record: the record of a build that has ended."""

from __future__ import annotations

DOCUMENTATION = """
name: closed_build_record
short_description: Close the record of a build
version_added: "0.1.0"
author: StarlingX build tools (@starlingx)
description:
  - Gives the record its result, and checks it as a whole.
positional: result, finished
options:
  _input:
    description:
      - The record so far.
    type: dict
    required: true
  result:
    description:
      - How the build ended.
    type: str
    choices: [success, fail]
    required: true
  finished:
    description:
      - When it ended, as C(YYYY-MM-DDTHH:MM:SSZ).
    type: str
    required: true
  failed_stage:
    description:
      - What failed, if it was none of the stages.
    type: str
  excerpt:
    description:
      - The lines that show the failure; the last 30 count.
    type: list
    elements: str
    default: []
"""

EXAMPLES = """
- name: Close the record
  ansible.builtin.set_fact:
    record: "{{ record | closed_build_record('success', '2026-11-01T04:00:00Z') }}"
    # record.result is success, record.finished is that time
"""

RETURN = """
_value:
  description:
    - The finished record.
  type: dict
"""

from ansible.errors import AnsibleFilterError

try:
    from stxmirror import records, times
    from stxmirror.errors import StxMirrorError
except ImportError as problem:
    MISSING = str(problem)
else:
    MISSING = ""


def closed_build_record(record, result, finished, failed_stage=None, excerpt=()):
    """Return the record of a build that has ended."""
    if MISSING:
        raise AnsibleFilterError(
            f"closed_build_record needs the package stxmirror in Ansible's own Python ({MISSING}): "
            "run script/bootstrap, or `pip install .` with that Python's pip"
        )
    try:
        return records.close(
            record,
            result=result,
            finished=times.parse_time(finished),
            failed_stage=failed_stage,
            excerpt=excerpt,
        )
    except StxMirrorError as problem:
        raise AnsibleFilterError(str(problem)) from problem


class FilterModule:
    """Offers the filter to Ansible."""

    def filters(self):
        """Return the filter under its name."""
        return {"closed_build_record": closed_build_record}
