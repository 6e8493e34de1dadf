"""The files below /var/lib/stx-mirror: records, status, what is running."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from stxmirror import records
from stxmirror.controller.paths import Paths
from stxmirror.errors import StxMirrorError
from stxmirror.layout import BuildId
from stxmirror.times import parse_time

STATUS_SCHEMA = 1


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the object in a file; None if it is absent or not whole."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def write_json(path: Path, content: Mapping[str, Any], mode: int = 0o640) -> None:
    """Replace a file as a whole: a reader sees the old content or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump(content, stream, indent=2, sort_keys=True)
            stream.write("\n")
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def record_path(paths: Paths, build_id: str) -> Path:
    """Return where the record of a build lies; the id is checked first."""
    return paths.builds / str(BuildId.parse(build_id)) / "build.json"


def session_path(paths: Paths, build_id: str) -> Path:
    """Return where the work directories of a build are written down; never published."""
    return record_path(paths, build_id).with_name("session.json")


def read_record(paths: Paths, build_id: str) -> dict[str, Any]:
    """Return the record of a build that was made on this host, or raise."""
    record = read_json(record_path(paths, build_id))
    if record is None:
        raise StxMirrorError(
            f"this host has no record of a build {build_id}: name one that `stx-mirror status` "
            f"shows or that lies in {paths.builds}"
        )
    return record


def close_unfinished(
    paths: Paths, directory: str, *, why: str, stage: str | None, now: datetime
) -> list[str]:
    """Close the records in a stream's directory whose build ended without a verdict.

    Only for whoever holds the stream's lock. Returns the ids, oldest first.
    """
    closed = []
    for file in sorted((paths.builds / directory).glob("*/build.json")):
        record = read_json(file)
        if record is None or record.get("finished") is not None:
            continue
        try:
            record = records.close(
                record,
                result="fail",
                # A clock that was set back in between must not keep the record open for ever.
                finished=max(now, parse_time(record.get("started", ""))),
                failed_stage=record.get("failed_stage") or stage or "open",
                excerpt=[*record.get("excerpt", []), why],
            )
        except StxMirrorError:
            # Not one of ours, or of another version: it says fail already, and stays as it is.
            continue
        write_json(file, record, mode=0o644)
        closed.append(record["id"])
    return closed


def set_last_attempt(paths: Paths, ref: str, project: str, attempt: Mapping[str, Any]) -> None:
    """Write the outcome of a run into the status of its branch."""
    status = read_json(paths.status(project)) or {"last_success": None}
    write_json(
        paths.status(project),
        {**status, "schema": STATUS_SCHEMA, "ref": ref, "last_attempt": dict(attempt)},
        mode=0o644,
    )
