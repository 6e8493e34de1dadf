"""What builds leave for the next ones: verified by who kept it, shared by content, and tidied."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from build_host import PROFILE, opened

from stxmirror.builder import keeping
from stxmirror.builder.session import Session

PROFILE_OF_KEEPERS = {**PROFILE, "reuse": ["*/results/**"], "downloads": ["CentOS/**"]}
# Of the builds after the first, which is opened now.
DAYS = [f"2099110{day}T020000Z" for day in range(1, 8)]


@pytest.fixture(autouse=True)
def _umask():
    """As the part *collect* sets it."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def session(paths, make_stream) -> Session:
    """Open a build, with one result to reuse and one download."""
    session = opened(paths, make_stream(), PROFILE_OF_KEEPERS)
    put(session.workspace / "std/results/one/one.rpm", "package one")
    put(paths.downloads("master") / "CentOS/kernel.tar", "kernel")
    return session


@pytest.fixture
def next_build(session) -> Callable[..., Session]:
    """Give a later build, by its number, that is shown what the host would show it."""

    def make(number: int, previous_good: str | None) -> Session:
        directory = session.id.rpartition("/")[0]
        kept = keeping.newest(session.paths, directory, previous_good)
        build_id = f"{directory}/{DAYS[number]}"
        profile = (session.directory / "profile.json").read_text()
        made = replace(session, id=build_id, previous_good=previous_good, kept=kept)
        made.directory.mkdir(parents=True, exist_ok=True)
        (made.directory / "profile.json").write_text(profile)
        return made

    return make


