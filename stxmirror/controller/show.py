"""How things stand, for a person: ``stx-mirror status``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from stxmirror import streams
from stxmirror.controller.progress import clock
from stxmirror.errors import StxMirrorError
from stxmirror.layout import project_name
from stxmirror.names import NOTHING_NEW
from stxmirror.state import status
from stxmirror.state.files import read_json
from stxmirror.state.paths import Paths
from stxmirror.state.status import Attempt
from stxmirror.streams import Stream
from stxmirror.times import parse_time


def known_refs(paths: Paths, all_streams: Sequence[Stream]) -> list[str]:
    """Return the refs with a stream of their own, and those that were built under a pattern."""
    refs = [stream.match for stream in all_streams if not stream.is_pattern]
    for file in sorted((paths.state / "status").glob("*.json")):
        ref = (read_json(file) or {}).get("ref")
        if isinstance(ref, str) and ref not in refs:
            refs.append(ref)
    return refs


def status_lines(
    paths: Paths, all_streams: Sequence[Stream], refs: Sequence[str], now: datetime
) -> list[str]:
    """Return what to print about each ref."""
    lines = []
    for ref in refs:
        try:
            stream = streams.stream_for(all_streams, ref)
            lines.append(f"{ref}  ({streams.directory_for(stream, ref)})")
        except StxMirrorError:
            lines.append(f"{ref}  (no stream builds it any more)")
        known = status.read(paths, ref, project_name(ref))
        lines += _running(read_json(paths.running(project_name(ref))), now)
        lines += _last(known.last_attempt, now)
        if known.last_success and known.last_success_finished:
            ago = _ago(known.last_success_finished, now)
            lines.append(f"  last good  {known.last_success}, {ago}")
        else:
            lines.append("  last good  none yet")
    return lines


def _running(running: dict[str, Any] | None, now: datetime) -> list[str]:
    if running is None:
        return []
    what = running["part"] or "the start"
    since = clock((now - parse_time(running["part_started"])).total_seconds())
    line = f"  running    {running['verb']}, in {what} for {since}"
    if running["part_expected_seconds"]:
        line += f" of about {clock(running['part_expected_seconds'])}"
    if running["expected_end"]:
        left = (parse_time(running["expected_end"]) - now).total_seconds()
        line += f", about {clock(left)} to the end"
    return [line, f"             started {running['started']}: {running['reason']}"]


def _last(attempt: Attempt | None, now: datetime) -> list[str]:
    if attempt is None:
        return ["  last run   none yet"]
    line = f"  last run   {attempt.result}, {_ago(attempt.finished, now)}"
    if attempt.id:
        line += f": {attempt.id}"
    if attempt.id and not attempt.published and attempt.result != NOTHING_NEW:
        line += " (not published)"
    lines = [line]
    if attempt.why:
        where = f"{attempt.failed_stage}: " if attempt.failed_stage else ""
        lines.append(f"             {where}{attempt.why}")
    return lines


def _ago(moment: str, now: datetime) -> str:
    seconds = max(0.0, (now - parse_time(moment)).total_seconds())
    if seconds < 3600:
        return f"{int(seconds // 60)} min ago"
    if seconds < 48 * 3600:
        return f"{int(seconds // 3600)} h ago"
    return f"{int(seconds // 86400)} days ago"
