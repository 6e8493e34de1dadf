"""A checkout that is made anew for each build: the real `repo`, real git repositories."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
from remotes import Remotes, git, install_repo

from stxmirror import context
from stxmirror.builder import checkout
from stxmirror.builder.checkout import Checkout, Source
from stxmirror.errors import StxMirrorError


@pytest.fixture(scope="session")
def repo_command() -> list[str]:
    return install_repo()


@pytest.fixture
def remotes(tmp_path: Path) -> Remotes:
    return Remotes(tmp_path / "remotes")


@pytest.fixture
def source(remotes: Remotes, repo_command: list[str], tmp_path: Path, monkeypatch) -> Source:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    return Source(
        url=remotes.url,
        file="default.xml",
        branch="master",
        stream="master",
        repo=repo_command,
        delay=0.1,
    )


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache"


@pytest.fixture
def bring(source: Source, cache: Path, tmp_path: Path):
    """Make the checkout of a new build, as each build does."""
    root = tmp_path / "root"

    def bring(unchanged: Checkout | None = None, **changes: object) -> Checkout:
        if root.exists():
            checkout.remove(root)
        root.mkdir()
        asked = replace(source, **changes)
        revision, _ = checkout.find_revision(asked)
        return checkout.bring(asked, cache, root, revision, unchanged)

    bring.root = root
    return bring


def commits(made: Checkout) -> dict[str, str]:
    return {project.path: project.commit for project in made.projects}


def test_first_checkout_tells_every_commit_and_the_manifests(bring, remotes):
    made = bring()
    assert list(commits(made)) == ["cgcs-root", "cgcs-root/stx/one", "tools"]
    assert commits(made)["tools"] == remotes.head("two")
    assert made.manifest_revision == remotes.head("manifest")
    assert (bring.root / "cgcs-root/stx/one/file").read_text() == "first"


def test_what_has_not_changed_is_not_fetched(bring, remotes, repo_command, tmp_path):
    first = bring()
    # What would ask the network fails.
    offline = tmp_path / "offline"
    offline.write_text(f"""#!/bin/sh
