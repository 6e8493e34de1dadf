"""repo_checkout against the real `repo` and real git repositories."""

from __future__ import annotations

import fcntl
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from module_call import call

from stxmirror import context

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "test-repo"
MANIFEST = """<manifest>
  <remote name="origin" fetch="{fetch}"/>
  <default remote="origin" revision="master"/>
  {projects}
</manifest>
"""


@pytest.fixture(scope="session")
def repo_command() -> list[str]:
    """The real `repo` from the package index, in an environment of its own."""
    command = CACHE / "bin" / "repo"
    CACHE.parent.mkdir(exist_ok=True)
    with (CACHE.parent / "test-repo.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not command.exists():
            shutil.rmtree(CACHE, ignore_errors=True)
            subprocess.run([sys.executable, "-m", "venv", str(CACHE)], check=True)
            # gitrepo still imports pkg_resources.
            subprocess.run(
                [str(CACHE / "bin/pip"), "-q", "install", "gitrepo==2.32.2", "setuptools<81"],
                check=True,
            )
    return [str(command)]


def git(directory: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=A", "-c", "user.email=a@example.org", *arguments],
        cwd=directory,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


class Remotes:
    """Three git repositories and a manifest that checks two of them out inside the first."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.paths = {"root": "cgcs-root", "one": "cgcs-root/stx/one", "two": "tools"}
        for name in (*self.paths, "manifest"):
            (base / "work" / name).mkdir(parents=True)
            git(base, "init", "-q", "--bare", f"{name}.git")
            git(base / "work" / name, "init", "-q", "-b", "master")
        for name in self.paths:
            self.commit(name, "file", "first")
        self.write_manifest(*self.paths)

    @property
    def url(self) -> str:
        return f"file://{self.base}/manifest.git"

    def commit(self, name: str, file: str, content: str) -> str:
        work = self.base / "work" / name
        (work / file).write_text(content)
        git(work, "add", "--all")
        git(work, "commit", "-q", "-m", f"{name}: {content[:20]}")
        git(work, "push", "-q", str(self.base / f"{name}.git"), "HEAD:refs/heads/master")
        return git(work, "rev-parse", "HEAD")

    def write_manifest(self, *names: str) -> str:
        projects = "\n  ".join(f'<project name="{n}" path="{self.paths[n]}"/>' for n in names)
        text = MANIFEST.format(fetch=f"file://{self.base}", projects=projects)
        return self.commit("manifest", "default.xml", text)

    def head(self, name: str) -> str:
        return git(self.base / "work" / name, "rev-parse", "HEAD")


@pytest.fixture
def remotes(tmp_path: Path) -> Remotes:
    return Remotes(tmp_path / "remotes")


@pytest.fixture
def arguments(tmp_path: Path, remotes: Remotes, repo_command: list[str]) -> dict:
    root = tmp_path / "root"
    root.mkdir()
    return {
        "root": str(root),
        "url": remotes.url,
        "branch": "master",
        "stream": "master",
        "repo": repo_command,
        "delay": 0.1,
    }


def checkout(arguments: dict, **changes: object) -> dict:
    reply = call("repo_checkout", {**arguments, **changes})
    assert not reply["failed"], reply["msg"]
    return reply


def test_first_checkout_tells_every_commit_and_the_manifests(arguments, remotes):
    reply = checkout(arguments)
    assert reply["changed"] is True
    assert list(reply["commits"]) == ["cgcs-root", "cgcs-root/stx/one", "tools"]
    assert reply["commits"]["tools"] == remotes.head("two")
    assert reply["manifest_revision"] == remotes.head("manifest")


def test_context_is_starlingxs_and_a_shell_can_run_it(arguments):
    file = Path(arguments["root"]).parent / "CONTEXT"
    reply = checkout(arguments, context_file=str(file))
    assert file.read_text() == reply["context"]
    assert checkout(arguments, context_file=str(file))["changed"] is False
    lines = [f"(cd ./{p} && git checkout -f {c})\n" for p, c in reply["commits"].items()]
    assert reply["context"] == "".join(lines)
    assert context.parse(reply["context"]) == reply["commits"]
    assert context.render(reply["commits"]) == reply["context"]
    subprocess.run(
        ["sh", "-e"], input=reply["context"], text=True, cwd=arguments["root"], check=True
    )


def test_nothing_new_changes_nothing(arguments):
    first = checkout(arguments)
    second = checkout(arguments)
    assert second["changed"] is False
    assert second["mended"] == []
    assert second["commits"] == first["commits"]


def test_a_new_commit_and_a_new_manifest_arrive(arguments, remotes):
    checkout(arguments)
    commit = remotes.commit("one", "file", "second")
    remotes.write_manifest("root", "one")
    reply = checkout(arguments)
    assert reply["changed"] is True
    assert reply["commits"] == {"cgcs-root": remotes.head("root"), "cgcs-root/stx/one": commit}
    assert not (Path(arguments["root"]) / "tools").exists()


def test_dirty_trees_and_removed_dirty_projects_do_no_harm(arguments, remotes):
    checkout(arguments)
    root = Path(arguments["root"])
    (root / "cgcs-root/file").write_text("changed by a build")
    (root / "cgcs-root/leftover").mkdir()
    (root / "cgcs-root/leftover/x").write_text("untracked")
    (root / "cgcs-root/leftover").chmod(0o555)
    (root / "tools/file").write_text("changed as well")
    remotes.commit("root", "file", "second")
    remotes.write_manifest("root", "one")
    checkout(arguments)
    assert (root / "cgcs-root/file").read_text() == "second"
    assert not (root / "cgcs-root/leftover").exists()
    assert (root / "cgcs-root/stx/one/file").exists()
    assert not (root / "tools").exists()


def test_commits_and_branches_made_in_a_work_tree_are_left_behind(arguments, remotes):
    """A build that commits or checks out another branch must not decide what is built next."""
    checkout(arguments)
    tools = Path(arguments["root"]) / "tools"
    git(tools, "checkout", "-q", "-b", "mine")
    (tools / "file").write_text("mine")
    git(tools, "commit", "-q", "-a", "-m", "mine")
    reply = checkout(arguments)
    assert reply["commits"]["tools"] == remotes.head("two")
    assert (tools / "file").read_text() == "first"


def empty_objects(root: Path) -> None:
    """What a power cut makes of files that were not yet on the disk."""
    for path in (root / ".repo/project-objects/two.git/objects").rglob("*"):
        if path.is_file():
            path.chmod(0o644)
            path.write_bytes(b"")


@pytest.mark.parametrize(
    "harm",
    [
        lambda root: (root / ".repo/projects/tools.git/index.lock").touch(),
        lambda root: (root / ".repo/manifests.git/HEAD.lock").touch(),
        lambda root: (root / ".repo/manifests.git/HEAD").write_text(""),
        lambda root: (root / ".repo/manifest.xml").unlink(),
        lambda root: shutil.rmtree(root / ".repo/manifests"),
        lambda root: (root / ".repo/projects/tools.git/HEAD").write_text(""),
        lambda root: (root / ".repo/projects/cgcs-root.git/HEAD").write_text(""),
        lambda root: (root / ".repo/projects/tools.git/index").write_text("garbage"),
        lambda root: shutil.rmtree(root / ".repo/projects/tools.git"),
        lambda root: shutil.rmtree(root / ".repo/project-objects/two.git"),
        lambda root: (root / ".repo/projects/tools.git/rebase-apply").mkdir(),
        lambda root: (root / ".repo/project.list").write_bytes(b"\xff\x00"),
        lambda root: (root / "tools/.git").unlink(),
        empty_objects,
    ],
)
def test_what_a_killed_build_leaves_is_mended(arguments, remotes, harm):
    checkout(arguments)
    harm(Path(arguments["root"]))
    new = remotes.commit("two", "file", "second")
    reply = checkout(arguments)
    assert reply["commits"]["tools"] == new
    assert (Path(arguments["root"]) / "tools/file").read_text() == "second"
    assert (Path(arguments["root"]) / "cgcs-root/stx/one/file").exists()
    assert len(reply["commits"]) == 3


def test_a_repo_directory_further_up_is_not_used(arguments, tmp_path):
    """repo looks upwards: a stray .repo in /localdisk must not take the checkout."""
    (tmp_path / ".repo").mkdir()
    checkout(arguments)
    assert (Path(arguments["root"]) / "tools").is_dir()
    assert not (tmp_path / "tools").exists()


def test_a_tag_of_the_manifest_can_be_checked_out(arguments, remotes):
    git(remotes.base / "work/manifest", "tag", "3.0.0")
    git(remotes.base / "work/manifest", "push", "-q", str(remotes.base / "manifest.git"), "3.0.0")
    tagged = remotes.head("manifest")
    remotes.write_manifest("root")
    assert checkout(arguments, branch="3.0.0")["manifest_revision"] == tagged


def test_another_branch_and_back(arguments, remotes):
    work = remotes.base / "work/manifest"
    bare = str(remotes.base / "manifest.git")
    git(work, "push", "-q", bare, "HEAD:refs/heads/f/x")
    old = remotes.head("manifest")
    remotes.write_manifest("root")
    assert len(checkout(arguments)["commits"]) == 1
    reply = checkout(arguments, branch="f/x")
    assert reply["manifest_revision"] == old
    assert len(reply["commits"]) == 3
    assert len(checkout(arguments)["commits"]) == 1


def test_a_missing_branch_is_named_at_once(arguments):
    reply = call("repo_checkout", {**arguments, "branch": "f/none"})
    assert reply["failed"]
    assert "has no branch or tag 'f/none'" in reply["msg"]
    assert list(Path(arguments["root"]).iterdir()) == []


def test_a_manifest_that_refuses_is_named_with_its_stream(arguments):
    reply = call("repo_checkout", {**arguments, "url": "git://127.0.0.1:1/m.git", "stream": "f/x"})
    assert reply["failed"]
    assert "the manifest of stream f/x at git://127.0.0.1:1/m.git does not answer" in reply["msg"]
    assert "refused" in reply["msg"]
    assert "manifest.url" in reply["msg"]


def test_a_manifest_that_hangs_ends_in_time(arguments):
    """A server that takes the connection and then says nothing is the worst kind of dead."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"git://127.0.0.1:{server.getsockname()[1]}/m.git"
        started = time.monotonic()
        reply = call(
            "repo_checkout", {**arguments, "url": url, "probe_timeout": 0.5, "attempts": 2}
        )
    assert reply["failed"]
    assert url in reply["msg"]
    assert time.monotonic() - started < 8


def test_a_missing_project_is_named(arguments, remotes):
    checkout(arguments)
    shutil.move(remotes.base / "two.git", remotes.base / "away.git")
    reply = call("repo_checkout", {**arguments, "attempts": 2})
    assert reply["failed"]
    assert "repo sync of stream master" in reply["msg"]
    assert "two" in reply["msg"]
    shutil.move(remotes.base / "away.git", remotes.base / "two.git")
    assert len(checkout(arguments)["commits"]) == 3


def test_a_broken_manifest_is_an_error_that_names_it(arguments, remotes):
    remotes.commit("manifest", "default.xml", "<manifest><project/></manifest>")
    reply = call("repo_checkout", {**arguments, "attempts": 1})
    assert reply["failed"]
    assert "default.xml" in reply["msg"]


def test_a_missing_repo_command_is_an_error(arguments):
    reply = call("repo_checkout", {**arguments, "repo": ["/nonexistent/repo"], "attempts": 1})
    assert reply["failed"]
    assert "/nonexistent/repo" in reply["msg"]


def test_check_mode_touches_nothing(arguments):
    reply = call("repo_checkout", arguments, check=True)
    assert reply["commits"] == {}
    assert list(Path(arguments["root"]).iterdir()) == []


def test_changes_have_their_commits(arguments, remotes):
    old = checkout(arguments)["commits"]
    first = remotes.commit("one", "file", "second")
    second = remotes.commit("one", "file", "third $(id) {{ x }}")
    new = checkout(arguments)["commits"]
    changes = [
        {"path": "cgcs-root/stx/one", "from": old["cgcs-root/stx/one"], "to": second},
        {"path": "tools", "from": None, "to": new["tools"]},
        {"path": "cgcs-root", "from": "0" * 40, "to": new["cgcs-root"]},
    ]
    reply = call("git_changes", {"root": arguments["root"], "changes": changes})
    assert [change["commits"] for change in reply["changes"]] == [
        [
            {"sha": second, "subject": "one: third $(id) {{ x }}"},
            {"sha": first, "subject": "one: second"},
        ],
        [],
        [],
    ]
    limited = call("git_changes", {"root": arguments["root"], "changes": changes, "limit": 1})
    assert len(limited["changes"][0]["commits"]) == 1
