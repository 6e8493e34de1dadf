#!/usr/bin/python3
"""Look at an ISO as a file: is it whole, does it boot, is it this build's?"""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
---
module: iso_check
short_description: Check an ISO without booting it
version_added: "0.1.0"
author:
  - StarlingX build tools (@starlingx)
description:
  - Checks that the file is an ISO 9660 image of a sane size that is all there, has boot entries
    for BIOS and UEFI (El Torito), carries package metadata, and that its file C(/BUILD) names
    this build.
  - Reads the image with C(xorriso); nothing is mounted.
  - Never fails because of what the ISO is like; that is what RV(result) and RV(detail) say.
options:
  path:
    description: The ISO.
    type: path
    required: true
  build_id:
    description: What C(BUILD_PATH) in its file C(/BUILD) has to say.
    type: str
    required: true
  min_bytes:
    description: A smaller ISO has lost something.
    type: int
    default: 10000000
  max_bytes:
    description: >-
      A larger ISO has taken in something that it should not; by default what a DVD holds.
    type: int
    default: 4700000000
attributes:
  check_mode:
    description: The module only reads.
    support: full
"""

EXAMPLES = r"""
- name: Check the ISO
  iso_check:
    path: /localdisk/loadbuild/builder/master/20261101T020000Z/export/bootimage.iso
    build_id: master/sample/20261101T020000Z
"""

RETURN = r"""
result:
  description: Whether the ISO is well.
  returned: always
  type: str
  sample: ok
  choices: [ok, failed]
detail:
  description: What is wrong with it, or what it is.
  returned: always
  type: str
  sample: "46557184 bytes, boots under BIOS and UEFI"
seconds:
  description: How long the check took.
  returned: always
  type: float
  sample: 0.2
"""

import struct
import subprocess
import tempfile
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

# ECMA-119: 2048-byte sectors, the primary volume descriptor is the seventeenth of them.
SECTOR = 2048
DESCRIPTOR = 16 * SECTOR


class Unfit(Exception):
    """The ISO is not fit to be published; str() says why."""


def check_file(path: Path, min_bytes: int, max_bytes: int) -> int:
    """Check size and format, and return the size in bytes."""
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            stream.seek(DESCRIPTOR)
            descriptor = stream.read(SECTOR)
    except OSError as error:
        raise Unfit(f"it cannot be read: {error.strerror}") from error
    if len(descriptor) < SECTOR or descriptor[:6] != b"\x01CD001":
        raise Unfit("it is not an ISO 9660 image")
    # Space size and block size of the volume, little-endian halves (ECMA-119, 8.4.8 and 8.4.12).
    blocks = struct.unpack_from("<I", descriptor, 80)[0]
    block = struct.unpack_from("<H", descriptor, 128)[0]
    if size < blocks * block:
        raise Unfit(f"it is cut short: {size} bytes of {blocks * block}")
    if not min_bytes <= size <= max_bytes:
        raise Unfit(f"its size of {size} bytes is not between {min_bytes} and {max_bytes}")
    return size


def xorriso(*arguments: str) -> str:
    """Run xorriso without its configuration files and return what it prints."""
    try:
        done = subprocess.run(
            ["xorriso", "-no_rc", "-abort_on", "FAILURE", *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError as error:
        raise Unfit(f"xorriso cannot be started, install it: {error.strerror}") from error
    if done.returncode:
        raise Unfit(f"xorriso cannot read it: {done.stderr.strip()[-500:]}")
    return done.stdout


def check_boot_entries(path: Path) -> None:
    """Check that El Torito offers an image to BIOS and one to UEFI."""
    report = xorriso("-indev", str(path), "-report_el_torito", "plain")
    # El Torito boot img :   1  BIOS  y   none  0x0000  0x00      4          71
    platforms = {
        line.split(":", 1)[1].split()[1]
        for line in report.splitlines()
        if line.startswith("El Torito boot img ") and line.split(":", 1)[1].split()[2] == "y"
    }
    missing = {"BIOS", "UEFI"} - platforms
    if missing:
        raise Unfit(f"it has no boot entry for {' nor for '.join(sorted(missing))}")


def check_content(path: Path, build_id: str) -> None:
    """Check that the ISO says which build it is, and has package metadata."""
    with tempfile.TemporaryDirectory() as scratch:
        found = Path(scratch)
        wanted = ("/BUILD", "/repodata/repomd.xml")
        xorriso(
            # A name that is not there is for us to judge, it is no failure of the tool.
            *("-abort_on", "FATAL", "-return_with", "FATAL", "32", "-osirrox", "on"),
            *("-indev", str(path)),
            *(word for name in wanted for word in ("-extract", name, str(found / Path(name).name))),
        )
        build = found / "BUILD"
        if not build.is_file():
            raise Unfit("it has no file /BUILD")
        says = dict(
            line.partition("=")[::2] for line in build.read_text(errors="replace").splitlines()
        )
        is_build = says.get("BUILD_PATH", "").strip('"')
        if is_build != build_id:
            raise Unfit(f"its file /BUILD names build '{is_build}', this is build '{build_id}'")
        if not (found / "repomd.xml").is_file():
            raise Unfit("it has no package metadata (/repodata/repomd.xml)")


def main() -> None:
    """Read the arguments, check and report."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "build_id": {"type": "str", "required": True},
            "min_bytes": {"type": "int", "default": 10_000_000},
            "max_bytes": {"type": "int", "default": 4_700_000_000},
        },
        supports_check_mode=True,
    )
    params = module.params
    path = Path(params["path"])
    began = time.monotonic()
    try:
        size = check_file(path, params["min_bytes"], params["max_bytes"])
        check_boot_entries(path)
        check_content(path, params["build_id"])
        result, detail = "ok", f"{size} bytes, boots under BIOS and UEFI"
    except Unfit as error:
        result, detail = "failed", str(error)
    module.exit_json(
        changed=False, result=result, detail=detail, seconds=round(time.monotonic() - began, 1)
    )


if __name__ == "__main__":
    main()
