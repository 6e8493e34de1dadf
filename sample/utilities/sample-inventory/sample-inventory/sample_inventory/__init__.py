# SPDX-License-Identifier: Apache-2.0
"""Lists what hardware a system has, as the kernel tells it."""

from __future__ import annotations

from pathlib import Path


def inventory(root: Path = Path("/")) -> dict[str, object]:
    """Processors (count), memory (bytes) and disks (name -> bytes) below ``root``."""
    cpus = (root / "proc/cpuinfo").read_text().count("\nprocessor") + 1
    fields = dict(line.split(":", 1) for line in (root / "proc/meminfo").read_text().splitlines())
    sectors = {
        path.name: int((path / "size").read_text()) * 512
        for path in sorted((root / "sys/block").glob("*"))
    }
    return {
        "processors": cpus,
        "memory": int(fields["MemTotal"].split()[0]) * 1024,
        "disks": {name: size for name, size in sectors.items() if size},
    }
