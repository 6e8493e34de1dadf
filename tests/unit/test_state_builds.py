"""The records of a build host: found by the names of directories, read, and closed."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from build_host import ID, record

from stxmirror.errors import StxMirrorError
from stxmirror.state import builds
from stxmirror.state.builds import close_unfinished, dated
from stxmirror.state.files import read_json, write_json

LATER = datetime(2026, 11, 1, 3, 0, tzinfo=timezone.utc)


def unfinished(paths, good_record, date="20261101T020000Z", **changes):
    values = {"finished": None, "failed_stage": None, "started": "2026-11-01T02:00:00Z", **changes}
    return record(paths, good_record, id=f"master/sample/{date}", **values)["id"]


def close(paths, part="iso"):
    return close_unfinished(paths, "master/sample", why="it was killed", part=part, now=LATER)


def test_builds_are_real_directories_with_a_date_for_a_name(tmp_path):
    for name in ("20261102T020000Z", "20261101T020000Z", "20261399T020000Z", "notes"):
        (tmp_path / name).mkdir()
    (tmp_path / "20261103T020000Z").write_text("")
    (tmp_path / "20261104T020000Z").symlink_to(tmp_path / "notes")
    assert dated(tmp_path) == ["20261101T020000Z", "20261102T020000Z"]
    assert dated(tmp_path / "nosuch") == []


def test_a_record_is_read_or_named(paths, good_record):
    made = record(paths, good_record)
    assert builds.read_record(paths, ID) == made
    with pytest.raises(StxMirrorError, match=f"no record of a build {ID[:-2]}1Z"):
        builds.read_record(paths, f"{ID[:-2]}1Z")


def test_logs_are_where_the_build_said(paths):
    assert builds.logs_of(paths, ID) == ""
    write_json(paths.session(ID), {"logs": None})
    assert builds.logs_of(paths, ID) == ""
    write_json(paths.session(ID), {"logs": "/l"})
    assert builds.logs_of(paths, ID) == "/l"


def test_all_that_ended_without_a_verdict_are_closed_the_oldest_first(paths, good_record):
    ids = [unfinished(paths, good_record, f"2026110{day}T020000Z") for day in (3, 1, 2)]
    paths.record(ids[0]).write_text("{broken")
    assert close(paths) == [ids[1], ids[2]]
    assert close(paths) == []
    for build_id in ids[1:]:
        assert paths.record(build_id).stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    ("known", "part", "named"),
    [("packages", "iso", "packages"), (None, "iso", "iso"), (None, None, "open")],
)
def test_the_part_that_failed_is_the_nearest_that_is_known(paths, good_record, known, part, named):
    build_id = unfinished(paths, good_record, failed_stage=known)
    assert close(paths, part) == [build_id]
    assert read_json(paths.record(build_id))["failed_stage"] == named


@pytest.mark.parametrize(
    ("excerpt", "lines"), [(["a line", 7, None], ["a line"]), ("text", []), (None, [])]
)
def test_what_a_killed_build_left_of_its_excerpt_is_kept(paths, good_record, excerpt, lines):
    build_id = unfinished(paths, good_record, excerpt=excerpt)
    assert close(paths) == [build_id]
    closed = read_json(paths.record(build_id))
    assert closed["excerpt"] == [*lines, "it was killed"]
    assert (closed["result"], closed["finished"]) == ("fail", "2026-11-01T03:00:00Z")


def test_a_record_of_another_version_stops_no_other_from_being_closed(paths, good_record):
    other = "master/sample/20261031T020000Z"
    write_json(paths.record(other), {"schema": 99, "started": 3})
    build_id = unfinished(paths, good_record)
    assert close(paths) == [build_id]
    assert read_json(paths.record(other)) == {"schema": 99, "started": 3}
