# Copyright the StarlingX build tools authors
# SPDX-License-Identifier: Apache-2.0
"""Filter redaction_terms: what logs are redacted by."""

from __future__ import annotations

DOCUMENTATION = """
name: redaction_terms
short_description: Give the words that must not be published
version_added: "0.1.0"
author: StarlingX build tools (@starlingx)
description:
  - Derives from names and addresses of hosts, and from homes of users, what must not appear in
    anything that is published.
  - Common words, loopback addresses and the homes of system accounts are left out.
positional: addresses, homes
options:
  _input:
    description:
      - Names of hosts, short or full.
    type: list
    elements: str
    required: true
  addresses:
    description:
      - Addresses, with or without a prefix length.
    type: list
    elements: str
    default: []
  homes:
    description:
      - Home directories of people.
    type: list
    elements: str
    default: []
"""

EXAMPLES = """
- name: Show what is redacted
  ansible.builtin.debug:
    msg: "{{ ['build7.example.com'] | redaction_terms(['192.0.2.7/24'], ['/home/ann']) }}"
    # [build7.example.com, /home/ann, 192.0.2.7, build7]
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


def redaction_terms(hostnames, addresses=(), homes=()):
    """Return the terms to redact."""
    if MISSING:
        raise AnsibleFilterError(
            f"redaction_terms needs the package stxmirror in Ansible's own Python ({MISSING}): "
            "run script/bootstrap, or `pip install .` with that Python's pip"
        )
    try:
        return redact.derive_terms(hostnames, addresses, homes)
    except StxMirrorError as problem:
        raise AnsibleFilterError(str(problem)) from problem


class FilterModule:
    """Offers the filter to Ansible."""

    def filters(self):
        """Return the filter under its name."""
        return {"redaction_terms": redaction_terms}
