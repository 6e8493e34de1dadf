"""What the mirror says of earlier builds decides what the next one is compared with."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace

import backdated
import pytest
from build_host import opened
from mirror_over_ssh import PROJECT, Mirror

from stxmirror import schema
from stxmirror.builder import mirror_state, reporting
from stxmirror.builder import session as sessions
from stxmirror.builder.mirror import Mirror as Client
from stxmirror.builder.mirror import MirrorError, Way
from stxmirror.builder.reporting import Run
from stxmirror.builder.session import Session
from stxmirror.controller import unit
from stxmirror.controller.request import Request
from stxmirror.state import status
from stxmirror.state.files import write_json
from stxmirror.state.status import Status


@pytest.fixture
def way(mirror: Mirror) -> Way:
    return Way(program=["mirrorctl"], config="", attempts=1, delay=0.1, **mirror.way())


@pytest.fixture
def good_build(paths, make_stream, way) -> Callable[..., Session]:
    """Open a build, close it as a success and bring it to the mirror."""

    def make(**changes) -> Session:
        session = opened(paths, make_stream(), **changes)
        sessions.close_success(session)
        backdated.make_build(session.tree, session.id)
        reporting.publish(session, Client(way, lambda text: None))
        report(session)
        return session

    return make


def report(session: Session) -> None:
    run = Run("20261101T020000Z-0a1b2c", "2026-11-01T02:00:00Z", "master", "x", "cron", session.id)
    reporting.report(session.paths, run)


def admin(mirror: Mirror, *words: str) -> None:
    command = [*mirror.program, "--config", str(mirror.config), *words]
    subprocess.run(command, check=True, capture_output=True, cwd=PROJECT)


def known(paths) -> Status:
    content = json.loads(paths.status("master").read_text())
    assert schema.findings(content, "status-1") == []
    return status.read(paths, "master", "master")


def notes(paths) -> list[str]:
    """What whoever follows the build was told."""
    events = [json.loads(line) for line in paths.events("master").read_text().splitlines()]
    return [event["text"] for event in events if event["event"] == "note"]


def test_after_a_withdrawal_the_build_before_is_the_last_good_one(
    mirror, paths, make_stream, good_build
):
    one, two = good_build(), good_build()
    assert known(paths).last_success == two.id
    admin(mirror, "withdraw", two.id, "--reason", "carries a key")
    three = opened(paths, make_stream())
    assert three.previous_good == three.record()["previous_good"] == one.id
    assert known(paths).last_success == one.id
    assert known(paths).last_success_finished == one.record()["finished"]
    assert notes(paths) == [
        f"{two.id} was withdrawn from the mirror (carries a key)",
        f"the last good build is {one.id}",
    ]
    admin(mirror, "withdraw", one.id, "--reason", "this one, too")
    assert opened(paths, make_stream()).previous_good is None
    assert known(paths).last_success is None


def test_a_mirror_that_has_what_is_known_changes_nothing(paths, make_stream, good_build):
    one = good_build()
    before = paths.status("master").read_text()
    assert opened(paths, make_stream()).previous_good == one.id
    assert paths.status("master").read_text() == before
    assert notes(paths) == []


def test_a_mirror_that_is_down_stops_no_build_and_is_named(mirror, paths, make_stream, good_build):
    one = good_build()
    mirror.stop()
    assert opened(paths, make_stream()).previous_good == one.id
    (note,) = notes(paths)
    assert "the mirror was not asked for earlier builds: the mirror does not answer" in note
    assert note.endswith(f"{one.id} counts as last good")


def test_a_mirror_of_an_older_version_stops_no_build(mirror, paths, make_stream, good_build):
    one = good_build()
    keys = mirror.base / "authorized_keys"
    refuses = "echo 'mirrorctl: this key lets you run others' >&2; exit 2; "
    keys.write_text(keys.read_text().replace('command="', f'command="{refuses}'))
    assert opened(paths, make_stream()).previous_good == one.id
    assert "this key lets you run others" in notes(paths)[0]


def test_a_mirror_made_anew_has_no_last_good_build(mirror, paths, make_stream, good_build):
    one = good_build()
    for name in ("public", "state"):
        subprocess.run(["rm", "-rf", mirror.store / name], check=True)
        (mirror.store / name).mkdir()
    assert opened(paths, make_stream()).previous_good is None
    assert notes(paths)[0] == f"the mirror does not have {one.id} any more"


def cut_off(session: Session, way: Way) -> Request:
    """Publish, and be stopped before that was written down."""
    backdated.make_build(session.tree, session.id)
    sessions.close_success(session)
    with pytest.raises(MirrorError):
        reporting.publish(session, Client(replace(way, key="nokey"), lambda text: None))
    write_json(session.paths.way, way.__dict__)
    Client(way, lambda text: None).publish(session.id, session.tree)
    request = Request("20261102T020000Z-0a1b2c", "2026-11-02T02:00:00Z", "build", "master", "x")
    running = {"request": request.token, "directory": "master/sample", "id": session.id}
    write_json(session.paths.running("master"), {**running, "part": "publish"})
    return request


def test_a_publication_that_was_stopped_and_came_through_is_a_success(
    paths, make_stream, good_build, way, capsys
):
    good_build()
    session = opened(paths, make_stream())
    assert unit.stopped(paths, cut_off(session, way), "success") == 0
    attempt = known(paths).last_attempt
    assert (attempt.id, attempt.result, attempt.published) == (session.id, "success", True)
    assert (attempt.why, attempt.unpublished_why, attempt.failed_stage) == ("", "", None)
    assert known(paths).last_success == session.id
    said = capsys.readouterr().out
    assert f"{session.id} was published after all" in said
    assert "SUCCESS after" in said


def test_where_the_mirror_does_not_answer_then_the_next_build_asks(
    mirror, paths, make_stream, good_build, way
):
    good_build()
    session = opened(paths, make_stream())
    request = cut_off(session, way)
    mirror.stop()
    unit.stopped(paths, request, "success")
    attempt = known(paths).last_attempt
    assert (attempt.result, attempt.published) == ("fail", False)
    assert "publish it again to be sure" in attempt.unpublished_why
    mirror.start()
    assert opened(paths, make_stream()).previous_good == session.id
    assert known(paths).last_attempt.published


def test_a_status_that_names_no_build_stops_nothing(paths, make_stream, good_build):
    one = good_build()
    content = json.loads(paths.status("master").read_text())
    content["last_success"]["id"] = "../../etc"
    write_json(paths.status("master"), content)
    mirror_state.compare(paths, "master", "master/sample", lambda text: None)
    assert known(paths).last_success == one.id
