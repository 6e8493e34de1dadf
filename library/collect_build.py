#!/usr/bin/python
"""Gather what a build made into the tree that is published."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
module: collect_build
short_description: Collect a build and sign it
version_added: "0.1.0"
author:
  - StarlingX build tools (@starlingx)
description:
  - Copies what the stages yield by artifact type and phase, makes the RPM repositories' metadata,
    redacts logs, lists all files in SHA256SUMS and has the list signed.
  - The workspace is taken as hostile. Of a build that failed, its logs and its record are
    collected.
  - Keeps what the profile names for the stream's next build.
  - Runs on a build host, as the orchestrator, with the Python of the installed environment.
options:
  id:
    description: The build's id.
    type: str
    required: true
  secret_terms:
    description: Words that must not be published beside those that are found out about this host.
    type: list
    elements: str
    default: []
  private_terms:
    description: Words that are redacted in logs and free texts, and stop nothing elsewhere.
    type: list
    elements: str
    default: []
  sign:
    description: The command that signs its standard input.
    type: list
    elements: str
    required: true
  again:
    description: Whether a tree that is sealed already is collected once more.
    type: bool
    default: true
  close:
    description: Whether the build ended well just now, and is closed as a success first.
    type: bool
    default: false
attributes:
  check_mode:
    description: In check mode nothing is done.
    support: full
"""

EXAMPLES = r"""
- name: Collect the build
  collect_build:
    id: master/sample/20261101T020000Z
    sign: [sudo, -n, -u, signer, /usr/local/libexec/stx-mirror/sign]
"""

RETURN = r"""
{}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from stxmirror import parts
from stxmirror.builder.collecting import Words, close_good, collect
from stxmirror.builder.module import run
from stxmirror.builder.sealing import is_sealed
from stxmirror.builder.session import Session
from stxmirror.state.paths import Paths


def action(params: dict[str, Any]) -> dict[str, Any]:
    """Collect the build."""
    session = Session.load(Paths(), params["id"])
    if is_sealed(session.tree) and not params["again"]:
        return {"changed": False}
    words = Words(params["secret_terms"], params["private_terms"])
    with session.part(parts.COLLECT.word):
        if params["close"]:
            close_good(session)
        collect(session, words, params["sign"])
    return {"changed": True}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "id": {"type": "str", "required": True},
            "secret_terms": {"type": "list", "elements": "str", "default": [], "no_log": False},
            "private_terms": {"type": "list", "elements": "str", "default": [], "no_log": False},
            "sign": {"type": "list", "elements": "str", "required": True},
            "again": {"type": "bool", "default": True},
            "close": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    run(module, action)


if __name__ == "__main__":
    main()
