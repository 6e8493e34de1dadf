#!/usr/bin/python
"""Check the ISO of a build."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
module: check_iso
short_description: Boot and install the ISO of a build before anybody else does
version_added: "0.1.0"
author:
  - StarlingX build tools (@starlingx)
description:
  - Looks at the ISO as a file, boots it under BIOS and UEFI, installs it and starts what was
    installed, each in QEMU, as the builder.
  - The verdicts go into the record. An ISO that fails a check fails the task; a profile without
    one has nothing to check.
  - Runs on a build host, as the orchestrator, with the Python of the installed environment.
options:
  id:
    description: The build's id.
    type: str
    required: true
  min_bytes:
    description: An ISO that is smaller, in bytes, has lost something.
    type: int
    required: true
  failure_markers:
    description: A line on the serial line with one of these ends a check as failed.
    type: list
    elements: str
    required: true
  installed_uefi:
    description: Whether the installed disk is started under UEFI, too.
    type: bool
    required: true
attributes:
  check_mode:
    description: In check mode nothing is done.
    support: full
"""

EXAMPLES = r"""
- name: Check the ISO
  check_iso:
    id: master/sample/20261101T020000Z
    min_bytes: 10000000
    failure_markers: ["Kernel panic - not syncing"]
    installed_uefi: true
"""

RETURN = r"""
verdicts:
  description: How each check ended.
  returned: success
  type: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from stxmirror import parts
from stxmirror.builder import sanity
from stxmirror.builder.module import run
from stxmirror.builder.session import Session
from stxmirror.state.paths import Paths


def action(params: dict[str, Any]) -> dict[str, Any]:
    """Check the ISO."""
    session = Session.load(Paths(), params.pop("id"))
    with session.part(parts.SANITY.word):
        return {"changed": False, "verdicts": sanity.check_iso(session, **params)}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "id": {"type": "str", "required": True},
            "min_bytes": {"type": "int", "required": True},
            "failure_markers": {"type": "list", "elements": "str", "required": True},
            "installed_uefi": {"type": "bool", "required": True},
        },
        supports_check_mode=True,
    )
    run(module, action, check={"verdicts": {}})


if __name__ == "__main__":
    main()
