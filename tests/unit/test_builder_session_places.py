"""Where a build keeps what, and what its parts, its sandbox and its readers get to see of it."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from build_host import PROFILE, opened

from stxmirror.builder import session as sessions
from stxmirror.builder.session import PartFailed, Session
from stxmirror.errors import StxMirrorError
from stxmirror.state.builds import logs_of

KEPT = "master/sample/20261030T020000Z"


@pytest.fixture
def session(paths, make_stream) -> Session:
    return opened(paths, make_stream())


def test_where_a_build_keeps_what(session, paths):
    date = session.id.rpartition("/")[2]
    workspace = paths.workspaces("master") / date
    assert (session.project, session.workspace, session.ref) == ("master", workspace, "master")
    assert session.directory == paths.build(session.id)
    assert session.sources == paths.sources("master")
    assert session.logs == workspace / "logs"
    assert session.tree == paths.trees / session.id
    assert session.context_file == session.directory / "CONTEXT"
    assert session.roots == [workspace, session.sources, paths.downloads("master")]
    assert session.profile_roots == [str(workspace), str(session.sources), str(paths.inputs)]
    assert logs_of(paths, session.id) == str(session.logs)
    assert logs_of(paths, KEPT) == ""
    assert sessions.build_date(session.id) == date


def test_a_build_takes_over_what_one_build_kept_or_nothing(session, paths):
    assert (session.kept, session.kept_tree) == ("", None)
    assert replace(session, kept=KEPT).kept_tree == paths.kept / KEPT


def test_a_sandbox_is_that_of_the_stream_its_workspace_and_what_was_kept(session, paths):
    asked = []
    replace(session, kept=KEPT, make_sandbox=lambda *given: asked.append(given)).sandbox  # noqa: B018
    assert asked == [(paths.run_as_builder, "master", session.workspace.name, KEPT)]


def test_everybody_may_read_a_record(session):
    for close in (sessions.close_success, lambda it: sessions.close_failure(it, "x")):
        close(session)
        assert session.paths.record(session.id).stat().st_mode & 0o777 == 0o644


def test_a_context_is_there_once_the_sources_are_complete(session):
    assert session.context() is None
    session.context_file.write_text("x\n")
    assert session.context() == "x\n"


def test_a_stage_that_is_already_named_stays_the_one_that_failed(session):
    session.fail("collect", PartFailed("no room"))
    session.save({**session.record(), "failed_stage": "packages"})
    assert sessions.close_failure(session, "x")["failed_stage"] == "packages"


def test_a_part_that_ends_well_leaves_no_reason(session):
    with session.part("collect"):
        pass
    assert session.failure() is None
    with pytest.raises(PartFailed), session.part("collect"):
        raise PartFailed("first\nsecond")
    assert session.failure() == sessions.Failure("collect", "first\nsecond", ["first", "second"])


def test_a_build_needs_both_its_record_and_its_session(session):
    session.paths.record(session.id).unlink()
    with pytest.raises(StxMirrorError, match="no record of a build"):
        Session.load(session.paths, session.id)


def test_a_record_without_a_session_is_no_build(session):
    session.paths.session(session.id).unlink()
    with pytest.raises(StxMirrorError, match="no record of a build"):
        Session.load(session.paths, session.id)


def test_a_failure_is_told_by_its_sentence_alone():
    assert str(PartFailed("no room", ["a line"], part="iso")) == "no room"


def test_every_stage_and_the_checks_of_the_iso_can_be_resumed_from(session):
    for name in ("packages", "iso", "sanity"):
        sessions.set_profile(replace(session, from_stage=name), PROFILE)
    with pytest.raises(
        StxMirrorError, match="no stage 'collect': resume from one of packages, iso"
    ):
        sessions.set_profile(replace(session, from_stage="collect"), PROFILE)


def test_an_absolute_path_of_a_profile_lies_below_a_root_of_its_build(session):
    def profile(path):
        stage = {**PROFILE["stages"][0], "log_files": [path]}
        return {**PROFILE, "stages": [stage]}

    for root in session.profile_roots:
        sessions.set_profile(session, profile(f"{root}/x"))
        assert session.profile().stages[0].log_files == (f"{root}/x",)
    with pytest.raises(StxMirrorError, match="is absolute"):
        sessions.set_profile(session, profile("/etc/x"))


def test_the_room_of_a_place_that_is_not_yet_there_is_that_of_its_file_system(tmp_path):
    volume = os.statvfs(tmp_path)
    found = sessions.free_bytes(tmp_path / "a" / "b")
    # Others write there, too.
    assert abs(found - volume.f_bavail * volume.f_frsize) < 1 << 30


def test_a_build_that_is_taken_back_removes_its_workspace(session):
    removed = []

    class Removing:
        def remove(self):
            removed.append(True)

    made = replace(session, make_sandbox=lambda *_: Removing())
    sessions.discard(made)
    assert removed == [True]
    assert not session.directory.exists()
