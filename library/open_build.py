#!/usr/bin/python
"""Give a build its id, its places and its record."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
module: open_build
short_description: Open a build
version_added: "0.1.0"
author:
  - StarlingX build tools (@starlingx)
description:
  - Checks what is asked for, takes the build-date, and writes the record, which says C(fail)
    until the build is closed.
  - Leaves nothing behind if it refuses.
  - Asks the mirror first which of this host's builds readers can see, so that the new one is not
    compared with one that was withdrawn. A mirror that does not answer stops nothing.
  - Runs on a build host, as the orchestrator, with the Python of the installed environment.
options:
  stream:
    description: The stream, as the filter C(stream_for) returns it.
    type: dict
    required: true
  reason:
    description: Why it is built, in words; it is published.
    type: str
    required: true
  trigger:
    description: Who asked for it.
    type: str
    choices: [cron, person]
    default: person
  resume_id:
    description: The build to resume, or empty.
    type: str
    default: ""
  from_stage:
    description: The stage to resume at, or V(sanity), or empty.
    type: str
    default: ""
  force:
    description: Whether to build what has not changed since the last good build.
    type: bool
    default: false
  min_free_bytes:
    description: Room that a build needs to begin, in bytes, on each file system that it writes to.
    type: int
    required: true
  mirror:
    description:
      - The mirror as known_hosts has it: V(name), or V([name]:port) for a port other than 22.
        Empty: nothing is looked up.
    type: str
    default: ""
  known_hosts:
    description: The file with the mirrors' host keys.
    type: path
    required: true
attributes:
  check_mode:
    description: In check mode nothing is done.
    support: full
"""

EXAMPLES = r"""
- name: Open the build
  open_build:
    stream: "{{ streams | stream_for('master') }}"
    reason: nightly
    min_free_bytes: 2000000000
    known_hosts: /var/lib/stx-mirror/.ssh/known_hosts
  register: opened
"""

RETURN = r"""
nothing_new:
  description: Whether the sources are what the last good build had. Then there is no build.
  returned: success
  type: bool
id:
  description: The build's id; empty if nothing is new.
  returned: success
  type: str
  sample: master/sample/20261101T020000Z
workspace:
  description: Where its stages work.
  returned: success
  type: str
repo_root:
  description: Where its sources are checked out.
  returned: success
  type: str
inputs:
  description: Where its stages find what was downloaded.
  returned: success
  type: str
reuse:
  description: Where its stages find what they may take over of the last good build, or empty.
  returned: success
  type: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from stxmirror import parts
from stxmirror.builder.keeping import reuse_directory
from stxmirror.builder.module import run
from stxmirror.builder.opening import Asked, open_build
from stxmirror.builder.session import discard
from stxmirror.builder.sources import nothing_new
from stxmirror.state.events import Reporter
from stxmirror.state.paths import Paths

NOTHING = {"id": "", "workspace": "", "repo_root": "", "inputs": "", "reuse": ""}


def action(params: dict[str, Any]) -> dict[str, Any]:
    """Open the build."""
    paths = Paths()
    stream, forced = params.pop("stream"), params.pop("force")
    reporter = Reporter.of(paths, str(stream["project"]))
    with reporter.part(parts.OPEN.word):
        session = open_build(paths, stream, Asked(ref=str(stream["ref"]), **params))
        if not forced and nothing_new(session):
            discard(session)
            return {**NOTHING, "changed": False, "nothing_new": True}
        reporter.build(session.id)
    return {
        "changed": True,
        "nothing_new": False,
        "id": session.id,
        "workspace": str(session.workspace),
        "repo_root": str(session.sources),
        "inputs": str(paths.inputs),
        "reuse": reuse_directory(session),
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "stream": {"type": "dict", "required": True},
            "reason": {"type": "str", "required": True},
            "trigger": {"type": "str", "choices": ["cron", "person"], "default": "person"},
            "resume_id": {"type": "str", "default": ""},
            "from_stage": {"type": "str", "default": ""},
            "force": {"type": "bool", "default": False},
            "min_free_bytes": {"type": "int", "required": True},
            "mirror": {"type": "str", "default": ""},
            "known_hosts": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    run(module, action, check={**NOTHING, "nothing_new": False})


if __name__ == "__main__":
    main()
