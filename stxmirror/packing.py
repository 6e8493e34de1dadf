"""Packing a command of this package into one executable file.

Only what the command needs goes in, and the same sources give the same bytes on every machine, so
that provisioning a second time changes nothing.
"""

from __future__ import annotations

import argparse
import io
import os
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import stxmirror

# Isolated (-I): neither the caller's environment nor its home adds to what is imported.
_SHEBANG = b"#!/usr/bin/python3 -I\n"
_START = """\
import sys

from stxmirror.{package}.cli import main

sys.exit(main())
"""
_EPOCH = (1980, 1, 1, 0, 0, 0)


def pack(package: str, modules: Iterable[str], data: Iterable[str] = ()) -> bytes:
    """Return a zip application of a sub-package, which has ``cli.main``, and what it stands on."""
    root = Path(stxmirror.__file__).parent
    names = {f"{name}.py" for name in modules} | set(data)
    names |= {
        str(path.relative_to(root))
        for path in (root / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.name != "zipapp.py"
    }
    members = {f"stxmirror/{name}": (root / name).read_bytes() for name in names}
    members["__main__.py"] = _START.format(package=package).encode()
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as out:
        for name, content in sorted(members.items()):
            # Stored, not deflated: what a compressor makes differs between its versions.
            item = zipfile.ZipInfo(name, _EPOCH)
            item.create_system = 3
            item.external_attr = 0o644 << 16
            out.writestr(item, content)
    return _SHEBANG + archive.getvalue()


def main(make: Callable[[], bytes]) -> None:
    """Write a zip application where the command line says."""
    parser = argparse.ArgumentParser(description=make.__doc__)
    parser.add_argument("out", type=Path, metavar="OUT")
    out = parser.parse_args().out
    # Renamed when it is complete: several plays on one machine may make and read it at once.
    part = out.with_name(f"{out.name}.{os.getpid()}")
    part.write_bytes(make())
    part.chmod(0o755)
    part.replace(out)
