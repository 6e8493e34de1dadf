"""Packing ``mirrorctl`` into one executable file: ``python -m stxmirror.mirror.zipapp OUT``.

Only what the mirror needs goes in, and the same sources give the same bytes on every machine, so
that provisioning a second time changes nothing.
"""

from __future__ import annotations

import argparse
import io
import zipfile
from pathlib import Path

import stxmirror

# Isolated (-I): neither the caller's environment nor its home adds to what is imported.
_SHEBANG = b"#!/usr/bin/python3 -I\n"
_START = b"""\
import sys

from stxmirror.mirror.cli import main

sys.exit(main())
"""
# The pure modules that the mirror's tool stands on; its own package goes in whole.
_MODULES = ("__init__", "errors", "layout", "records", "retention", "schema", "times")
_DATA = ("schemas/build-1.schema.json",)
_EPOCH = (1980, 1, 1, 0, 0, 0)


def pack() -> bytes:
    """Return the zip application."""
    root = Path(stxmirror.__file__).parent
    names = {f"{name}.py" for name in _MODULES} | set(_DATA)
    names |= {
        str(path.relative_to(root))
        for path in (root / "mirror").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path != Path(__file__)
    }
    members = {f"stxmirror/{name}": (root / name).read_bytes() for name in names}
    members["__main__.py"] = _START
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as out:
        for name, data in sorted(members.items()):
            # Stored, not deflated: what a compressor makes differs between its versions.
            item = zipfile.ZipInfo(name, _EPOCH)
            item.create_system = 3
            item.external_attr = 0o644 << 16
            out.writestr(item, data)
    return _SHEBANG + archive.getvalue()


def main() -> None:
    """Write the zip application where the command line says."""
    parser = argparse.ArgumentParser(description=pack.__doc__)
    parser.add_argument("out", type=Path, metavar="OUT")
    out = parser.parse_args().out
    out.write_bytes(pack())
    out.chmod(0o755)


if __name__ == "__main__":
    main()
