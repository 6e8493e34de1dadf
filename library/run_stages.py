#!/usr/bin/python
"""Run the stages of a build's profile."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
module: run_stages
short_description: Run the stages of a build in order
version_added: "0.1.0"
author:
  - StarlingX build tools (@starlingx)
description:
  - Each stage is a tree of processes of the builder, shut into the build's own view of the host,
    that ends as a whole; its output goes to C(logs/<stage>.log) of the workspace as it comes.
  - What each stage did goes into the record as it ends. The first one whose failure ends the
    build fails the task.
  - Runs on a build host, as the orchestrator, with the Python of the installed environment.
options:
  id:
    description: The build's id.
    type: str
    required: true
  deadline:
    description: When the stream's time is up, in seconds since the epoch; V(0) is never.
    type: int
    default: 0
  min_free_bytes:
    description: >-
      A stage ends with a clear reason if the workspace's file system has less room than this, in
      bytes.
    type: int
    required: true
attributes:
  check_mode:
    description: In check mode nothing is done.
    support: full
"""

EXAMPLES = r"""
- name: Run the stages
  run_stages:
    id: master/sample/20261101T020000Z
    min_free_bytes: 500000000
"""

RETURN = r"""
{}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from stxmirror.builder import stages
from stxmirror.builder.module import run
from stxmirror.builder.session import PartFailed, Session
from stxmirror.state.paths import Paths


def action(params: dict[str, Any]) -> dict[str, Any]:
    """Run the stages."""
    session = Session.load(Paths(), params["id"])
    limits = stages.Limits(params["min_free_bytes"], params["deadline"])
    try:
        stages.run_stages(session, limits)
    except PartFailed as failure:
        session.fail(failure.part or "", failure)
        raise
    return {"changed": True}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "id": {"type": "str", "required": True},
            "deadline": {"type": "int", "default": 0},
            "min_free_bytes": {"type": "int", "required": True},
        },
        supports_check_mode=True,
    )
    run(module, action)


if __name__ == "__main__":
    main()