def put(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def kept(session: Session) -> Path:
    return session.paths.kept / session.id


def names(session: Session) -> set[str]:
    base = kept(session)
    return {str(path.relative_to(base)) for path in base.rglob("*") if path.is_file()}


PACKAGE, KERNEL = "reuse/std/results/one/one.rpm", "downloads/CentOS/kernel.tar"


def test_a_good_build_leaves_results_and_downloads(session):
    keeping.keep(session, good=True)
    assert names(session) == {PACKAGE, KERNEL, "reuse-of", "digests"}
    assert (kept(session) / PACKAGE).read_text() == "package one"


def test_a_profile_that_names_nothing_leaves_nothing(paths, make_stream):
    bare = opened(paths, make_stream())
    keeping.keep(bare, good=True)
    assert names(bare) == {"reuse-of", "digests"}
    assert keeping.reuse_directory(replace(bare, kept=bare.id, previous_good=bare.id)) == ""


def test_results_are_shown_to_the_build_that_is_compared_with_them(session, next_build):
    keeping.keep(session, good=True)
    after = next_build(1, session.id)
    assert keeping.reuse_directory(after) == str(kept(session) / "reuse")


@pytest.mark.parametrize("previous_good", [None, "master/sample/20261001T020000Z"])
def test_results_are_not_reused_once_that_build_was_withdrawn(session, next_build, previous_good):
    keeping.keep(session, good=True)
    after = next_build(1, previous_good)
    assert after.kept == session.id, "downloads are as good as before"
    assert keeping.reuse_directory(after) == ""


def test_after_a_withdrawal_the_results_of_the_build_before_are_shown(session, next_build):
    keeping.keep(session, good=True)
    withdrawn = next_build(1, session.id)
    keeping.keep(withdrawn, good=True)
    after = next_build(2, session.id)
    assert keeping.reuse_directory(after) == str(kept(session) / "reuse")


def test_the_first_build_has_nothing_to_reuse(session):
    assert keeping.reuse_directory(session) == ""
    assert keeping.newest(session.paths, "master/sample", None) == ""


def test_a_failed_build_leaves_its_downloads_and_hands_the_results_on(session, next_build):
    keeping.keep(session, good=True)
    failed = next_build(1, session.id)
    put(session.workspace / "std/results/one/one.rpm", "half of it")
    put(session.paths.downloads("master") / "CentOS/more.tar", "more")
    keeping.keep(failed, good=False)
    assert names(failed) == {PACKAGE, KERNEL, "downloads/CentOS/more.tar", "reuse-of", "digests"}
    assert (kept(failed) / PACKAGE).read_text() == "package one"
    after = next_build(2, session.id)
    assert after.kept == failed.id
    assert keeping.reuse_directory(after) == str(kept(failed) / "reuse")


def test_a_failed_build_with_nothing_before_it_leaves_no_results(session, next_build):
    keeping.keep(session, good=False)
    assert names(session) == {KERNEL, "digests"}
    assert keeping.reuse_directory(next_build(1, None)) == ""


def test_what_has_not_changed_is_kept_once(session, next_build):
    keeping.keep(session, good=True)
    after = next_build(1, session.id)
    put(session.paths.downloads("master") / "CentOS/copy-of-kernel.tar", "kernel")
    put(session.workspace / "std/results/one/one.rpm", "package one, built again")
    keeping.keep(after, good=True)
    first = (kept(session) / KERNEL).stat().st_ino
    assert (kept(after) / KERNEL).stat().st_ino == first
    assert (kept(after) / "downloads/CentOS/copy-of-kernel.tar").stat().st_ino == first
    assert (kept(after) / PACKAGE).read_text() == "package one, built again"
    assert (kept(session) / PACKAGE).read_text() == "package one"


def test_one_digest_does_not_make_a_script_of_a_list(session, next_build):
    """Empty files are all equal, and only some can be executed."""
    downloads = session.paths.downloads("master") / "CentOS"
    put(downloads / "list", "")
    keeping.keep(session, good=True)
    put(downloads / "script", "")
    (downloads / "script").chmod(0o755)
    after = next_build(1, session.id)
    keeping.keep(after, good=True)
    modes = [
        (kept(after) / f"downloads/CentOS/{n}").stat().st_mode & 0o777 for n in ("list", "script")
    ]
    assert modes == [0o644, 0o755]


def test_nothing_that_is_kept_is_linked_to_where_stages_write(session):
    keeping.keep(session, good=True)
    put(session.workspace / "std/results/one/one.rpm", "changed by a stage")
    with (session.paths.downloads("master") / "CentOS/kernel.tar").open("a") as file:
        file.write("changed by a stage")
    assert (kept(session) / PACKAGE).read_text() == "package one"
    assert (kept(session) / KERNEL).read_text() == "kernel"


def test_the_builder_can_read_what_is_kept_and_run_what_could_be_run(session):
    script = session.workspace / "std/results/configure"
    put(script, "x")
    script.chmod(0o700)
    (session.workspace / "std/results/one/one.rpm").chmod(0o600)
    keeping.keep(session, good=True)
    base = kept(session)
    assert {p.stat().st_mode & 0o777 for p in (base, *base.rglob("*")) if p.is_dir()} == {0o755}
    assert (base / PACKAGE).stat().st_mode & 0o777 == 0o644
    assert (base / "reuse/std/results/configure").stat().st_mode & 0o777 == 0o755


def test_times_of_results_stay(session):
    """Tools decide by them what is older than its sources."""
    os.utime(session.workspace / "std/results/one/one.rpm", (1, 1_600_000_000))
    keeping.keep(session, good=True)
    assert (kept(session) / PACKAGE).stat().st_mtime == 1_600_000_000


def test_a_glob_that_names_a_file_twice_keeps_it_once(paths, make_stream, next_build, session):
    keeping.keep(session, good=True)
    after = next_build(1, session.id)
    text = (after.directory / "profile.json").read_text()
    (after.directory / "profile.json").write_text(
        text.replace('"*/results/**"', '"*/results/**", "std/**"')
    )
    keeping.keep(after, good=True)
    assert (kept(session) / PACKAGE).read_text() == "package one"
    assert (kept(after) / PACKAGE).stat().st_ino == (kept(session) / PACKAGE).stat().st_ino


def test_links_pipes_and_what_lies_elsewhere_are_not_kept(session, tmp_path):
    put(tmp_path / "outside/secret", "of another stream")
    results = session.workspace / "std/results"
    (results / "link").symlink_to(tmp_path / "outside/secret")
    (results / "directory").symlink_to(tmp_path / "outside")
    (session.workspace / "rt").symlink_to(tmp_path / "rt")
    put(tmp_path / "rt/results/secret", "of another stream")
    os.mkfifo(results / "pipe")
    keeping.keep(session, good=True)
    assert names(session) == {PACKAGE, KERNEL, "reuse-of", "digests"}


def test_a_file_name_cannot_make_another_files_entry(session, next_build, tmp_path):
    """Or a stage would have the orchestrator link its own files into what the next build sees."""
    secret = tmp_path / "secret"
    put(secret, "the orchestrator's own")
    digest = "ab" * 32
    downloads = session.paths.downloads("master") / "CentOS"
    # "CentOS/x\n<digest>  /tmp/.../secret", as directories and a file
    put(Path(f"{downloads}/x\n{digest}  {secret}"), "x")
    put(Path(f"{downloads}/x\n{digest}  {KERNEL}"), "x")
    keeping.keep(session, good=True)
    lines = (kept(session) / "digests").read_text().splitlines()
    assert [line.partition("  ")[2] for line in lines] == [KERNEL, PACKAGE]
    after = next_build(1, session.id)
    keeping.keep(after, good=True)
    assert names(after) == {PACKAGE, KERNEL, "reuse-of", "digests"}


def test_a_file_name_in_no_encoding_stops_nothing(session):
    results = os.fsencode(session.workspace / "std/results")
    with open(results + b"/caf\xe9.log", "w") as file:  # noqa: PTH123 - no Path has such a name
        file.write("x")
    keeping.keep(session, good=True)
    assert names(session) == {PACKAGE, KERNEL, "reuse-of", "digests"}


def test_older_builds_files_go_but_those_of_the_last_good_one(session, next_build):
    keeping.keep(session, good=True)
    for number, previous in ((1, session.id), (2, session.id)):
        keeping.keep(next_build(number, previous), good=number == 2)
    left = sorted(path.name for path in kept(session).parent.iterdir())
    # 2 is not on the mirror yet; until it is, 1 has what the last good build left.
    assert left == [DAYS[1], DAYS[2]]
    third = next_build(3, f"master/sample/{DAYS[2]}")
    keeping.keep(third, good=True)
    assert sorted(path.name for path in kept(session).parent.iterdir()) == [DAYS[2], DAYS[3]]


def test_what_a_killed_build_left_half_done_goes(session, next_build):
    keeping.keep(session, good=True)
    put(kept(session).parent / f".{DAYS[1]}.part/downloads/x", "x")
    keeping.keep(next_build(2, session.id), good=True)
    assert sorted(path.name for path in kept(session).parent.iterdir()) == [
        kept(session).name,
        DAYS[2],
    ]


def test_keeping_an_old_build_again_leaves_what_a_newer_one_kept(session, next_build):
    keeping.keep(session, good=True)
    newer = next_build(1, session.id)
    keeping.keep(newer, good=True)
    keeping.keep(session, good=True)
    assert keeping.reuse_directory(next_build(2, newer.id)) == str(kept(newer) / "reuse")


def test_a_failed_build_hands_on_nothing_where_the_good_one_made_no_results(session, next_build):
    (session.workspace / "std/results/one/one.rpm").unlink()
    keeping.keep(session, good=True)
    failed = next_build(0, session.id)
    keeping.keep(failed, good=False)
    assert not (kept(failed) / "reuse").exists()


def test_results_that_were_handed_on_are_still_kept_once(session, next_build):
    keeping.keep(session, good=True)
    failed = next_build(0, session.id)
    keeping.keep(failed, good=False)
    good = next_build(1, session.id)
    assert good.kept == failed.id
    keeping.keep(good, good=True)
    assert (kept(good) / PACKAGE).samefile(kept(failed) / PACKAGE)


def test_a_name_with_two_spaces_is_kept_once_as_well(session, next_build):
    put(session.workspace / "std/results/one/a  b", "spaces")
    keeping.keep(session, good=True)
    later = next_build(0, session.id)
    keeping.keep(later, good=True)
    place = "reuse/std/results/one/a  b"
    assert (kept(later) / place).samefile(kept(session) / place)


@pytest.mark.parametrize("gone", ["digests", PACKAGE])
def test_what_is_missing_of_an_earlier_build_is_kept_anew(session, next_build, gone):
    keeping.keep(session, good=True)
    (kept(session) / gone).unlink()
    later = next_build(0, session.id)
    keeping.keep(later, good=True)
    assert (kept(later) / PACKAGE).read_text() == "package one"


def test_a_link_within_the_results_is_not_kept(session):
    (session.workspace / "std/results/one/latest.rpm").symlink_to("one.rpm")
    keeping.keep(session, good=True)
    assert not (kept(session) / "reuse/std/results/one/latest.rpm").exists()


def test_what_its_owner_cannot_run_nobody_can(session):
    (session.workspace / "std/results/one/one.rpm").chmod(0o645)
    keeping.keep(session, good=True)
    mode = (kept(session) / PACKAGE).stat().st_mode
    assert mode & 0o777 == 0o644
