"""An ISO as a file: is it whole, does it boot, is it this build's? Nothing is mounted or booted."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

from stxmirror.builder.machine import HostUnable

# What a DVD holds: a larger ISO has taken in something that it should not.
MAX_BYTES = 4_700_000_000

# ECMA-119: 2048-byte sectors, the primary volume descriptor is the seventeenth of them.
_SECTOR = 2048
_DESCRIPTOR = 16 * _SECTOR
_METADATA = "/repodata/repomd.xml"
_BUILD_FILE_BYTES = 65536
_XORRISO_SECONDS = 300


class UnfitIso(Exception):
    """The ISO must not be published; ``str()`` says why."""


def find_xorriso() -> str:
    """Return the path of xorriso, or raise :class:`HostUnable`."""
    program = shutil.which("xorriso")
    if program is None:
        raise HostUnable("xorriso is not installed: install the package xorriso")
    return program


def check(
    path: Path, build_id: str, *, min_bytes: int, scratch: Path, max_bytes: int = MAX_BYTES
) -> str:
    """Check the ISO ``path`` and return what it is, in words, or raise :class:`UnfitIso`.

    It has to be a whole ISO 9660 image of ``min_bytes`` to ``max_bytes``, with boot entries for
    BIOS and UEFI, package metadata, and a file ``/BUILD`` whose ``BUILD_PATH`` is ``build_id``.
    Temporary files go to ``scratch``.
    """
    size = _check_size(path, min_bytes, max_bytes)
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        build, metadata = Path(folder, "BUILD"), Path(folder, "repomd.xml")
        report = _xorriso(path, {"/BUILD": build, _METADATA: metadata})
        _check_boot_entries(report)
        _check_build(build, build_id)
        if not _is_file(metadata):
            raise UnfitIso(f"it has no package metadata ({_METADATA})")
    return f"{size} bytes, boots under BIOS and UEFI"


def _check_size(path: Path, min_bytes: int, max_bytes: int) -> int:
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            stream.seek(_DESCRIPTOR)
            descriptor = stream.read(_SECTOR)
    except OSError as error:
        raise UnfitIso(f"it cannot be read: {error.strerror}") from error
    if len(descriptor) < _SECTOR or descriptor[:6] != b"\x01CD001":
        raise UnfitIso("it is not an ISO 9660 image")
    # Space size and block size of the volume, little-endian halves (ECMA-119, 8.4.8 and 8.4.12).
    blocks = struct.unpack_from("<I", descriptor, 80)[0]
    block = struct.unpack_from("<H", descriptor, 128)[0]
    if size < blocks * block:
        raise UnfitIso(f"it is cut short: {size} bytes of {blocks * block}")
    if not min_bytes <= size <= max_bytes:
        raise UnfitIso(f"its size of {size} bytes is not between {min_bytes} and {max_bytes}")
    return size


def _xorriso(iso: Path, wanted: dict[str, Path]) -> str:
    """Return the report about boot entries, and copy those ``wanted`` files that the ISO has."""
    command = [find_xorriso(), "-no_rc", "-abort_on", "FAILURE", "-osirrox", "on"]
    command += ["-indev", str(iso), "-report_el_torito", "plain"]
    # A file that is missing is for us to judge, it is no failure of the tool.
    command += ["-abort_on", "FATAL", "-return_with", "FATAL", "32"]
    for name, copy in wanted.items():
        command += ["-extract", name, str(copy)]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=_XORRISO_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise UnfitIso(f"xorriso did not read it within {_XORRISO_SECONDS} s") from error
    if done.returncode:
        raise UnfitIso(f"xorriso cannot read it: {done.stderr.strip()[-500:]}")
    return done.stdout


def _check_boot_entries(report: str) -> None:
    """Check that El Torito offers an image to BIOS and one to UEFI."""
    # El Torito boot img :   1  BIOS  y   none  0x0000  0x00      4          71
    platforms = {
        line.split(":", 1)[1].split()[1]
        for line in report.split("\n")
        if line.startswith("El Torito boot img ") and line.split(":", 1)[1].split()[2] == "y"
    }
    missing = {"BIOS", "UEFI"} - platforms
    if missing:
        raise UnfitIso(f"it has no boot entry for {' nor for '.join(sorted(missing))}")


def _check_build(file: Path, build_id: str) -> None:
    if not _is_file(file):
        raise UnfitIso("it has no file /BUILD")
    with file.open(encoding="utf-8", errors="replace") as stream:
        lines = stream.read(_BUILD_FILE_BYTES).split("\n")
    values = dict(line.partition("=")[::2] for line in lines)
    found = values.get("BUILD_PATH", "").strip().strip('"')
    if found != build_id:
        raise UnfitIso(f"its file /BUILD names build '{found}', this is build '{build_id}'")


def _is_file(path: Path) -> bool:
    # A symbolic link on the ISO would lead to a file of this host.
    return path.is_file() and not path.is_symlink()
