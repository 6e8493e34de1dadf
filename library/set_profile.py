#!/usr/bin/python
"""Give a build its profile."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
module: set_profile
short_description: Check a rendered profile and keep it with its build
version_added: "0.1.0"
author:
  - StarlingX build tools (@starlingx)
description:
  - Checks the whole profile, so that a mistake in its last stage ends the build before its first
    one.
  - Runs on a build host, as the orchestrator, with the Python of the installed environment.
options:
  id:
    description: The build's id.
    type: str
    required: true
  profile:
    description: The profile, with every template rendered.
    type: dict
    required: true
attributes:
  check_mode:
    description: In check mode nothing is done.
    support: full
"""

EXAMPLES = r"""
- name: Keep the profile
  set_profile:
    id: master/sample/20261101T020000Z
    profile: "{{ profile }}"
"""

RETURN = r"""
{}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from stxmirror import parts
from stxmirror.builder.module import run
from stxmirror.builder.session import Session, set_profile
from stxmirror.state.paths import Paths


def action(params: dict[str, Any]) -> dict[str, Any]:
    """Keep the profile."""
    session = Session.load(Paths(), params["id"])
    with session.part(parts.OPEN.word):
        set_profile(session, params["profile"])
    return {"changed": True}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "id": {"type": "str", "required": True},
            "profile": {"type": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    run(module, action)


if __name__ == "__main__":
    main()
