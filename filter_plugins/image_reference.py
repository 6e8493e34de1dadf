# Copyright the StarlingX build tools authors
# SPDX-License-Identifier: Apache-2.0
"""Filter image_reference: the name of a component's container image."""

from __future__ import annotations

DOCUMENTATION = """
name: image_reference
short_description: Name a container image by the specification's grammar
version_added: "0.1.0"
author: StarlingX build tools (@starlingx)
description:
  - Gives C(<org>/stx-<component>:<git-tag-or-branch>-<os>-<openstack-release>[-<qualifier>]),
    with the registry before it if one is named.
positional: org, ref, os, release
options:
  _input:
    description:
      - The component, such as V(nova).
    type: str
    required: true
  org:
    description:
      - The organisation at the registry.
    type: str
    required: true
  ref:
    description:
      - The branch or tag; C(/) becomes C(-), and master is V(dev).
    type: str
    required: true
  os:
    description:
      - The image's operating system.
    type: str
    required: true
  release:
    description:
      - The OpenStack release.
    type: str
    required: true
  qualifier:
    description:
      - A build-date, V(latest) or V(stable).
    type: str
  image_tag:
    description:
      - What stands for the branch or tag instead (the stream's C(image_tag)).
    type: str
  registry:
    description:
      - The registry, as V(HOST.DOMAIN) or V(HOST:PORT).
    type: str
"""

EXAMPLES = """
- name: Show the name of an image
  ansible.builtin.debug:
    msg: "{{ 'nova' | image_reference('starlingx', 'm/2019.05b1', 'centos', 'pike') }}"
    # starlingx/stx-nova:m-2019.05b1-centos-pike
"""

RETURN = """
_value:
  description:
    - The reference.
  type: str
"""

from ansible.errors import AnsibleFilterError

try:
    from stxmirror import images
    from stxmirror.errors import StxMirrorError
except ImportError as problem:
    MISSING = str(problem)
else:
    MISSING = ""


def image_reference(
    component, org, ref, os, release, *, qualifier=None, image_tag=None, registry=None
):
    """Return the reference of a component's image."""
    if MISSING:
        raise AnsibleFilterError(
            f"image_reference needs the package stxmirror in Ansible's own Python ({MISSING}): "
            "run script/bootstrap, or `pip install .` with that Python's pip"
        )
    try:
        return images.image_reference(
            component,
            org=org,
            ref=ref,
            os=os,
            release=release,
            qualifier=qualifier,
            image_tag=image_tag,
            registry=registry,
        )
    except StxMirrorError as problem:
        raise AnsibleFilterError(str(problem)) from problem


class FilterModule:
    """Offers the filter to Ansible."""

    def filters(self):
        """Return the filter under its name."""
        return {"image_reference": image_reference}
