#!/usr/bin/python
"""Bring the sources of a build to its manifest."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
module: sync_sources
short_description: Check out the sources of a build
version_added: "0.1.0"
author:
  - StarlingX build tools (@starlingx)
description:
  - Checks and keeps the profile before anything is fetched. A build works with it from then on,
    whatever becomes of the file; what a profile may name (the build's places) is known since the
    build was opened.
  - Asks the manifest's repository first, so that one which does not answer is reported in seconds
    and by name, then runs C(repo) into a checkout that is made anew for this build.
  - Writes CONTEXT and the changes since the last good build. Sources that are what that build had
    are not fetched.
  - Runs on a build host, as the orchestrator, with the Python of the installed environment.
options:
  id:
    description: The build's id.
    type: str
    required: true
  profile:
    description: The build's profile, with every template rendered.
    type: dict
    required: true
  repo:
    description: The C(repo) command.
    type: list
    elements: str
    required: true
  jobs:
    description: So many repositories are fetched at a time.
    type: int
    required: true
  attempts:
    description: How often what the network may have spoilt is tried in all.
    type: int
    required: true
  delay:
    description: Seconds before the second attempt; they double with each one.
    type: float
    required: true
  probe_timeout:
    description: Seconds after which a repository that does not answer counts as down.
    type: float
    required: true
  sync_timeout:
    description: Seconds that one C(repo sync) may take.
    type: float
    required: true
  commits:
    description: Of more commits than this in one repository the record lists the newest only.
    type: int
    required: true
  ask_first:
    description:
      - Whether the repositories are asked before anything is fetched. M(open_build) has asked them
        already, unless the build is forced.
    type: bool
    default: false
attributes:
  check_mode:
    description: In check mode nothing is done.
    support: full
"""

EXAMPLES = r"""
- name: Bring the sources to the manifest
  sync_sources:
    id: master/sample/20261101T020000Z
    profile: "{{ profile }}"
    repo: [repo]
    jobs: 4
    attempts: 3
    delay: 5
    probe_timeout: 20
    sync_timeout: 3600
    commits: 200
  register: synced
"""

RETURN = r"""
new:
  description: Whether anything changed since the last good build.
  returned: success
  type: bool
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from stxmirror import parts
from stxmirror.builder import sources
from stxmirror.builder.module import run
from stxmirror.builder.session import Session, set_profile
from stxmirror.errors import StxMirrorError
from stxmirror.state.paths import Paths


def action(params: dict[str, Any]) -> dict[str, Any]:
    """Bring the sources."""
    session = Session.load(Paths(), params.pop("id"))
    profile, commits = params.pop("profile"), params.pop("commits")
    ask_first = params.pop("ask_first")
    try:
        set_profile(session, profile)
    except StxMirrorError as error:
        # The build is hardly open; no source is to blame.
        session.fail(parts.OPEN.word, error)
        raise
    with session.part(parts.SYNC.word):
        new = sources.sync(session, options=params, commits=commits, ask_first=ask_first)
    return {"changed": True, "new": new}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "id": {"type": "str", "required": True},
            "profile": {"type": "dict", "required": True},
            "repo": {"type": "list", "elements": "str", "required": True},
            "jobs": {"type": "int", "required": True},
            "attempts": {"type": "int", "required": True},
            "delay": {"type": "float", "required": True},
            "probe_timeout": {"type": "float", "required": True},
            "sync_timeout": {"type": "float", "required": True},
            "commits": {"type": "int", "required": True},
            "ask_first": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    run(module, action, check={"new": True})


if __name__ == "__main__":
    main()
