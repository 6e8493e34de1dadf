"""Opening a build: what is refused before anything is touched, and the ids of builds."""

from __future__ import annotations

import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from build_host import asked, opened

from stxmirror import records, streams
from stxmirror.builder import opening
from stxmirror.builder import session as sessions
from stxmirror.builder.opening import open_build
from stxmirror.builder.session import Session
from stxmirror.errors import StxMirrorError
from stxmirror.layout import BuildId
from stxmirror.state import status
from stxmirror.state.files import write_json
from stxmirror.state.status import Attempt
from stxmirror.times import format_time, parse_build_date


@pytest.fixture
def facts(make_stream):
    return streams.facts_for([make_stream(), make_stream(name="f", match="f/*")], "master")


@pytest.fixture
def refused(paths, facts):
    """Ask for a build that must not be opened; return why not, and make sure of nothing left."""

    def refuse(**changes) -> str:
        def everything() -> set[Path]:
            return set(paths.state.rglob("*")) | set(paths.localdisk.rglob("*"))

        before = everything()
        with pytest.raises(StxMirrorError) as refusal:
            open_build(paths, facts, asked(**changes))
        assert everything() == before
        assert "\n" not in str(refusal.value)
        return str(refusal.value)

    return refuse


def test_a_new_build_has_a_record_that_says_fail(paths, facts):
    session = open_build(paths, facts, asked(reason="nightly", trigger="cron"))
    record = records.check(session.record(), finished=False)
    assert record["id"] == session.id == f"master/sample/{session.workspace.name}"
    assert (record["result"], record["finished"]) == ("fail", None)
    assert (record["reason"], record["trigger"]) == ("nightly", "cron")
    assert record["manifest"]["branch"] == "master"
    assert (record["parent"], record["from_stage"], record["previous_good"]) == (None,) * 3
    assert session.workspace.parent == paths.workspaces("master")
    assert (record["stream"], record["ref"], record["profile"]) == ("master", "master", "sample")
    began = parse_build_date(session.workspace.name)
    assert record["started"] == format_time(began)


@pytest.fixture
def known_hosts(tmp_path) -> str:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    public = key.with_suffix(".pub").read_text()
    file = tmp_path / "known_hosts"
    file.write_text(f"mirror.example.org {public}[fd00::1]:2222 {public}")
    return str(file)


@pytest.mark.parametrize("mirror", ["mirror.example.org", "[fd00::1]:2222", ""])
def test_a_mirror_that_is_known_is_no_hindrance(paths, facts, known_hosts, mirror, capfd):
    open_build(paths, facts, asked(mirror=mirror, known_hosts=known_hosts))
    # A module of Ansible answers on its standard output, and nothing else may be there.
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("mirror", ["other.example.org", "[mirror.example.org]:2222", "fd00::1"])
def test_a_mirror_that_is_not_known_is_refused_now_not_at_the_end(refused, known_hosts, mirror):
    words = refused(mirror=mirror, known_hosts=known_hosts)
    assert f"this host knows no mirror {mirror}" in words
    assert "publish_host" in words


def test_a_missing_file_of_hosts_knows_nobody(refused, tmp_path):
    assert "knows no mirror" in refused(mirror="m", known_hosts=str(tmp_path / "nosuch"))


def test_no_room_is_said_once_for_a_file_system(refused, paths):
    words = refused(min_free_bytes=10**18)
    assert words.count(str(paths.localdisk)) == 1
    assert "it takes 1000000000000 MB" in words
    assert "stx-mirror prune" in words


def test_each_place_that_is_short_of_room_is_named(refused, paths, facts, monkeypatch):
    room = {"designer": 5_999_999, "loadbuild": 10_000_000, "publish": 9_999_999}
    monkeypatch.setattr(opening, "free_bytes", lambda place: room[place.name])
    words = refused(min_free_bytes=10_000_000)
    designer, tree = paths.localdisk / "designer", paths.localdisk / "publish"
    assert f"to begin a build: {designer} has 5 MB, {tree} has 9 MB; it takes 10 MB." in words
    monkeypatch.setattr(opening, "free_bytes", lambda place: 10_000_000)
    assert open_build(paths, facts, asked(min_free_bytes=10_000_000)).id


def test_ids_follow_each_other_within_one_second(paths, facts):
    dates = [BuildId.parse(open_build(paths, facts, asked()).id).build_date for _ in range(3)]
    assert dates == sorted(set(dates))


