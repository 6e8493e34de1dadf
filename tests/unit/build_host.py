"""A build host's records, for the tests of what runs there."""

from __future__ import annotations

from datetime import datetime, timezone

from stxmirror.controller import state

NOW = datetime(2026, 11, 1, 2, 0, 0, tzinfo=timezone.utc)
ID = "master/sample/20261101T020000Z"


def record(paths, make_record, **changes):
    """Keep a record of a build that failed in its packages, unless ``changes`` say otherwise."""
    made = {**make_record, "id": ID, "result": "fail", "failed_stage": "packages", **changes}
    state.write_json(state.record_path(paths, made["id"]), made)
    return made
