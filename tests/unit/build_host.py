"""A build host's records and sessions, for the tests of what runs there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from unconfined import unconfined

from stxmirror import streams
from stxmirror.builder.opening import Asked, open_build
from stxmirror.builder.session import Session, set_profile
from stxmirror.state.files import write_json

NOW = datetime(2026, 11, 1, 2, 0, 0, tzinfo=timezone.utc)
ID = "master/sample/20261101T020000Z"

PROFILE = {
    "name": "sample",
    "description": "x",
    "stages": [
        {"name": "packages", "command": ["true"], "time_limit": 60},
        {"name": "iso", "command": ["true"], "time_limit": 60},
    ],
}


def record(paths, make_record, **changes):
    """Keep a record of a build that failed in its packages, unless ``changes`` say otherwise."""
    made = {**make_record, "id": ID, "result": "fail", "failed_stage": "packages", **changes}
    write_json(paths.record(made["id"]), made)
    return made


def asked(**changes: Any) -> Asked:
    """Return what a person asks for."""
    return Asked(**{"ref": "master", "reason": "on request", "trigger": "person", **changes})


def opened(
    paths, entry: Mapping[str, Any], profile: Mapping[str, Any] | None = None, **changes: Any
) -> Session:
    """Open a build of the stream ``entry``, with a profile, in a sandbox that confines nothing."""
    wanted = asked(**changes)
    session = open_build(paths, streams.facts_for([entry], wanted.ref), wanted)
    session = replace(session, make_sandbox=unconfined(paths))
    set_profile(session, profile or PROFILE)
    return session