case "$*" in *local-only* | manifest) exec {repo_command[0]} "$@";; esac
exit 1
""")
    offline.chmod(0o755)
    again = bring(first, repo=[str(offline)], attempts=1)
    assert (again.manifest_revision, again.projects) == (first.manifest_revision, first.projects)
    assert (bring.root / "cgcs-root/stx/one/file").read_text() == "first"


def test_a_cache_that_has_something_else_is_brought_to_the_manifest(bring, remotes, cache):
    """An older state, as from a copy of the disk; a newer one, whose branch was moved back."""
    first = bring()
    shutil.copytree(cache, cache.with_name("older"), symlinks=True)
    remotes.commit("one", "second")
    second = bring()
    shutil.rmtree(cache)
    cache.with_name("older").rename(cache)
    assert commits(bring(second)) == commits(second)
    remotes.push("one", f"+{commits(first)['cgcs-root/stx/one']}:refs/heads/master")
    assert commits(bring(first)) == commits(first)
    shutil.rmtree(cache / ".repo")
    assert commits(bring(first)) == commits(first)


def test_a_shell_can_bring_the_checkout_back_by_its_context(bring):
    text = context.render(commits(bring()))
    (bring.root / "tools/file").write_text("changed")
    subprocess.run(["sh", "-e"], input=text, text=True, cwd=bring.root, check=True)
    assert (bring.root / "tools/file").read_text() == "first"


def test_a_new_commit_and_a_new_manifest_arrive(bring, remotes):
    bring()
    commit = remotes.commit("one", "second")
    remotes.write_manifest("root", "one")
    made = bring()
    assert commits(made) == {"cgcs-root": remotes.head("root"), "cgcs-root/stx/one": commit}
    assert not (bring.root / "tools").exists()


def test_what_a_build_did_to_its_checkout_is_gone_in_the_next(bring, remotes, cache):
    """Its files, its commits and branches, its hooks, its configuration: also of the manifest."""
    bring()
    root = bring.root
    (root / "cgcs-root/leftover").mkdir()
    (root / "cgcs-root/leftover/x").write_text("untracked")
    (root / "cgcs-root/leftover").chmod(0o555)
    tools = root / "tools"
    git(tools, "checkout", "-q", "-b", "mine")
    (tools / "file").write_text("mine")
    git(tools, "commit", "-q", "-a", "-m", "mine")
    for place in ("projects/tools.git", "manifests.git"):
        hook = root / ".repo" / place / "hooks" / "post-checkout"
        hook.parent.mkdir(exist_ok=True)
        hook.unlink(missing_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {root.parent}/PWNED\n")
        hook.chmod(0o755)
        with (root / ".repo" / place / "config").open("a") as config:
            config.write(f'[url "{root}"]\n\tinsteadOf = "{remotes.url}"\n')
    evil = root / ".repo/project-objects/two.git/objects/info/alternates"
    evil.write_text("/nonexistent\n")
    made = bring()
    assert commits(made)["tools"] == remotes.head("two")
    assert (root / "tools/file").read_text() == "first"
    assert not (root / "cgcs-root/leftover").exists()
    assert not (root.parent / "PWNED").exists()
    assert "insteadOf" not in (root / ".repo/projects/tools.git/config").read_text()
    assert "insteadOf" not in (cache / ".repo/manifests.git/config").read_text()


def test_no_object_of_the_cache_can_be_changed_through_a_checkout(bring, cache):
    """Neither by a hard link nor by a symbolic one."""
    bring()
    kept = {path.lstat().st_ino for path in (cache / ".repo").rglob("*")}
    own = list((bring.root / ".repo").rglob("*"))
    assert own
    assert not kept & {path.lstat().st_ino for path in own}
    assert not [path for path in own if path.resolve().is_relative_to(cache)]


def empty_objects(cache: Path) -> None:
    """What a power cut makes of files that were not yet on the disk."""
    for path in (cache / ".repo/project-objects/two.git/objects").rglob("*"):
        if path.is_file():
            path.chmod(0o644)
            path.write_bytes(b"")


def half_a_pack(cache: Path) -> None:
    """What a transfer leaves that was killed."""
    pack = cache / ".repo/project-objects/two.git/objects/pack"
    (pack / "tmp_pack_abc").write_bytes(b"PACK")


@pytest.mark.parametrize(
    "harm",
    [
        lambda cache: (cache / ".repo/projects/tools.git/shallow.lock").touch(),
        lambda cache: (cache / ".repo/project-objects/two.git/packed-refs.lock").touch(),
        lambda cache: (cache / ".repo/manifests.git/HEAD.lock").touch(),
        lambda cache: (cache / ".repo/manifests.git/HEAD").write_text(""),
        lambda cache: (cache / ".repo/manifests.git/rebase-apply").mkdir(),
        lambda cache: (cache / ".repo/manifest.xml").unlink(),
        lambda cache: (cache / ".repo/manifest.xml").write_text("<manifest>"),
        lambda cache: shutil.rmtree(cache / ".repo/manifests"),
        lambda cache: shutil.rmtree(cache / ".repo/manifests.git"),
        lambda cache: (cache / ".repo/projects/tools.git/HEAD").write_text(""),
        lambda cache: (cache / ".repo/projects/tools.git/config").write_text("garbage ["),
        lambda cache: shutil.rmtree(cache / ".repo/projects/tools.git"),
        lambda cache: shutil.rmtree(cache / ".repo/projects/tools.git/refs"),
        lambda cache: shutil.rmtree(cache / ".repo/project-objects/two.git"),
        lambda cache: shutil.rmtree(cache / ".repo"),
        empty_objects,
        half_a_pack,
    ],
)
def test_what_a_killed_sync_leaves_is_mended(bring, remotes, cache, harm):
    bring()
    harm(cache)
    new = remotes.commit("two", "second")
    made = bring()
    assert commits(made)["tools"] == new
    assert (bring.root / "tools/file").read_text() == "second"
    assert (bring.root / "cgcs-root/stx/one/file").exists()
    assert len(made.projects) == 3


def test_damage_is_mended_though_nothing_new_is_to_be_fetched(bring, cache):
    bring()
    empty_objects(cache)
    made = bring()
    assert (bring.root / "tools/file").read_text() == "first"
    assert any("two.git" in sentence for sentence in made.mended)


def test_a_sound_cache_is_not_mended(bring):
    bring()
    assert bring().mended == []


def test_a_repo_directory_further_up_is_not_used(bring, tmp_path):
    """repo looks upwards: a stray .repo in /localdisk must not take the checkout."""
    (tmp_path / ".repo").mkdir()
    bring()
    assert (bring.root / "tools").is_dir()
    assert not (tmp_path / "tools").exists()


@pytest.mark.parametrize("annotated", [False, True])
def test_a_tag_of_the_manifest_can_be_checked_out(bring, remotes, source, annotated):
    words = ["-a", "-m", "x"] if annotated else []
    git(remotes.base / "work/manifest", "tag", *words, "3.0.0")
    remotes.push("manifest", "3.0.0")
    tagged = remotes.head("manifest")
    remotes.write_manifest("root")
    assert bring(branch="3.0.0").manifest_revision == tagged
    assert checkout.find_revision(replace(source, branch="3.0.0"))[1] == tagged
    git(remotes.base / "work/manifest", "tag", "--force", *words, "3.0.0")
    remotes.push("manifest", "3.0.0")
    assert bring(branch="3.0.0").manifest_revision == remotes.head("manifest")


def test_another_branch_and_back(bring, remotes):
    remotes.push("manifest", "HEAD:refs/heads/f/x")
    old = remotes.head("manifest")
    remotes.write_manifest("root")
    assert len(bring().projects) == 1
    made = bring(branch="f/x")
    assert (made.manifest_revision, len(made.projects)) == (old, 3)
    assert len(bring().projects) == 1


def test_a_branch_that_was_pushed_anew_is_followed(bring, remotes):
    bring()
    work = remotes.base / "work/two"
    git(work, "checkout", "-q", "--orphan", "other")
    git(work, "commit", "-q", "-m", "anew")
    remotes.push("two", "HEAD:refs/heads/master")
    assert commits(bring())["tools"] == remotes.head("two")


def is_unchanged(source: Source, made: Checkout) -> bool:
    return checkout.is_unchanged(source, made.projects)


def test_what_stands_still_is_unchanged_and_what_moves_is_not(bring, remotes, source):
    made = bring()
    assert is_unchanged(source, made)
    remotes.commit("two", "second")
    assert not is_unchanged(source, made)


@pytest.mark.parametrize("path", ["tools/", "./tools", "tools"])
def test_however_its_path_is_written_a_projects_new_commit_is_seen(bring, remotes, source, path):
    remotes.paths["two"] = path
    remotes.write_manifest("root", "one", "two")
    try:
        made = bring(attempts=1)
    except StxMirrorError as refusal:
        assert path in str(refusal)  # noqa: PT017 - repo may refuse it, and says which
        return
    remotes.commit("two", "second")
    assert not is_unchanged(source, made)


def test_what_the_manifest_pins_does_not_change(bring, remotes, source):
    first = remotes.head("two")
    remotes.write_manifest("root", "two", two=f'revision="{first}"')
    made = bring()
    remotes.commit("two", "second")
    assert is_unchanged(source, made)
    assert commits(bring())["tools"] == first


@pytest.mark.parametrize("annotated", [False, True])
def test_a_project_at_a_tag_changes_with_the_tag(bring, remotes, source, annotated):
    words = ["-a", "-m", "x"] if annotated else []
    work = remotes.base / "work/two"
    git(work, "tag", *words, "v1")
    remotes.push("two", "v1")
    remotes.write_manifest("root", "two", two='revision="refs/tags/v1"')
    made = bring()
    assert commits(made)["tools"] == remotes.head("two")
    remotes.commit("two", "second")
    assert is_unchanged(source, made)
    git(work, "tag", "--force", *words, "v1")
    remotes.push("two", "v1")
    assert not is_unchanged(source, made)
    # The next build has what it names now, so that the one after that has nothing to do.
    made = bring()
    assert commits(made)["tools"] == remotes.head("two")
    assert is_unchanged(source, made)


def test_a_repository_that_does_not_answer_counts_as_changed(bring, remotes, source):
    made = bring()
    shutil.move(remotes.base / "two.git", remotes.base / "away.git")
    assert not is_unchanged(source, made)


def test_a_missing_branch_is_named_at_once(source):
    began = time.monotonic()
    with pytest.raises(StxMirrorError, match="has no branch or tag 'f/none'") as refusal:
        checkout.find_revision(replace(source, branch="f/none", delay=60))
    assert "manifest.branch" in str(refusal.value)
    assert time.monotonic() - began < 30


def test_a_manifest_that_refuses_is_named_with_its_stream(source):
    url = "git://127.0.0.1:1/m.git"
    with pytest.raises(StxMirrorError) as refusal:
        checkout.find_revision(replace(source, url=url, stream="f/x"))
    message = str(refusal.value)
    assert f"the manifest of stream f/x at {url} does not answer, tried 3 times" in message
    assert "refused" in message
    assert "manifest.url" in message
    assert "\n" not in message


def test_a_manifest_that_hangs_ends_in_time(source):
    """A server that takes the connection and then says nothing is the worst kind of dead."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"git://127.0.0.1:{server.getsockname()[1]}/m.git"
        started = time.monotonic()
        with pytest.raises(StxMirrorError, match=url):
            checkout.find_revision(replace(source, url=url, probe_timeout=0.5, attempts=2))
    assert time.monotonic() - started < 8


