"""The sources of a build: fetched or not, written down, compared; with the real `repo`."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from build_host import opened
from remotes import Remotes, git, install_repo
from unconfined import unconfined

from stxmirror import records
from stxmirror.builder import prepare, sources
from stxmirror.builder import session as sessions
from stxmirror.builder.session import Session
from stxmirror.errors import StxMirrorError
from stxmirror.state import status
from stxmirror.state.events import Events
from stxmirror.state.files import read_json
from stxmirror.state.status import Attempt


@pytest.fixture(scope="session")
def repo_command() -> list[str]:
    return install_repo()


@pytest.fixture
def remotes(tmp_path: Path) -> Remotes:
    return Remotes(tmp_path / "remotes")


@pytest.fixture
def entry(make_stream, remotes):
    return make_stream(manifest={"url": remotes.url, "file": "default.xml"})


@pytest.fixture
def sync(repo_command):
    """Bring the sources of a build, as the module does."""

    def sync(session: Session, *, forced: bool = False, commits: int = 200, **changes) -> bool:
        options = {
            **{"repo": repo_command, "jobs": 2, "attempts": 2, "delay": 0.1},
            **{"probe_timeout": 20, "sync_timeout": 300, **changes},
        }
        with session.part("sync"):
            if not forced and sources.nothing_new(session):
                return False
            return sources.sync(session, options=options, commits=commits, ask_first=forced)

    return sync


def good(session: Session) -> None:
    """Close a build as a success that readers can see."""
    sessions.close_success(session)
    attempt = Attempt(
        request="20261101T020000Z-0a1b2c",
        reason="x",
        trigger="person",
        started="2026-11-01T02:00:00Z",
        finished="2026-11-01T02:10:00Z",
        result="success",
        id=session.id,
        published=True,
    )
    status.write_attempt(session.paths, "master", "master", attempt)


def test_builds_follow_each_other(paths, entry, remotes, sync):
    """First all is new; then nothing is, and is not even fetched; then what changed is told."""
    first = opened(paths, entry)
    assert sync(first)
    record = first.record()
    assert record["manifest"]["revision"] == remotes.head("manifest")
    assert record["changes"] == []
    words = [line.strip("()").split() for line in first.context().splitlines()]
    commits = {line[1].removeprefix("./"): line[-1] for line in words}
    assert list(commits) == ["cgcs-root", "cgcs-root/stx/one", "tools"]
    build = (first.workspace / "BUILD").read_text()
    assert f'BUILD_ID="{first.workspace.name}"' in build
    assert f'BUILD_PATH="{first.id}"' in build
    assert (first.workspace / "logs").is_dir()
    good(first)

    second = opened(paths, entry)
    leftover = second.sources / "tools" / "leftover"
    leftover.touch()
    assert not sync(second)
    # The checkout has not been touched: nothing was fetched for it.
    assert leftover.exists()
    assert second.context() is None
    sessions.discard(second)

    # Forced, it is built all the same, from a checkout of its own, and has no changes.
    third = opened(paths, entry)
    assert not sync(third, forced=True)
    assert not leftover.exists()
    assert third.context() == first.context()
    assert third.record()["changes"] == []

    one = remotes.commit("one", "second")
    two = remotes.commit("one", "third $(id) {{ x }}")
    fourth = opened(paths, entry)
    assert sync(fourth, commits=200)
    (change,) = fourth.record()["changes"]
    assert (change["path"], change["from"], change["to"]) == (
        "cgcs-root/stx/one",
        commits["cgcs-root/stx/one"],
        two,
    )
    assert change["commits"] == [
        {"sha": two, "subject": "one: third $(id) {{ x }}"},
        {"sha": one, "subject": "one: second"},
    ]
    assert records.check(sessions.close_success(fourth))


def test_a_change_of_the_manifest_alone_is_something_new(paths, entry, remotes, sync):
    first = opened(paths, entry)
    sync(first)
    good(first)
    remotes.commit("manifest", "x", "README")
    second = opened(paths, entry)
    assert sync(second)
    assert second.record()["changes"] == []


# What other programs take for the end of a line, what a terminal obeys, and what is no text.
ODD = [
    b"form\x0cfeed subject",
    b"carriage\rreturn",
    "next\u0085line".encode(),
    "line\u2028separator\u2029s".encode(),
    b"bell\x07 and \x1b[31mcolour\x1b]0;title\x07",
    b"latin \xe9\xff",
    "right\u202eto left".encode(),
    b"x" * 3000,
    b"\x1c\x1d\x1e",
    b" \t ",
]


def test_no_subject_of_a_commit_keeps_a_build_from_being_closed(
    paths, entry, remotes, sync, tmp_path
):
    """And nothing in a git configuration changes what git is understood to say."""
    first = opened(paths, entry)
    sync(first)
    good(first)
    wanted = [remotes.commit("two", str(number), subject=odd) for number, odd in enumerate(ODD)]
    home = paths.localdisk / "home" / "master"
    (home / ".gitconfig").write_text(
        "[log]\n\tshowSignature = true\n\tdecorate = full\n\tdate = raw\n\tshowRoot = false\n"
        "[color]\n\tui = always\n[i18n]\n\tlogOutputEncoding = UTF-16\n[core]\n\tquotePath = true\n"
        "[format]\n\tpretty = oneline\n[diff]\n\texternal = false\n"
    )
    second = opened(paths, entry)
    assert sync(second)
    (change,) = second.record()["changes"]
    assert [commit["sha"] for commit in change["commits"]] == wanted[::-1]
    assert all(commit["subject"].isprintable() for commit in change["commits"])
    assert change["commits"][-1]["subject"] == "form feed subject"
    for close in (sessions.close_success, lambda s: sessions.close_failure(s, "x")):
        assert records.check(close(second))["changes"] == [change]


@pytest.mark.parametrize("path", ["b$(touch PWNED)", "a b", "a@b", "a~b", "a,b"])
def test_a_project_that_a_shell_would_misread_is_refused(paths, entry, remotes, sync, path):
    remotes.paths["two"] = path
    remotes.write_manifest("root", "two")
    session = opened(paths, entry)
    with pytest.raises(StxMirrorError) as refusal:
        sync(session, attempts=1)
    assert path in str(refusal.value)
    assert "default.xml" in str(refusal.value)
    assert remotes.url in str(refusal.value)
    assert session.context() is None
    closed = sessions.close_failure(session, "x")
    assert closed["failed_stage"] == "sync"
    assert not list(paths.localdisk.rglob("PWNED"))


def test_what_cannot_be_fetched_is_the_sentence_of_the_failure(paths, entry, sync):
    entry["manifest"]["url"] = "git://127.0.0.1:1/m.git"
    session = opened(paths, entry)
    with pytest.raises(StxMirrorError):
        sync(session, attempts=1)
    closed = sessions.close_failure(session, "the task failed")
    assert (
        "the manifest of stream master at git://127.0.0.1:1/m.git does not answer"
        in (closed["excerpt"][0])
    )


def test_what_was_mended_is_told_to_who_follows(paths, entry, sync):
    first = opened(paths, entry)
    sync(first)
    (paths.source_cache("master") / ".repo/projects/tools.git/shallow.lock").touch()
    events = Events(paths.events("master"))
    sync(opened(paths, entry), forced=True)
    notes = [event["text"] for event in events.new() if event["event"] == "note"]
    assert any("shallow.lock" in note for note in notes)


def test_a_resumed_build_keeps_what_its_parent_was_made_of(paths, entry, remotes, sync):
    """Also a second time: the logs of each are kept aside."""
    parent = opened(paths, entry)
    sync(parent)
    (parent.logs / "packages.log").write_text("the parent's")
    sessions.close_failure(parent, "x")
    remotes.commit("two", "second")
    for words in ("the first child's", "the second child's"):
        child = opened(paths, entry, resume_id=parent.id, from_stage="packages")
        assert sync(child)
        assert child.context() == parent.context()
        assert read_json(child.directory / "sources.json") == read_json(
            parent.directory / "sources.json"
        )
        assert child.record()["manifest"] == parent.record()["manifest"]
        assert (child.sources / "tools/file").read_text() == "first"
        assert list(child.logs.iterdir()) == []
        build = (child.workspace / "BUILD").read_text()
        assert f'SRC_BUILD_ID="{parent.workspace.name}"' in build
        (child.logs / "packages.log").write_text(words)
        sessions.close_failure(child, "x")
    kept = sorted(path.read_text() for path in parent.workspace.glob("logs-*/packages.log"))
    assert kept == ["the first child's", "the parent's"]


@pytest.mark.parametrize(
    "content", ["{", "{}", '{"manifest_revision": "x", "projects": [{"path": "tools"}]}']
)
def test_sources_that_another_version_wrote_down_count_as_none(paths, entry, sync, content):
    first = opened(paths, entry)
    sync(first)
    good(first)
    (first.directory / "sources.json").write_text(content)
    second = opened(paths, entry)
    assert sync(second)
    assert second.record()["changes"] == []


def test_what_has_changed_is_fetched_once(paths, entry, remotes, sync, monkeypatch):
    first = opened(paths, entry)
    sync(first)
    good(first)
    remotes.commit("two", "second")
    second = opened(paths, entry)
    calls = []
    run = sources.sandbox.run_program

    def counted(box, module, request, **given):
        found = run(box, module, request, **given)
        calls.append("unchanged" in found)
        return found

    monkeypatch.setattr(sources.sandbox, "run_program", counted)
    assert sync(second)
    assert calls == [True, False]


def test_the_sites_proxy_reaches_what_uses_the_network_alone(paths, entry, remotes, sync):
    paths.etc.mkdir(exist_ok=True)
    paths.environment.write_text('# ours\nhttps_proxy="http://p:3128"\nno_proxy=localhost\n\n')
    boxes = []

    def make(*words, **named):
        boxes.append(unconfined(paths)(*words, **named))
        return boxes[-1]

    parent = replace(opened(paths, entry), make_sandbox=make)
    sync(parent)
    sessions.close_failure(parent, "x")
    child = opened(paths, entry, resume_id=parent.id, from_stage="packages")
    sync(replace(child, make_sandbox=make))
    tasks = [task for box in boxes for task in box.tasks]
    assert [(task.network, task.sources) for task in tasks] == [(True, "write"), (False, "read")]
    assert tasks[0].environment == {"https_proxy": "http://p:3128", "no_proxy": "localhost"}


@pytest.mark.parametrize(
    "found",
    [
        {},
        {"projects": [], "manifest_revision": None},
        {"projects": [{"path": 1}], "manifest_revision": "x", "changes": None, "mended": []},
        {"projects": 3, "manifest_revision": "x", "changes": None, "mended": []},
    ],
)
def test_what_the_builder_says_is_checked(paths, entry, sync, monkeypatch, found):
    """It runs `repo` and git, on what strangers wrote."""
    monkeypatch.setattr(sources.sandbox, "run_program", lambda *_, **__: {**found, "cgroup": ""})
    session = opened(paths, entry)
    with pytest.raises(StxMirrorError, match="prepare"):
        sync(session)
    assert session.failure().part == "sync"


def test_the_downloads_that_were_kept_are_there_and_nothing_else(tmp_path):
    inputs, kept = tmp_path / "inputs", tmp_path / "kept"
    (inputs / "stale").mkdir(parents=True)
    (kept / "downloads/CentOS").mkdir(parents=True)
    (kept / "downloads/CentOS/a.rpm").write_text("a")
    prepare.restore(kept, inputs)
    assert [path.name for path in inputs.iterdir()] == ["CentOS"]
    (inputs / "CentOS/a.rpm").write_text("changed")
    assert (kept / "downloads/CentOS/a.rpm").read_text() == "a"
    prepare.restore(None, inputs)
    assert list(inputs.iterdir()) == []


def test_commits_that_are_gone_are_no_commits(remotes):
    work = remotes.base / "work/two"
    new = git(work, "rev-parse", "HEAD")
    assert prepare.commits_between(work, "0" * 40, new, 9) == []
    assert prepare.commits_between(work, None, new, 9) == []
    for number in range(3):
        remotes.commit("two", str(number))
    found = prepare.commits_between(work, new, remotes.head("two"), 2)
    assert [commit["subject"] for commit in found] == ["two: 2", "two: 1"]


def test_a_program_that_ends_without_a_result_is_told_with_its_last_words(paths, entry):
    session = opened(paths, entry)
    box = session.sandbox
    task = {"time_limit": 60, "environment": {}}
    with pytest.raises(StxMirrorError, match="No module named"):
        sources.sandbox.run_program(
            box, "stxmirror.builder.nosuch", {}, workspace=session.workspace, task=task
        )


def test_a_result_that_is_a_link_is_not_followed(paths, entry, tmp_path):
    """The builder owns the workspace, the orchestrator reads it."""
    session = opened(paths, entry)

    class Links:
        def run(self, task):
            outcome = session.sandbox.run(replace(task, command=["true"]))
            (tmp_path / "secret").write_text('{"changes": []}')
            Path(json.loads(task.input)["result"]).symlink_to(tmp_path / "secret")
            return outcome

    with pytest.raises(StxMirrorError, match="no output"):
        sources.sandbox.run_program(
            Links(),
            "stxmirror.builder.prepare",
            {},
            workspace=session.workspace,
            task={"time_limit": 60, "environment": {}},
        )


def test_a_request_may_name_thousands_of_repositories(paths, entry):
    """A command's argument may have 128 KiB."""
    session = opened(paths, entry)
    workspace = str(session.workspace)
    request = {
        "source": None,
        "workspace": workspace,
        "logs_aside": "",
        "build_file": "B\n" * 10**6,
    }
    found = sources.sandbox.run_program(
        session.sandbox,
        prepare.__name__,
        {**request, "workspace": str(session.workspace)},
        workspace=session.workspace,
        task={"time_limit": 60, "environment": {}},
    )
    assert "error" not in found
    assert (session.workspace / "BUILD").stat().st_size == 2 * 10**6


def test_the_shell_of_a_user_is_given_no_surprise(paths, entry, sync):
    session = opened(paths, entry)
    sync(session)
    subprocess.run(
        ["sh", "-e"], input=session.context(), text=True, cwd=session.sources, check=True
    )
