"""A build, found by its id: its record, its profile, why it failed, how it is closed."""

from __future__ import annotations

import copy
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from build_host import ID, PROFILE, opened
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stxmirror import records
from stxmirror.builder import session as sessions
from stxmirror.builder.session import PartFailed, Session
from stxmirror.builder.stages import Limits, run_stages
from stxmirror.errors import StxMirrorError
from stxmirror.state.builds import close_unfinished
from stxmirror.state.events import Events
from stxmirror.state.files import read_json, write_json


@pytest.fixture
def session(paths, make_stream) -> Session:
    return opened(paths, make_stream())


def test_a_build_is_found_by_its_id(session):
    again = Session.load(session.paths, session.id)
    assert replace(again, make_sandbox=session.make_sandbox, stream=session.stream) == session
    assert dict(again.stream) == dict(session.stream)
    assert again.profile() == session.profile()
    assert again.context() is None


def test_a_build_that_is_not_known_is_named(paths):
    with pytest.raises(StxMirrorError, match=f"no record of a build {ID}"):
        Session.load(paths, ID)


def test_a_session_of_another_version_is_not_guessed_at(session):
    write_json(session.directory / "session.json", {"ref": "master"})
    with pytest.raises(StxMirrorError, match="of another version"):
        Session.load(session.paths, session.id)


def test_a_build_fails_until_it_is_closed(session):
    assert (session.record()["result"], session.record()["finished"]) == ("fail", None)
    closed = sessions.close_success(session)
    assert (closed["result"], session.record()) == ("success", closed)


def test_the_first_reason_that_a_part_gave_is_the_records(session):
    events = Events(session.paths.events("master"))
    with pytest.raises(PartFailed), session.part("collect"):
        raise PartFailed("two files are too much", ["a", "b"])
    closed = sessions.close_failure(session, "the task failed")
    assert (closed["failed_stage"], closed["excerpt"]) == ("collect", ["a", "b"])
    assert records.check(session.record()) == closed
    assert events.new()[-1] == {"event": "end", "part": "collect", "result": "failed"}


def test_a_stages_failure_has_the_stages_name(session):
    with pytest.raises(PartFailed), session.part("x"):
        raise PartFailed("exit code 1", part="packages")
    assert sessions.close_failure(session, "")["failed_stage"] == "packages"


def test_without_a_part_that_says_why_the_task_does(session):
    closed = sessions.close_failure(session, "no such role\nin line 3")
    assert (closed["failed_stage"], closed["excerpt"]) == ("open", ["no such role", "in line 3"])


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(28, "No space left on device"), "No space left"),
        (KeyError("projects"), "KeyError: 'projects'"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), "UnicodeDecodeError"),
    ],
)
def test_whatever_breaks_a_part_its_name_is_kept(session, error, words):
    with pytest.raises(type(error)), session.part("sync"):
        raise error
    failure = session.failure()
    assert failure.part == "sync"
    assert words in failure.why


def test_a_reason_in_another_encoding_can_be_read_again(session):
    session.fail("sync", PartFailed("caf\udce9: no such file"))
    assert session.failure().why == "caf?: no such file"


