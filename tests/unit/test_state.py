"""The files of a build host that several programs read and write: events, status, JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from build_host import ID, NOW
from hypothesis import given
from hypothesis import strategies as st

from stxmirror import schema
from stxmirror.state import status
from stxmirror.state.events import Events, Reporter
from stxmirror.state.files import read_json, write_json
from stxmirror.state.status import Attempt


def test_a_file_is_replaced_as_a_whole(tmp_path):
    file = tmp_path / "a" / "b.json"
    write_json(file, {"a": 1})
    with pytest.raises(TypeError):
        write_json(file, {"a": object()})
    assert read_json(file) == {"a": 1}
    assert [entry.name for entry in file.parent.iterdir()] == ["b.json"]


def test_a_reader_keeps_what_it_has_opened(tmp_path):
    """The file is replaced, never written into."""
    file = tmp_path / "x"
    write_json(file, {"a": "old"})
    with file.open() as reader:
        write_json(file, {"a": "new"})
        assert json.load(reader) == {"a": "old"}


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    calls = []
    fsync, replace_file = os.fsync, Path.replace

    def synced(handle):
        place = Path(f"/proc/self/fd/{handle}").resolve()
        calls.append("directory" if place.is_dir() else place.read_text())
        fsync(handle)

    def named(path, target):
        calls.append(target.name)
        return replace_file(path, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", named)
    before = list(Path("/proc/self/fd").iterdir())
    write_json(tmp_path / "x.json", {})
    assert calls == ["{}\n", "x.json", "directory"]
    assert len(list(Path("/proc/self/fd").iterdir())) == len(before)
    assert (tmp_path / "x.json").stat().st_mode & 0o777 == 0o640


def test_what_cannot_be_written_leaves_nothing_behind(tmp_path, monkeypatch):
    (tmp_path / "x").mkdir()
    with pytest.raises(IsADirectoryError):
        write_json(tmp_path / "x", {})
    assert [entry.name for entry in tmp_path.iterdir()] == ["x"]
    replace_file = Path.replace

    def interrupted(path, target):
        replace_file(path, target)
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_json(tmp_path / "y", {"a": 1})
    assert read_json(tmp_path / "y") == {"a": 1}


def test_two_may_make_the_same_directory(tmp_path, monkeypatch):
    place, exists = tmp_path / "a", Path.exists
    place.mkdir()
    monkeypatch.setattr(Path, "exists", lambda path: path != place and exists(path))
    write_json(place / "x", {"a": 1})
    assert read_json(place / "x") == {"a": 1}


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_modes_do_not_depend_on_who_writes(tmp_path, umask):
    file = tmp_path / "a" / "b" / "x.json"
    before = os.umask(umask)
    try:
        write_json(file, {"b": [1], "a": "é"}, mode=0o644)
    finally:
        os.umask(before)
    assert file.read_text() == '{\n  "a": "é",\n  "b": [\n    1\n  ]\n}\n'
    assert file.stat().st_mode & 0o777 == 0o644
    assert file.parent.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("content", ["", "{", "[]", "\0", '"x"', "[" * 100_000])
def test_a_broken_file_counts_as_absent(tmp_path, content):
    (tmp_path / "x").write_text(content)
    assert read_json(tmp_path / "x") is None


@given(st.text(st.characters(exclude_categories=())))
def test_whatever_text_is_written_can_be_read_again(tmp_path_factory, text):
    """Names of files are what somebody's tools wrote, in whatever encoding."""
    file = tmp_path_factory.getbasetemp() / "text.json"
    write_json(file, {"a": text})
    found = read_json(file)
    assert found is not None
    assert len(found["a"]) == len(text)


def test_events_come_in_their_order_and_once(tmp_path):
    reporter = Reporter(tmp_path / "runner" / "events")
    events = Events(reporter.file)
    assert events.new() == []
    with reporter.part("open"):
        reporter.build(ID)
    assert [event["event"] for event in events.new()] == ["begin", "build", "end"]
    assert events.new() == []
    with pytest.raises(KeyError), reporter.part("sync"):
        raise KeyError
    assert events.new()[-1] == {"event": "end", "part": "sync", "result": "failed"}


def test_each_branch_has_events_of_its_own_that_its_group_reads(paths):
    before = os.umask(0o022)
    try:
        Reporter.of(paths, "f-x").begin("open")
    finally:
        os.umask(before)
    assert paths.events("f-x").stat().st_mode & 0o777 == 0o640
    assert not paths.events("master").exists()


def test_what_an_earlier_run_reported_is_over(tmp_path):
    reporter = Reporter(tmp_path / "events")
    reporter.begin("open")
    events = Events(reporter.file)
    assert events.new() == []
    reporter.begin("sync")
    assert [event["part"] for event in events.new()] == ["sync"]


def test_a_long_build_does_not_run_out_of_open_files(tmp_path):
    reporter = Reporter(tmp_path / "events")
    descriptors = Path("/proc/self/fd")
    before = list(descriptors.iterdir())
    for _ in range(9):
        reporter.note("x")
    assert len(list(descriptors.iterdir())) == len(before)


def test_half_a_line_is_read_when_it_is_whole(tmp_path):
    file = tmp_path / "events"
    events = Events(file)
    line = b'{"event": "begin", "part": "open"}\n'
    file.write_bytes(line + line[:9])
    assert len(events.new()) == 1
    with file.open("ab") as stream:
        stream.write(line[9:])
    assert events.new() == [{"event": "begin", "part": "open"}]


