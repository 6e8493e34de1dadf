"""How a run ended, as its status says it."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
from build_host import opened

from stxmirror import schema
from stxmirror.builder import reporting
from stxmirror.builder import session as sessions
from stxmirror.builder.mirror import MirrorError, Published, Way
from stxmirror.builder.reporting import Run
from stxmirror.builder.session import PartFailed, Session
from stxmirror.state import status
from stxmirror.state.status import Attempt


class MirrorThat:
    """Stands for the mirror: takes a build, or says why not."""

    way = Way("mirror", 22, "incoming", "key", "known_hosts", ["mirrorctl"], "", 1, 1)

    def __init__(self, refuses: str = "") -> None:
        self.refuses = refuses

    def publish(self, build_id: str, tree: object) -> Published:
        if self.refuses:
            raise MirrorError(self.refuses)
        return Published({"alias": {}}, 1, 1, 0)


@pytest.fixture
def session(paths, make_stream) -> Session:
    return opened(paths, make_stream())


@pytest.fixture
def report(paths):
    """Report a run; what is written is what the schema says, and what is read again."""

    def report(session: Session | None, **changes) -> Attempt:
        run = Run(
            request="20261101T020000Z-0a1b2c",
            started="2026-11-01T02:00:00Z",
            ref="master",
            reason="on request",
            trigger="person",
            id=session.id if session else "",
        )
        made = reporting.report(paths, Run(**{**asdict(run), **changes}))
        content = json.loads(paths.status("master").read_text())
        assert schema.findings(content, "status-1") == []
        assert status.read(paths, "master", "master").last_attempt == made
        return made

    return report


def last_good(session: Session) -> str | None:
    return status.read(session.paths, "master", "master").last_success


def fail(session: Session, why: str = "exit code 1") -> None:
    session.fail("packages", PartFailed(why, ["no rule to make target"]))
    sessions.close_failure(session, "the task failed")


def test_a_success_that_is_published_is_the_last_good_build(session, report):
    sessions.close_success(session)
    reporting.publish(session, MirrorThat())
    attempt = report(session)
    assert (attempt.result, attempt.published, attempt.why) == ("success", True, "")
    assert (attempt.failed_stage, attempt.unpublished_why, attempt.parent) == (None, "", None)
    assert last_good(session) == session.id


def test_a_success_that_the_mirror_does_not_have_says_why(session, report):
    sessions.close_success(session)
    with pytest.raises(MirrorError):
        reporting.publish(session, MirrorThat("the mirror does not answer"))
    attempt = report(session)
    assert (attempt.result, attempt.published) == ("success", False)
    assert attempt.unpublished_why == "the mirror does not answer"
    assert last_good(session) is None


def test_published_again_it_is_good_after_all(session, report):
    sessions.close_success(session)
    with pytest.raises(MirrorError):
        reporting.publish(session, MirrorThat("down"))
    reporting.publish(session, MirrorThat())
    assert report(session).unpublished_why == ""
    assert last_good(session) == session.id


def test_a_success_that_never_came_to_its_publication_says_why(session, report):
    sessions.close_success(session)
    attempt = report(session, why="role publish is not there")
    assert (attempt.published, attempt.unpublished_why) == (False, "role publish is not there")


def test_a_failure_that_is_published_says_what_its_part_said(session, report):
    fail(session)
    reporting.publish(session, MirrorThat())
    attempt = report(session, why="the task failed")
    assert (attempt.result, attempt.published) == ("fail", True)
    assert (attempt.failed_stage, attempt.why) == ("packages", "exit code 1")
    assert last_good(session) is None


def test_a_failure_that_is_not_published_keeps_both_reasons(session, report):
    fail(session)
    with pytest.raises(MirrorError):
        reporting.publish(session, MirrorThat("no key"))
    attempt = report(session)
    assert (attempt.why, attempt.unpublished_why) == ("exit code 1", "no key")


def test_nothing_new_names_what_nothing_has_changed_since(session, report):
    sessions.close_success(session)
    reporting.publish(session, MirrorThat())
    report(session)
    attempt = report(None, id="master/sample/20990101T020000Z", nothing_new=True)
    assert (attempt.result, attempt.id, attempt.failed_stage) == ("nothing-new", None, None)
    assert session.id in attempt.why
    assert last_good(session) == session.id


def test_a_run_that_became_no_build_failed_when_it_was_opened(report):
    attempt = report(None, why="not enough room")
    assert (attempt.result, attempt.id, attempt.failed_stage) == ("fail", None, "open")
    assert attempt.why == "not enough room"


def test_a_resumed_build_names_its_parent(paths, make_stream, session, report):
    session.workspace.mkdir(parents=True)
    (session.directory / "CONTEXT").write_text("")
    fail(session)
    child = opened(paths, make_stream(), resume_id=session.id, from_stage="packages")
    fail(child)
    assert report(child).parent == session.id


def test_what_a_success_lacks_is_in_the_status(session, report):
    session.save({**session.record(), "missing": ["container images"]})
    sessions.close_success(session)
    assert report(session).missing == ["container images"]


def test_a_reason_that_a_build_wrote_is_one_line_that_a_terminal_may_show(session, report):
    fail(session, "\x1b]0;owned\x07 x\nsecond\u2028line" + "y" * 5000)
    attempt = report(session)
    assert attempt.why.isprintable()
    assert len(attempt.why) <= 1000


def test_a_build_that_was_never_closed_is_no_success(session, report):
    attempt = report(session)
    assert (attempt.result, attempt.why) == ("fail", "")
    assert report(session, why="the host was shut down").why == "the host was shut down"


def test_a_failure_whose_reason_is_lost_is_told_by_the_end_of_its_excerpt(session, report):
    session.save({**session.record(), "excerpt": ["a line", "it was killed"]})
    assert report(session).why == "it was killed"
    assert report(session, why="the task failed").why == "the task failed"


def test_whoever_publishes_learns_what_the_mirror_said(session):
    sessions.close_success(session)
    assert reporting.publish(session, MirrorThat()) == Published({"alias": {}}, 1, 1, 0)
