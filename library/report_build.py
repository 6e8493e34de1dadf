#!/usr/bin/python
"""Write how a run ended."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
module: report_build
short_description: Write the status of a branch
version_added: "0.1.0"
author:
  - StarlingX build tools (@starlingx)
description:
  - Writes C(status/<project>.json) from the record of the run's build, for C(stx-mirror status),
    C(stx-watch) and whoever else looks.
  - Runs on a build host, as the orchestrator, with the Python of the installed environment.
options:
  ref:
    description: The branch or tag that was built.
    type: str
    required: true
  request:
    description: The run; C(stx-mirror) recognises its own by it.
    type: str
    required: true
  started:
    description: When it was asked for, UTC.
    type: str
    required: true
  reason:
    description: Why it was built.
    type: str
    required: true
  trigger:
    description: Who asked for it.
    type: str
    choices: [cron, person]
    default: person
  id:
    description: The build that it became, or empty.
    type: str
    default: ""
  nothing_new:
    description: Whether it was taken back, because nothing has changed.
    type: bool
    default: false
  why:
    description: Why it failed, should no record say it.
    type: str
    default: ""
attributes:
  check_mode:
    description: In check mode nothing is done.
    support: full
"""

EXAMPLES = r"""
- name: Write the status
  report_build:
    ref: master
    request: 20261101T020000Z-0a1b2c
    started: "2026-11-01T02:00:00Z"
    reason: nightly
    id: master/sample/20261101T020000Z
"""

RETURN = r"""
reached:
  description: Whether the run reached what it was for.
  returned: success
  type: bool
why:
  description: Why not.
  returned: success
  type: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from stxmirror import parts
from stxmirror.builder.module import run
from stxmirror.builder.reporting import Run, report
from stxmirror.layout import project_name
from stxmirror.names import NOTHING_NEW
from stxmirror.state.events import Reporter
from stxmirror.state.paths import Paths


def action(params: dict[str, Any]) -> dict[str, Any]:
    """Write the status."""
    paths = Paths()
    with Reporter.of(paths, project_name(params["ref"])).part(parts.REPORT.word):
        attempt = report(paths, Run(**params))
    published = attempt.result == NOTHING_NEW or attempt.published
    return {
        "changed": True,
        "reached": attempt.result != "fail" and published,
        "why": attempt.why if attempt.result == "fail" else attempt.unpublished_why,
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "ref": {"type": "str", "required": True},
            "request": {"type": "str", "required": True},
            "started": {"type": "str", "required": True},
            "reason": {"type": "str", "required": True},
            "trigger": {"type": "str", "choices": ["cron", "person"], "default": "person"},
            "id": {"type": "str", "default": ""},
            "nothing_new": {"type": "bool", "default": False},
            "why": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    run(module, action, check={"reached": True, "why": ""})


if __name__ == "__main__":
    main()
