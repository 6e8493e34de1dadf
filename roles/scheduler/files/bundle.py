#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pack what a build host needs of this project, and name the version after its content.

    bundle.py PROJECT ARCHIVE

Prints ``{"version": "<project's version>-<12 hex digits>"}``. The same files give the same version
and the same bytes, whoever packs them wherever and whenever.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import sys
import tarfile
from fnmatch import fnmatchcase as fnmatch
from pathlib import Path

# What is run or installed on a build host; tests, scenarios and an admin's inventories are not.
DEPLOYED = (
    "ansible.cfg",
    "filter_plugins",
    "library",
    "LICENSE",
    "module_utils",
    "playbooks",
    "profiles",
    "pyproject.toml",
    "README.md",
    "requirements",
    "requirements.yml",
    "roles",
    "stxmirror",
)


def files(project: Path) -> list[Path]:
    """Return the files to deploy, whether they lie in a checkout or in an unpacked archive.

    git is not asked: it may be missing, refuse another person's checkout, or have rules of
    its owner's.
    """
    ignored = ignored_names(project)
    found = []
    for top in DEPLOYED:
        path = project / top
        found += [path] if path.is_file() else []
        for directory, below, names in os.walk(path):
            here = Path(directory)
            below[:] = [name for name in below if not is_ignored(here / name, project, ignored)]
            found += [here / name for name in names]
    return sorted(
        path for path in found if path.is_file() and not is_ignored(path, project, ignored)
    )


def ignored_names(project: Path) -> list[str]:
    """Return the patterns of the project's own .gitignore, which has plain ones only."""
    file = project / ".gitignore"
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    return ["__pycache__", *(line.rstrip("/") for line in lines if line and line[0] != "#")]


def is_ignored(path: Path, project: Path, patterns: list[str]) -> bool:
    """Whether a pattern, or the habit of editors and tools, leaves a file or directory out."""
    if path.name.startswith(".") or path.name.endswith("~"):
        return True
    inside = "/" + path.relative_to(project).as_posix()
    return any(fnmatch(inside if "/" in each else path.name, each) for each in patterns)


def member(name: str, path: Path) -> tuple[tarfile.TarInfo, bytes]:
    """Return one file as the archive has it: no owner, no time, two possible modes."""
    data = path.read_bytes()
    info = tarfile.TarInfo(name)
    info.size = len(data)
    info.mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
    return info, data


def project_version(project: Path) -> str:
    """Return the version that the package says it has."""
    text = (project / "stxmirror" / "__init__.py").read_text()
    found = re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)
    if not found:
        raise SystemExit(f"bundle.py: {project}/stxmirror/__init__.py names no __version__")
    return found[1]


def main(project: Path, archive: Path) -> None:
    """Write ``archive`` and print the version."""
    digest = hashlib.sha256()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in files(project):
            name = path.relative_to(project).as_posix()
            info, data = member(name, path)
            digest.update(f"{name}\0{info.mode}\0{info.size}\0".encode() + data)
            # One directory on top, as pip expects of a source archive.
            info.name = f"stx-mirror/{name}"
            tar.addfile(info, io.BytesIO(data))
    version = f"{project_version(project)}-{digest.hexdigest()[:12]}"
    archive.parent.mkdir(exist_ok=True)
    temporary = archive.with_suffix(f".{os.getpid()}")
    with temporary.open("wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as packed:
        packed.write(buffer.getvalue())
    temporary.replace(archive)
    print(json.dumps({"version": version}))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
