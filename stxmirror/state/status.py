"""``status/<project>.json``: how the last run of a branch ended, and its last good build.

This module is its only author; ``schemas/status-1.schema.json`` says what it may hold.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any

from stxmirror.errors import StxMirrorError
from stxmirror.layout import BuildId
from stxmirror.names import Result
from stxmirror.state.files import read_json, write_json
from stxmirror.state.paths import Paths
from stxmirror.times import format_time

SCHEMA = 1


@dataclass(frozen=True)
class Attempt:
    """How one run ended; times are UTC, as JSON has them.

    ``request`` names the run. ``id`` is ``None`` for a run that became no build, ``parent`` the
    build that it resumed.
    """

    request: str
    reason: str
    trigger: str
    started: str
    finished: str
    result: Result
    id: str | None = None
    parent: str | None = None
    failed_stage: str | None = None
    why: str = ""
    missing: list[str] = field(default_factory=list)
    published: bool = False
    unpublished_why: str = ""

    @classmethod
    def read(cls, content: Any) -> Attempt | None:
        """Return the attempt in a status file, ``None`` where there is none that is whole."""
        if not isinstance(content, dict):
            return None
        known = {item.name for item in fields(cls)}
        values = {key: value for key, value in content.items() if key in known}
        try:
            return cls(**{**values, "parent": values.get("parent") or None})
        except TypeError:
            return None


@dataclass(frozen=True)
class Status:
    """The state of one branch: its last run, and its last build that readers can see."""

    ref: str
    last_attempt: Attempt | None = None
    last_success: str | None = None
    last_success_finished: str | None = None


def read(paths: Paths, ref: str, project: str) -> Status:
    """Return the status of a branch; empty if it never ran."""
    content = read_json(paths.status(project)) or {}
    good = content.get("last_success")
    if not isinstance(good, dict):
        good = {}
    return Status(
        ref=str(content.get("ref") or ref),
        last_attempt=Attempt.read(content.get("last_attempt")),
        last_success=good.get("id"),
        last_success_finished=good.get("finished"),
    )


def write_attempt(paths: Paths, ref: str, project: str, attempt: Attempt) -> None:
    """Write how a run ended.

    Only what is on the mirror becomes the last success: what the next build is compared with,
    readers can see too. An old build that is published again does not take a newer one's place.
    """
    before = read(paths, ref, project)
    good = before.last_success, before.last_success_finished
    if (
        attempt.result == "success"
        and attempt.published
        and attempt.id is not None
        and _is_newer(attempt.id, before.last_success)
    ):
        good = attempt.id, attempt.finished
    write(paths, project, Status(ref, attempt, *good))


def write(paths: Paths, project: str, status: Status) -> None:
    """Replace the status of a branch; only for whoever holds the stream's lock."""
    good = None
    if status.last_success:
        good = {"id": status.last_success, "finished": status.last_success_finished}
    attempt = asdict(status.last_attempt) if status.last_attempt else None
    write_json(
        paths.status(project),
        {"schema": SCHEMA, "ref": status.ref, "last_attempt": attempt, "last_success": good},
        mode=0o644,
    )


def _is_newer(build_id: str, other: str | None) -> bool:
    """Whether a build began after another one, or is that one.

    By their dates: a stream that got another distribution or layer has another directory.
    """
    try:
        return other is None or BuildId.parse(build_id).when >= BuildId.parse(other).when
    except StxMirrorError:
        return True  # what was there is no build


def now_text(now: datetime) -> str:
    """Return an aware moment as the status has it."""
    return str(format_time(now))
