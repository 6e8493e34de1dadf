# Copyright the StarlingX build tools authors
# SPDX-License-Identifier: Apache-2.0
"""Filter private_terms: what is cut out of logs, and stops nothing."""

from __future__ import annotations

DOCUMENTATION = """
name: private_terms
short_description: Give the words that name people and networks
version_added: "0.2.0"
author: StarlingX build tools (@starlingx)
description:
  - Derives from the admins, the admin networks and other names of a site what is cut out of
    published logs and free texts, and stops no publication elsewhere.
  - Common words, an account that may be a word, and networks that everybody has are left out.
positional: networks, others, hostnames
options:
  _input:
    description:
      - The admins, as C(users_admins) has them.
    type: list
    elements: dict
    required: true
  networks:
    description:
      - Networks or addresses that admins come from.
    type: list
    elements: str
    default: []
  others:
    description:
      - Mail addresses, and names of servers around the build hosts.
    type: list
    elements: str
    default: []
  hostnames:
    description:
      - Names of the build hosts, which an account is looked for with.
    type: list
    elements: str
    default: []
"""

EXAMPLES = """
- name: Show what is cut out of logs
  ansible.builtin.debug:
    msg: "{{ [{'name': 'ann', 'full_name': 'Ann Lee'}] | private_terms(['192.0.2.0/25']) }}"
    # [192.0.2.0/25, Ann Lee]
"""

RETURN = """
_value:
  description:
    - The terms, longest first.
  type: list
  elements: str
"""

from ansible.errors import AnsibleFilterError

try:
    from stxmirror import redact
    from stxmirror.errors import StxMirrorError
except ImportError as problem:
    MISSING = str(problem)
else:
    MISSING = ""


def private_terms(admins, networks=(), others=(), hostnames=()):
    """Return the terms to cut out of logs."""
    if MISSING:
        raise AnsibleFilterError(
            f"private_terms needs the package stxmirror in Ansible's own Python ({MISSING}): "
            "run script/bootstrap, or `pip install .` with that Python's pip"
        )
    try:
        return redact.private_terms(admins, networks, others, hostnames)
    except StxMirrorError as problem:
        raise AnsibleFilterError(str(problem)) from problem


class FilterModule:
    """Offers the filter to Ansible."""

    def filters(self):
        """Return the filter under its name."""
        return {"private_terms": private_terms}
