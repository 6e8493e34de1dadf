"""Packing a command of this package into one executable file.

Only what the command needs goes in, and the same sources give the same bytes on every machine, so
that provisioning a second time changes nothing.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import zipfile
from collections.abc import Callable, Iterable
from importlib import metadata
from pathlib import Path

import fastjsonschema

import stxmirror
from stxmirror import schema

# Isolated (-I): neither the caller's environment nor its home adds to what is imported.
_SHEBANG = b"#!/usr/bin/python3 -I\n"
_START = """\
import sys

from stxmirror.{package}.cli import main

sys.exit(main())
"""
_EPOCH = (1980, 1, 1, 0, 0, 0)


def pack(package: str, modules: Iterable[str], schemas: Iterable[str] = ()) -> bytes:
    """Return a zip application of a sub-package, which has ``cli.main``, and what it stands on.

    ``modules`` are those of this package, ``schemas`` the names of what it checks values by. Raises
    OSError if one of their files is not there.
    """
    root = Path(stxmirror.__file__).parent
    names = {f"{name}.py" for name in modules}
    names |= {f"schemas/{name}.schema.json" for name in schemas}
    names |= {
        str(path.relative_to(root))
        for path in (root / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.name != "zipapp.py"
    }
    members = {f"stxmirror/{name}": (root / name).read_bytes() for name in names}
    members["__main__.py"] = _START.format(package=package).encode()
    members |= _checkers(schemas)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as out:
        for name, content in sorted(members.items()):
            # Stored, not deflated: what a compressor makes differs between its versions.
            item = zipfile.ZipInfo(name, _EPOCH)
            item.create_system = 3
            item.external_attr = 0o644 << 16
            out.writestr(item, content)
    return _SHEBANG + archive.getvalue()


def _checkers(schemas: Iterable[str]) -> dict[str, bytes]:
    """Return the modules that check values by schemas, made by fastjsonschema.

    So the program need not make them at each start, and runs with a Python that is older than
    fastjsonschema asks for. Of fastjsonschema itself it needs the exceptions alone.
    """
    modules = {f"stxmirror/checkers/{schema.module_name(name)}.py": name for name in schemas}
    if not modules:
        return {}
    installed = {str(file): file for file in metadata.files("fastjsonschema") or ()}
    licence = next(file for name, file in installed.items() if name.endswith("/LICENSE"))
    # Python 3.9 reads its annotations only so.
    exceptions = "from __future__ import annotations\n\n"
    exceptions += installed["fastjsonschema/exceptions.py"].read_text()
    return {
        "stxmirror/checkers/__init__.py": b"",
        **{path: _checker(name) for path, name in modules.items()},
        "fastjsonschema/__init__.py": exceptions.encode(),
        "fastjsonschema/LICENSE": licence.read_text().encode(),
    }


def _checker(name: str) -> bytes:
    code = fastjsonschema.compile_to_code(schema.rules(name), **schema.HOW)
    functions = re.findall(r"^def (\w+)\(data", code, re.MULTILINE)
    return f"{code}\n\ncheck = {functions[0]}\n".encode()


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