def test_a_remote_that_is_a_command_is_not_run(source, tmp_path):
    url = f"ext::sh -c touch% {tmp_path}/PWNED"
    with pytest.raises(StxMirrorError, match="does not answer"):
        checkout.find_revision(replace(source, url=url, attempts=1))
    assert not (tmp_path / "PWNED").exists()


def test_a_missing_project_is_named_and_mended_when_it_is_back(bring, remotes):
    bring()
    shutil.move(remotes.base / "two.git", remotes.base / "away.git")
    with pytest.raises(StxMirrorError, match="repo sync of stream master") as refusal:
        bring(attempts=2)
    assert "two" in str(refusal.value)
    shutil.move(remotes.base / "away.git", remotes.base / "two.git")
    assert len(bring().projects) == 3


def test_a_broken_manifest_is_an_error_that_names_it(bring, remotes):
    remotes.commit("manifest", "<manifest><project/></manifest>", "default.xml")
    with pytest.raises(StxMirrorError, match=r"default\.xml"):
        bring(attempts=1)


def test_a_missing_manifest_file_is_an_error_that_names_it(bring):
    with pytest.raises(StxMirrorError, match=r"nosuch\.xml"):
        bring(file="nosuch.xml", attempts=1)


def test_a_missing_repo_command_is_an_error(bring):
    with pytest.raises((StxMirrorError, OSError), match="/nonexistent/repo"):
        bring(repo=["/nonexistent/repo"], attempts=1)
