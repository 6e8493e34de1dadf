#!/usr/bin/python
"""Close a build as a failure, or take it back."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
module: close_build
short_description: Close the record of a build
version_added: "0.1.0"
author:
  - StarlingX build tools (@starlingx)
description:
  - V(fail) closes it with what the part that failed has kept, whatever else the record holds.
  - V(nothing-new) removes the workspace and the record: the build never was.
  - Runs on a build host, as the orchestrator, with the Python of the installed environment.
options:
  id:
    description: The build's id.
    type: str
    required: true
  result:
    description: How it ended.
    type: str
    choices: [fail, nothing-new]
    required: true
  why:
    description: Of a failure, why, should no part have said it.
    type: str
    default: ""
attributes:
  check_mode:
    description: In check mode nothing is done.
    support: full
"""

EXAMPLES = r"""
- name: Close the build as a failure
  close_build:
    id: master/sample/20261101T020000Z
    result: fail
"""

RETURN = r"""
{}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from stxmirror.builder import session as sessions
from stxmirror.builder.module import run
from stxmirror.builder.session import Session
from stxmirror.names import NOTHING_NEW
from stxmirror.state.paths import Paths


def action(params: dict[str, Any]) -> dict[str, Any]:
    """Close the build."""
    session = Session.load(Paths(), params["id"])
    if params["result"] == "fail":
        sessions.close_failure(session, params["why"] or "a task failed without saying why")
    else:
        sessions.discard(session)
    return {"changed": True}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "id": {"type": "str", "required": True},
            "result": {
                "type": "str",
                "choices": ["fail", NOTHING_NEW],
                "required": True,
            },
            "why": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    run(module, action)


if __name__ == "__main__":
    main()
