#!/usr/bin/python3
"""Read out of a workspace what its stages say they made."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
---
module: workspace_summary
short_description: Count what the stages of a build made
version_added: "0.1.0"
author:
  - StarlingX build tools (@starlingx)
description:
  - Adds up C(<type>/results/summary.json), which C(build-pkgs) writes for each build type, and
    reads the container images out of C(std/build-images/images-*-versioned.lst), the lists that
    StarlingX's image tools write of what they pushed.
  - A build that has neither made no packages and no images. What is not understood counts as
    absent, because the packages' own scripts can write there.
options:
  workspace:
    description: The workspace (StarlingX's MY_WORKSPACE).
    type: path
    required: true
attributes:
  check_mode:
    description: Changes nothing in either mode.
    support: full
"""

EXAMPLES = r"""
- name: Count what the stages made
  workspace_summary:
    workspace: /localdisk/loadbuild/builder/master/20261101T020000Z
  become: true
  become_user: builder
"""

RETURN = r"""
packages:
  description: How many source packages were built, and how many taken over from an earlier build.
  returned: always
  type: dict
  sample: {built: 18, reused: 0}
images:
  description: The container images that were pushed.
  returned: always
  type: list
  elements: str
  sample: ["registry:5000/starlingx/stx-sample-clock:dev-centos-stable-20261101T020000Z"]
"""

import json
import re
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

# More than any build has: what is longer is not a summary.
FILE_BYTES = 4 * 1024 * 1024
IMAGES_MAX = 1000
# registry/repository:tag, as the OCI distribution specification has them.
IMAGE = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]{1,5})?(/[a-z0-9][a-z0-9._-]*)+:[A-Za-z0-9_][A-Za-z0-9._-]{0,127}",
    re.ASCII,
)


def read(path: Path) -> str:
    """Return the text of a small regular file, or nothing."""
    try:
        if path.is_symlink() or not path.is_file():
            return ""
        with path.open("rb") as stream:
            return stream.read(FILE_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""


def count_packages(workspace: Path) -> dict[str, int]:
    """Return the sums over the build types."""
    counts = {"built": 0, "reused": 0}
    for file in sorted(workspace.glob("*/results/summary.json")):
        try:
            summary = json.loads(read(file))
        except ValueError:
            continue
        for key in counts:
            names = summary.get(key) if isinstance(summary, dict) else None
            counts[key] += len(names) if isinstance(names, list) else 0
    return counts


def list_images(workspace: Path) -> list[str]:
    """Return the images that were pushed, each once, in order."""
    images: dict[str, None] = {}
    for file in sorted(workspace.glob("std/build-images/images-*-versioned.lst")):
        for line in read(file).splitlines():
            if IMAGE.fullmatch(line.strip()):
                images[line.strip()] = None
    return list(images)[:IMAGES_MAX]


def main() -> None:
    """Read the workspace and report."""
    module = AnsibleModule(
        argument_spec={"workspace": {"type": "path", "required": True}}, supports_check_mode=True
    )
    workspace = Path(module.params["workspace"])
    module.exit_json(
        changed=False, packages=count_packages(workspace), images=list_images(workspace)
    )


if __name__ == "__main__":
    main()
