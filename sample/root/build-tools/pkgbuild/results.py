"""What became of each package: its directory of logs and markers, and the summary.

``<results>/<name-version-release>/`` holds ``success`` or ``fail``, the logs, the RPMs and, for
a success, ``result.json`` with the key of what they were made from.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable
from pathlib import Path

from pkgbuild.buildroot import file_digest
from pkgbuild.rpmmeta import Rpm


def key(srpm: Path, root: str, install: Iterable[Rpm]) -> str:
    """Names the inputs of a build: the same key means that the same RPMs would come out."""
    parts = [file_digest(srpm), root, *(file_digest(rpm.path) for rpm in install)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def succeed(directory: Path, build_key: str, rpms: list[Path]) -> None:
    """Marks the package as built."""
    record = {"key": build_key, "rpms": {p.name: file_digest(p) for p in sorted(rpms)}}
    (directory / "result.json").write_text(json.dumps(record, indent=1) + "\n")
    (directory / "fail").unlink(missing_ok=True)
    (directory / "success").touch()


def fail(directory: Path, why: str) -> None:
    """Marks the package as failed, with the reason."""
    directory.mkdir(parents=True, exist_ok=True)
    for name in ("success", "result.json"):
        (directory / name).unlink(missing_ok=True)
    (directory / "fail").write_text(why + "\n")


def fresh(directory: Path) -> None:
    """An empty directory for a new try."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)


def reusable(directory: Path, build_key: str) -> list[Path]:
    """The RPMs that a build with this key left there, every one intact; else none."""
    try:
        record = json.loads((directory / "result.json").read_text())
    except (OSError, ValueError):
        return []
    if record["key"] != build_key or not (directory / "success").exists():
        return []
    rpms = [directory / name for name in record["rpms"]]
    if any(not p.is_file() or file_digest(p) != record["rpms"][p.name] for p in rpms):
        return []
    return rpms


def take_over(source: Path, to: Path) -> None:
    """Copies a whole result from another workspace; the marker comes last."""
    fresh(to)
    for path in sorted(source.iterdir(), key=lambda p: p.name == "success"):
        if path.is_file() and not path.is_symlink():
            shutil.copy2(path, to / path.name)


def write_summary(
    path: Path, built: Iterable[str], reused: Iterable[str], failed: Iterable[str]
) -> None:
    """summary.json: names of source packages."""
    path.parent.mkdir(parents=True, exist_ok=True)
    record = {"built": sorted(built), "reused": sorted(reused), "failed": sorted(failed)}
    path.write_text(json.dumps(record, indent=1) + "\n")