@pytest.mark.parametrize("close", [sessions.close_success, sessions.close_failure])
def test_a_clock_that_was_set_back_keeps_no_build_from_being_closed(session, monkeypatch, close):
    before = datetime.now(timezone.utc) - timedelta(days=30)
    monkeypatch.setattr(sessions, "now", lambda: before)
    arguments = [session] if close is sessions.close_success else [session, "x"]
    closed = close(*arguments)
    assert closed["finished"] == closed["started"]
    assert records.check(session.record()) == closed


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=()), max_size=8)
    | st.sampled_from(["a" * 40, "ok", "x" * 1001, "master/sample/20261101T020000Z"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)
SHA = "0123456789abcdef0123456789abcdef01234567"
STAGE = {
    "name": "packages",
    "command": ["build-pkgs"],
    "result": "ok",
    "started": None,
    "finished": None,
    "seconds": 0,
    "cpu_seconds": 0,
    "peak_memory_bytes": 0,
    "exit_code": None,
    "attempts": 1,
    "log": None,
}
CHANGE = {"path": "x", "from": None, "to": SHA, "commits": [{"sha": "feed", "subject": "x"}]}
FREE = {
    "changes": st.just([CHANGE]),
    "images": st.just(["x\n"]),
    "sanity": st.just({"boot": {"result": "odd"}}),
    "artifacts": st.just({"../x": {"files": 1, "bytes": 1}}),
    "missing": st.just([""]),
    "stages": st.lists(st.sampled_from([STAGE, {**STAGE, "result": "failed"}, {}]), max_size=3),
    "excerpt": st.lists(st.text(max_size=5), max_size=40),
    "iso": st.just({"path": "x", "size": 1, "sha256": "abc"}),
    "packages": st.just({"built": -1, "reused": 0}),
}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_a_failure_is_closed_whatever_tools_and_sources_wrote(session, data):
    fresh = {**copy.deepcopy(session.record()), "finished": None, "excerpt": [], "stages": []}
    free = {key: data.draw(JSON | usual) for key, usual in FREE.items()}
    write_json(session.directory / "build.json", {**fresh, **free})
    why = data.draw(st.text(st.characters(exclude_categories=())))
    if data.draw(st.booleans()):
        session.fail(data.draw(st.sampled_from(["sync", "packages"])), PartFailed(why))
    closed = sessions.close_failure(session, why)
    assert closed["result"] == "fail"
    assert records.check(read_json(session.directory / "build.json"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_so_is_a_build_that_was_killed(session, data):
    fresh = {**copy.deepcopy(session.record()), "result": "fail", "finished": None}
    fresh["failed_stage"] = None
    free = {key: data.draw(JSON | usual) for key, usual in FREE.items()}
    write_json(session.directory / "build.json", {**fresh, **free})
    when = datetime(2026, 11, 2, 3, 0, 0, tzinfo=timezone.utc)
    directory = session.id.rpartition("/")[0]
    closed = close_unfinished(session.paths, directory, why="killed", part="iso", now=when)
    assert closed == [session.id]
    record = records.check(read_json(session.directory / "build.json"))
    assert (record["result"], record["failed_stage"]) == ("fail", "iso")
    assert "killed" in record["excerpt"]


class Broken:
    """A sandbox that cannot be made."""

    def run(self, task):
        raise StxMirrorError("run-as-builder run failed: no name spaces")


def test_a_sandbox_that_cannot_be_made_fails_the_stage_that_needed_it(session):
    """Or nobody could resume the build there once the host is mended."""
    events = Events(session.paths.events("master"))
    broken = replace(session, make_sandbox=lambda *_: Broken())
    with pytest.raises(PartFailed, match="no name spaces") as failure:
        run_stages(broken, Limits(0, 0))
    assert failure.value.part == "packages"
    assert events.new()[-1] == {"event": "end", "part": "packages", "result": "failed"}


def test_what_is_left_out_of_a_failure_is_said(session):
    session.save({**session.record(), "changes": [CHANGE], "images": ["a/b:c"]})
    closed = sessions.close_failure(session, "x")
    assert (closed["changes"], closed["images"]) == ([], ["a/b:c"])
    assert "changes" in closed["excerpt"][-1]


@pytest.mark.parametrize("name", ["open", "sync", "sanity", "collect", "publish", "report"])
def test_a_stage_cannot_be_called_like_another_part(paths, make_stream, name):
    profile = {**PROFILE, "stages": [{**PROFILE["stages"][0], "name": name}]}
    with pytest.raises(StxMirrorError, match="rename the stage"):
        opened(paths, make_stream(), profile)


def test_a_stage_to_resume_from_has_to_be_in_the_profile(session):
    wrong = replace(session, from_stage="nosuch")
    with pytest.raises(StxMirrorError, match="packages, iso, sanity"):
        sessions.set_profile(wrong, PROFILE)
    for name in ("packages", "iso", "sanity"):
        sessions.set_profile(replace(session, from_stage=name), PROFILE)


def test_a_damaged_file_of_a_build_is_named(session):
    for name, read in (("profile.json", session.profile), ("build.json", session.record)):
        (session.directory / name).write_text("{")
        with pytest.raises(StxMirrorError, match=name):
            read()


def test_a_build_that_is_taken_back_leaves_nothing(session):
    session.workspace.mkdir(parents=True)
    sessions.discard(session)
    assert not session.directory.exists()
    assert not session.workspace.exists()


def test_a_resumed_build_that_is_taken_back_leaves_its_parents_workspace(session):
    session.workspace.mkdir(parents=True)
    sessions.discard(replace(session, parent=ID))
    assert session.workspace.is_dir()
