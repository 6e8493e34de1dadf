# Copyright the StarlingX build tools authors
# SPDX-License-Identifier: Apache-2.0
"""Filter new_build_record: the record of a build that begins."""

from __future__ import annotations

DOCUMENTATION = """
name: new_build_record
short_description: Begin the record of a build
version_added: "0.1.0"
author: StarlingX build tools (@starlingx)
description:
  - Makes the C(build.json) of a build that has just begun. It says C(fail) until it is closed.
positional: stream, reason, trigger
options:
  _input:
    description:
      - The id of the build; its build-date is when it began.
    type: str
    required: true
  stream:
    description:
      - The stream, as the filter C(stream_for) gives it.
    type: dict
    required: true
  reason:
    description:
      - Why it is built, in words.
    type: str
    required: true
  trigger:
    description:
      - Who asked for it.
    type: str
    choices: [cron, person]
    required: true
  parent:
    description:
      - The build that this one resumes, or empty.
    type: str
    default: ""
  from_stage:
    description:
      - The stage that a resumed build begins at, or empty.
    type: str
    default: ""
  previous_good:
    description:
      - The last good build of the stream, or empty.
    type: str
    default: ""
"""

EXAMPLES = """
- name: Begin the record
  ansible.builtin.set_fact:
    record: "{{ 'master/sample/20261101T020000Z' | new_build_record(stream, 'nightly', 'cron') }}"
    # record.result is fail, record.finished is null
"""

RETURN = """
_value:
  description:
    - The record, with nothing built yet.
  type: dict
"""

from ansible.errors import AnsibleFilterError

try:
    from stxmirror import layout, records
    from stxmirror.errors import StxMirrorError
except ImportError as problem:
    MISSING = str(problem)
else:
    MISSING = ""


def new_build_record(
    build_id, stream, reason, trigger, *, parent="", from_stage="", previous_good=""
):
    """Return the record of a build that begins."""
    if MISSING:
        raise AnsibleFilterError(
            f"new_build_record needs the package stxmirror in Ansible's own Python ({MISSING}): "
            "run script/bootstrap, or `pip install .` with that Python's pip"
        )
    try:
        return records.new_record(
            build_id,
            stream=stream["name"],
            ref=stream["ref"],
            profile=stream["profile"],
            manifest=stream["manifest"],
            reason=reason,
            trigger=trigger,
            started=layout.BuildId.parse(build_id).when,
            parent=parent or None,
            from_stage=from_stage or None,
            previous_good=previous_good or None,
        )
    except StxMirrorError as problem:
        raise AnsibleFilterError(str(problem)) from problem


class FilterModule:
    """Offers the filter to Ansible."""

    def filters(self):
        """Return the filter under its name."""
        return {"new_build_record": new_build_record}