@pytest.mark.parametrize(
    "junk",
    [
        *(b'{"event": "no', b"3", b"[]", b"\xff", b'{"event": "begin"}', b'{"event": "moon"}'),
        *(b"{}", b'{"event": "end", "part": "open"}'),
    ],
)
def test_what_is_no_event_does_not_hide_the_next_one(tmp_path, junk):
    reporter = Reporter(tmp_path / "events")
    events = Events(reporter.file)
    reporter.begin("open")
    with reporter.file.open("ab") as stream:
        stream.write(junk + b"\n")
    reporter.begin("sync")
    assert [event["part"] for event in events.new()] == ["open", "sync"]


def test_writers_do_not_write_into_each_others_lines(tmp_path):
    """Modules of a build that run at the same time."""
    code = """
import pathlib, sys
from stxmirror.state.events import Reporter
reporter = Reporter(pathlib.Path(sys.argv[1]))
for number in range(300):
    reporter.note(sys.argv[2] * 500)
"""
    file = tmp_path / "events"
    events = Events(file)
    writers = [subprocess.Popen([sys.executable, "-c", code, str(file), word]) for word in "ab"]
    found = []
    while any(writer.poll() is None for writer in writers):
        found += events.new()
    found += events.new()
    assert sorted(event["text"] for event in found) == ["a" * 500] * 300 + ["b" * 500] * 300


def test_a_note_cannot_write_to_a_terminal(tmp_path):
    """It may quote the name of a file that a stage made."""
    reporter = Reporter(tmp_path / "events")
    events = Events(reporter.file)
    reporter.note("not collected: \x1b]0;owned\x07\nx\u2028y \udc80")
    (event,) = events.new()
    assert event["text"].isprintable()
    assert event["text"].startswith("not collected:")


def attempt(**changes) -> Attempt:
    made = Attempt(
        request="20261101T020000Z-0a1b2c",
        reason="on request",
        trigger="person",
        started="2026-11-01T02:00:00Z",
        finished="2026-11-01T02:10:00Z",
        result="success",
        id=ID,
        published=True,
    )
    return replace(made, **changes)


def last_good(paths, *attempts: Attempt) -> str | None:
    for each in attempts:
        status.write_attempt(paths, "master", "master", each)
        content = read_json(paths.status("master"))
        assert schema.findings(content, "status-1") == []
        assert content["last_attempt"] == asdict(each)
    return status.read(paths, "master", "master").last_success


def test_a_branch_that_never_ran_has_no_status(paths):
    found = status.read(paths, "f/x", "f-x")
    assert (found.ref, found.last_attempt, found.last_success) == ("f/x", None, None)


@pytest.mark.parametrize(
    "changes",
    [
        {"result": "fail", "failed_stage": "packages", "why": "x"},
        {"published": False, "unpublished_why": "no key"},
        {"result": "nothing-new", "id": None, "published": False},
        {"result": "fail", "id": None, "published": False, "failed_stage": "open", "why": "x"},
    ],
)
def test_only_a_success_that_readers_can_see_is_the_last_good_one(paths, changes):
    later = {"id": "master/sample/20261102T020000Z", **changes}
    assert last_good(paths, attempt(), attempt(**later)) == ID


def test_an_old_build_that_is_published_again_does_not_take_a_newer_ones_place(paths):
    new = "master/sample/20261102T020000Z"
    assert last_good(paths, attempt(id=new), attempt()) == new


def test_a_good_build_that_is_published_again_stays_the_last_good_one(paths):
    assert last_good(paths, attempt(), attempt(finished="2026-11-03T02:00:00Z")) == ID
    found = status.read(paths, "master", "master")
    assert found.last_success_finished == "2026-11-03T02:00:00Z"
    assert paths.status("master").stat().st_mode & 0o777 == 0o644


def test_a_branch_that_never_succeeded_has_no_last_good_build(paths):
    failed = attempt(result="fail", published=False, parent="master/sample/20261030T020000Z")
    assert last_good(paths, failed) is None
    assert status.read(paths, "master", "master").last_attempt == failed


def test_what_is_no_build_does_not_stay_the_last_good_one(paths):
    write_json(paths.status("master"), {"last_success": {"id": "x", "finished": "y"}})
    assert last_good(paths, attempt()) == ID


def test_a_status_says_which_branch_it_is_of(paths):
    status.write_attempt(paths, "f/x", "f-x", attempt())
    assert status.read(paths, "f-x", "f-x").ref == "f/x"
    assert status.now_text(NOW) == "2026-11-01T02:00:00Z"


def test_what_an_attempt_does_not_tell_has_not_happened(paths):
    short = {k: v for k, v in asdict(attempt()).items() if k not in ("published", "missing")}
    write_json(paths.status("master"), {"last_attempt": short})
    found = status.read(paths, "master", "master").last_attempt
    assert (found.published, found.missing) == (False, [])


@pytest.mark.parametrize("new", ["master/centos/20261102T020000Z", "feature/x/a/20261102T020000Z"])
def test_a_stream_that_moved_to_another_directory_goes_on_from_its_newest_build(paths, new):
    """As names, the new ids come before the old one."""
    assert last_good(paths, attempt(), attempt(id=new)) == new


def test_a_status_of_before_is_read(paths):
    """It had an empty text for no parent, and keys that went since."""
    content = {**asdict(attempt()), "parent": "", "gone": 1}
    write_json(paths.status("master"), {"last_attempt": content, "last_success": None})
    assert status.read(paths, "master", "master").last_attempt == attempt()


@pytest.mark.parametrize("content", [3, [], {}, {"request": "x"}, "x"])
def test_an_attempt_that_is_not_whole_is_none(paths, content):
    write_json(paths.status("master"), {"last_attempt": content, "last_success": content})
    found = status.read(paths, "master", "master")
    assert (found.last_attempt, found.last_success) == (None, None)
