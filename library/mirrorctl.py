#!/usr/bin/python
"""Talk to the mirror: publish a build, list what is there, prune."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
module: mirrorctl
short_description: Publishes to the mirror, lists it, prunes it
description:
  - Runs C(mirrorctl) on the mirror, over SSH or, for a mirror on this host or a mounted path,
    directly.
  - V(publish) is the three steps begin, send, promote. Only what the mirror lacks is sent. A
    dropped connection starts the steps anew, which converges; what arrived stays.
  - What may pass (no connection, a mirror that is busy) is tried again, later and later. A
    refusal is
    final, and is reported in the mirror's own words.
  - Runs on a build host, as the orchestrator, with the Python of the installed environment.
options:
  command:
    description: What to do.
    type: str
    choices: [publish, list, prune]
    required: true
  id:
    description: The build to publish, which was collected.
    type: str
  delete:
    description: For V(prune), the ids of the builds that may go.
    type: list
    elements: str
    default: []
  allow_more:
    description: For V(prune), a person's word that more than the mirror's share may go at once.
    type: bool
    default: false
  host:
    description: The mirror's name or address. Empty for a mirror on this host.
    type: str
    default: ""
  port:
    description: Its SSH port.
    type: int
    default: 22
  user:
    description: The account there.
    type: str
    default: incoming
  key:
    description: The private key.
    type: path
  known_hosts:
    description: The file that has the mirror's host key.
    type: path
  program:
    description: The command C(mirrorctl) of a mirror on this host.
    type: list
    elements: str
    default: [mirrorctl]
  config:
    description: The configuration of a mirror on this host.
    type: path
    default: /etc/stx-mirror/mirror.json
  attempts:
    description: How often all is tried while the mirror cannot be reached or is busy.
    type: int
    default: 6
  delay:
    description: Seconds before the second attempt. They double with each one, up to ten minutes.
    type: float
    default: 10
  io_timeout:
    description: Seconds without any progress after which a transfer is given up and tried again.
    type: int
    default: 120
attributes:
  check_mode:
    description: In check mode V(list) works, and the others neither connect nor change anything.
    support: full
author: StarlingX build tools
"""

EXAMPLES = r"""
- name: Publish
  mirrorctl:
    command: publish
    id: master/sample/20261101T020000Z
    host: mirror.example.org
    key: /var/lib/stx-mirror/.ssh/publish
    known_hosts: /var/lib/stx-mirror/.ssh/known_hosts
"""

RETURN = r"""
reply:
  description: What C(mirrorctl) answered; of V(publish) that of C(promote).
  type: dict
  returned: success, empty in check mode
sent_files:
  description: How many files the mirror lacked.
  type: int
  returned: when command is publish
sent_bytes:
  description: Their bytes.
  type: int
  returned: when command is publish
reused_bytes:
  description: Bytes of the build that the mirror held already.
  type: int
  returned: when command is publish
"""

from dataclasses import asdict
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from stxmirror import names
from stxmirror.builder.mirror import Mirror, Way
from stxmirror.builder.reporting import publish
from stxmirror.builder.session import Session
from stxmirror.errors import StxMirrorError
from stxmirror.state.paths import Paths


def act(module: AnsibleModule) -> dict[str, Any]:
    """Do what the command says; return what the module returns."""
    params = dict(module.params)
    command, build_id = params.pop("command"), params.pop("id")
    delete, allow_more = params.pop("delete"), params.pop("allow_more")
    if command == "publish":
        session = Session.load(Paths(), build_id)
        done = publish(session, Mirror(Way(**params), session.reporter.note))
        return {"changed": True, **asdict(done)}
    mirror = Mirror(Way(**params), module.warn)
    if command == "list":
        return {"changed": False, "reply": mirror.list()}
    reply = mirror.prune(delete, allow_more=allow_more)
    return {"changed": bool(reply["deleted"]), "reply": reply}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "command": {
                "type": "str",
                "required": True,
                "choices": ["publish", "list", "prune"],
            },
            "id": {"type": "str"},
            "delete": {"type": "list", "elements": "str", "default": []},
            "allow_more": {"type": "bool", "default": False},
            "host": {"type": "str", "default": ""},
            "port": {"type": "int", "default": 22},
            "user": {"type": "str", "default": names.INCOMING},
            "key": {"type": "path", "no_log": False},
            "known_hosts": {"type": "path"},
            "program": {"type": "list", "elements": "str", "default": ["mirrorctl"]},
            "config": {"type": "path", "default": names.MIRROR_SETTINGS},
            "attempts": {"type": "int", "default": 6},
            "delay": {"type": "float", "default": 10},
            "io_timeout": {"type": "int", "default": 120},
        },
        required_if=[("command", "publish", ("id",))],
        supports_check_mode=True,
    )
    params = module.params
    if module.check_mode and params["command"] != "list":
        changed = params["command"] == "publish" or bool(params["delete"])
        module.exit_json(changed=changed, reply={}, sent_files=0, sent_bytes=0, reused_bytes=0)
    try:
        result = act(module)
    except (StxMirrorError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