def test_a_clock_that_is_behind_is_named(refused, paths):
    later = f"{datetime.now(timezone.utc) + timedelta(hours=1):%Y%m%dT%H%M%SZ}"
    (paths.builds / "master/sample" / later).mkdir(parents=True)
    words = refused()
    assert f"there is a build of {later} already" in words
    assert "set the clock right" in words


def test_a_workspace_without_a_record_keeps_its_date_too(refused, paths):
    later = f"{datetime.now(timezone.utc) + timedelta(hours=1):%Y%m%dT%H%M%SZ}"
    (paths.workspaces("master") / later).mkdir(parents=True)
    assert later in refused()


def good(paths, build_id: str) -> None:
    attempt = Attempt(
        request="20261101T020000Z-0a1b2c",
        reason="x",
        trigger="person",
        started="2026-11-01T02:00:00Z",
        finished="2026-11-01T02:10:00Z",
        result="success",
        id=build_id,
        published=True,
    )
    status.write_attempt(paths, "master", "master", attempt)


def test_a_build_is_compared_with_the_last_good_one(paths, facts):
    first = open_build(paths, facts, asked())
    assert open_build(paths, facts, asked()).previous_good is None
    good(paths, first.id)
    second = open_build(paths, facts, asked())
    assert second.previous_good == second.record()["previous_good"] == first.id


def test_a_last_good_build_without_a_record_is_none(paths, facts):
    good(paths, "master/sample/20250101T020000Z")
    assert open_build(paths, facts, asked()).previous_good is None


@pytest.fixture
def parent(paths, make_stream) -> Session:
    """A build that failed in its packages."""
    session = opened(paths, make_stream())
    session.workspace.mkdir(parents=True)
    (session.directory / "CONTEXT").write_text("")
    session.fail("packages", StxMirrorError("exit code 1"))
    sessions.close_failure(session, "")
    return session


def test_a_resumed_build_has_a_new_id_and_its_parents_workspace(paths, facts, parent):
    child = open_build(paths, facts, asked(resume_id=parent.id, from_stage="packages"))
    assert child.id > parent.id
    assert child.workspace == parent.workspace
    assert (child.parent, child.from_stage) == (parent.id, "packages")
    record = child.record()
    assert (record["parent"], record["from_stage"]) == (parent.id, "packages")
    # And what failed again can be resumed again.
    (child.directory / "CONTEXT").write_text("")
    sessions.close_failure(child, "x")
    grandchild = open_build(paths, facts, asked(resume_id=child.id, from_stage="packages"))
    assert grandchild.workspace == parent.workspace


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (
            lambda p: p.save({**p.record(), "ref": "f/x"}),
            "it is a build of f/x, not of master",
        ),
        (lambda p: p.save({**p.record(), "finished": None}), "it has not ended"),
        (lambda p: p.workspace.rmdir(), "is gone"),
        (lambda p: (p.directory / "CONTEXT").unlink(), "before its sources were complete"),
        (
            lambda p: (p.workspace.parent / "20990101T020000Z").mkdir(),
            "20990101T020000Z was begun since",
        ),
        (lambda p: (p.directory / "build.json").unlink(), "no record of a build"),
        (lambda p: write_json(p.directory / "session.json", {}), "of another version"),
    ],
)
def test_what_cannot_be_resumed_is_refused_with_its_reason(refused, parent, harm, words):
    harm(parent)
    assert words in refused(resume_id=parent.id, from_stage="packages")


def test_resuming_says_what_to_type_instead(refused, parent):
    parent.workspace.rmdir()
    assert "stx-mirror build master" in refused(resume_id=parent.id, from_stage="packages")
    assert "no stage to go on from" in refused_without_stage(refused, parent)


def refused_without_stage(refused, parent: Session) -> str:
    parent.workspace.mkdir()
    return refused(resume_id=parent.id)


def test_three_seconds_are_waited_for_a_clock_no_longer(refused, paths, monkeypatch):
    later = f"{datetime.now(timezone.utc) + timedelta(days=1):%Y%m%dT%H%M%SZ}"
    (paths.builds / "master/sample" / later).mkdir(parents=True)
    slept = []
    monkeypatch.setattr(opening.time, "sleep", slept.append)
    refused()
    assert sum(slept) <= 3
