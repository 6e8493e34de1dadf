"""The records of a build host's builds, in directories named like the builds."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import cast

from stxmirror import records
from stxmirror.errors import StxMirrorError
from stxmirror.records import BuildRecord
from stxmirror.state.files import read_json, write_json
from stxmirror.state.paths import Paths
from stxmirror.times import parse_build_date


def dated(directory: Path) -> list[str]:
    """Return the names of the real directories in a directory that are build-dates, sorted."""
    found = []
    for path in directory.iterdir() if directory.is_dir() else ():
        try:
            parse_build_date(path.name)
        except StxMirrorError:
            continue
        if path.is_dir() and not path.is_symlink():
            found.append(path.name)
    return sorted(found)


def read_record(paths: Paths, build_id: str) -> BuildRecord:
    """Return the record of a build that was made on this host, or raise."""
    record = read_json(paths.record(build_id))
    if record is None:
        raise StxMirrorError(
            f"this host has no record of a build {build_id}: name one that `stx-mirror status` "
            f"shows or that lies in {paths.builds}"
        )
    return cast(BuildRecord, record)


def logs_of(paths: Paths, build_id: str) -> str:
    """Return the directory with a build's logs, or nothing if it is not known."""
    session = read_json(paths.session(build_id)) or {}
    return str(session.get("logs") or "")


def close_unfinished(
    paths: Paths, directory: str, *, why: str, part: str | None, now: datetime
) -> list[str]:
    """Close the records in a stream's directory whose build ended without a verdict.

    Only for whoever holds the stream's lock. Returns the ids, oldest first.
    """
    closed = []
    for date in dated(paths.builds / directory):
        build_id = f"{directory}/{date}"
        content = read_json(paths.record(build_id))
        if content is None or content.get("finished") is not None:
            continue
        record = cast(BuildRecord, content)
        # What a build that was killed left here may be anything.
        lines = content.get("excerpt")
        lines = [x for x in lines if isinstance(x, str)] if isinstance(lines, list) else []
        try:
            record = records.close(
                record,
                result="fail",
                finished=now,
                failed_stage=record.get("failed_stage") or part or "open",
                excerpt=[*lines, why],
            )
        except (StxMirrorError, KeyError, TypeError):
            # Not one of ours, or of another version: it says fail already, and stays as it is.
            continue
        write_json(paths.record(build_id), record, mode=0o644)
        closed.append(build_id)
    return closed
