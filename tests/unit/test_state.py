"""The files of a build host that several programs read and write: events, status, JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, replace

import pytest
from build_host import ID
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
    [b'{"event": "no', b"3", b"[]", b"\xff", b'{"event": "begin"}', b'{"event": "moon"}', b"{}"],
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
