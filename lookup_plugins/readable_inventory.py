# Copyright the StarlingX build tools authors
# SPDX-License-Identifier: Apache-2.0
"""Lookup readable_inventory: the hosts of a play, once every file of the inventory can be read."""

from __future__ import annotations

DOCUMENTATION = """
name: readable_inventory
short_description: Refuse an inventory with a file that cannot be read
version_added: "0.2.0"
author: StarlingX build tools (@starlingx)
description:
  - Returns a pattern of hosts as it is, unless a file of the inventory cannot be read or none of
    the pattern's groups has a host. Then it fails, and names each such file, with the line.
  - It is for the C(hosts) of a play, because Ansible looks at those before it reads variables. A
    file of variables that does not parse ends a run without its name, and a file of hosts that
    does not parse is left out with a warning.
options:
  _terms:
    description: The pattern, as a play's C(hosts) has it.
    type: str
    required: true
"""

EXAMPLES = """
- name: Check what the inventory says
  hosts: "{{ lookup('readable_inventory', 'build_hosts:mirrors:!disabled') }}"
"""

RETURN = """
_raw:
  description: The pattern.
  type: list
  elements: str
"""

from ansible import context
from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase
from ansible.utils.display import Display

try:
    from stxmirror import variables as names
    from stxmirror.inventory import sources
except ImportError as problem:
    MISSING = str(problem)
else:
    MISSING = ""


class LookupModule(LookupBase):
    """Reads all files of the inventory."""

    def run(self, terms, variables=None, **kwargs):
        """Return the pattern, or fail with every file that cannot be read."""
        (pattern,) = terms
        if context.CLIARGS.get("syntax"):
            return [pattern]
        if MISSING:
            raise AnsibleError(
                f"The project's own package is not installed ({MISSING}): run script/bootstrap"
            )
        groups = variables["groups"]
        known = {
            "group": {"all", "ungrouped", *groups},
            "host": {host for hosts in groups.values() for host in hosts},
        }
        problems = []
        for file in sources.unread(self._loader, variables["ansible_inventory_sources"], known):
            if file.locked and not _is_used(file.locked, groups):
                Display().warning(f"{file.path} is encrypted, so that nobody checks what it says")
            else:
                problems.append(str(file))
        wanted = [name for name in pattern.split(":") if name[0] not in "!&"]
        if not problems and not any(groups.get(name) for name in wanted):
            problems.append(_no_hosts(wanted, groups))
        if problems:
            raise AnsibleError("\n".join(["Mend this in the inventory first:", *problems]))
        return [pattern]


def _is_used(owner, groups):
    return owner.kind == "host" or bool(owner.name == "all" or groups.get(owner.name))


def _no_hosts(wanted, groups):
    others = [name for name in groups if name not in ("all", "ungrouped", *wanted)]
    hints = [
        f"rename group {other} to {meant}"
        for other in others
        if groups[other] and (meant := names.suggestion(other, wanted))
    ]
    advice = " and ".join(hints) or "list them as inventories/example/hosts.yml does"
    return f"The inventory has no host in {', '.join(wanted)}: {advice}"
