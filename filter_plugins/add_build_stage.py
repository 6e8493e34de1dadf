# Copyright the StarlingX build tools authors
# SPDX-License-Identifier: Apache-2.0
"""Filter add_build_stage: a build's record with one more stage."""

from __future__ import annotations

DOCUMENTATION = """
name: add_build_stage
short_description: Add a stage to the record of a build
version_added: "0.1.0"
author: StarlingX build tools (@starlingx)
description:
  - Gives the record with one more stage. A stage that failed or ran out of time becomes its
    C(failed_stage).
positional: stage
options:
  _input:
    description:
      - The record so far.
    type: dict
    required: true
  stage:
    description:
      - The stage, with the keys that the schema of C(build.json) names.
    type: dict
    required: true
  missing:
    description:
      - What the build lacks because of a C(degraded) stage, in words.
    type: str
"""

EXAMPLES = """
- name: Note what the stage did
  ansible.builtin.set_fact:
    record: "{{ record | add_build_stage(stage, missing='container images') }}"
    # record.stages has one more entry, record.missing too if the stage was degraded
"""

RETURN = """
_value:
  description:
    - The record; the one that was given is unchanged.
  type: dict
"""

from ansible.errors import AnsibleFilterError

try:
    from stxmirror import records
    from stxmirror.errors import StxMirrorError
except ImportError as problem:
    MISSING = str(problem)
else:
    MISSING = ""


def add_build_stage(record, stage, missing=None):
    """Return the record with one more stage."""
    if MISSING:
        raise AnsibleFilterError(
            f"add_build_stage needs the package stxmirror in Ansible's own Python ({MISSING}): "
            "run script/bootstrap, or `pip install .` with that Python's pip"
        )
    try:
        return records.add_stage(record, stage, missing)
    except StxMirrorError as problem:
        raise AnsibleFilterError(str(problem)) from problem


class FilterModule:
    """Offers the filter to Ansible."""

    def filters(self):
        """Return the filter under its name."""
        return {"add_build_stage": add_build_stage}
