#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Remove old versions of the project, except the current one and those that something runs from.

    remove-old-versions.py ROOT KEEP

Keeps the KEEP newest versions; prints each that it removes.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path


def running() -> str:
    """Return the command lines of all processes: what runs from a version names its directory."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_bytes().decode(errors="replace"))
        except OSError:
            continue
    return "\0".join(lines)


def main(root: Path, keep: int) -> None:
    """Remove them."""
    current = (root / "current").resolve()
    versions = sorted(
        # `current` is a link to one of them, not a version more.
        (path.parent for path in root.glob("*/.ready") if not path.parent.is_symlink()),
        key=lambda path: (path / ".ready").stat().st_mtime,
        reverse=True,
    )
    commands = running()
    for version in versions[keep:]:
        if version == current or f"{version}/" in commands:
            continue
        # A version that is gone by half is not taken for a whole one.
        (version / ".ready").unlink()
        shutil.rmtree(version)
        print(version.name)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
