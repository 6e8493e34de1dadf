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
  - Adds up the reports that the package builder writes, and reads the container images out of the
    lists that the image tools write of what they pushed. Where both lie, the profile says.
  - A build that has neither made no packages and no images. What is not understood counts as
    absent, because the packages' own scripts can write there.
options:
  workspace:
    description: The workspace (StarlingX's MY_WORKSPACE).
    type: path
    required: true
  package_reports:
    description: Globs below the workspace of JSON files with the lists C(built) and C(reused).
    type: list
    elements: str
    default: []
  image_lists:
    description: Globs below the workspace of files with an image reference a line.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    description: Changes nothing in either mode.
    support: full
"""

EXAMPLES = r"""
- name: Count what the stages made
  workspace_summary:
    workspace: /localdisk/loadbuild/builder/master/20261101T020000Z
    package_reports: ["*/results/summary.json"]
    image_lists: ["std/build-images/images-*-versioned.lst"]
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


def files(workspace: Path, globs: list[str]) -> list[Path]:
    """Return what the globs match, in order."""
    return [file for pattern in globs for file in sorted(workspace.glob(pattern))]


def count_packages(reports: list[Path]) -> dict[str, int]:
    """Return the sums over the reports."""
    counts = {"built": 0, "reused": 0}
    for file in reports:
        try:
            summary = json.loads(read(file))
        except ValueError:
            continue
        for key in counts:
            names = summary.get(key) if isinstance(summary, dict) else None
            counts[key] += len(names) if isinstance(names, list) else 0
    return counts


def list_images(lists: list[Path]) -> list[str]:
    """Return the images that were pushed, each once, in order."""
    images: dict[str, None] = {}
    for file in lists:
        for line in read(file).splitlines():
            if IMAGE.fullmatch(line.strip()):
                images[line.strip()] = None
    return list(images)[:IMAGES_MAX]


def main() -> None:
    """Read the workspace and report."""
    module = AnsibleModule(
        argument_spec={
            "workspace": {"type": "path", "required": True},
            "package_reports": {"type": "list", "elements": "str", "default": []},
            "image_lists": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    workspace = Path(module.params["workspace"])
    module.exit_json(
        changed=False,
        packages=count_packages(files(workspace, module.params["package_reports"])),
        images=list_images(files(workspace, module.params["image_lists"])),
    )


if __name__ == "__main__":
    main()
