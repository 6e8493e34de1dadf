"""Whether a branch that a person names exists, asked of real repositories."""

from __future__ import annotations

import subprocess

import pytest
from remotes import git

from stxmirror.controller import remotes
from stxmirror.errors import StxMirrorError


@pytest.fixture
def manifest(tmp_path) -> dict[str, str]:
    bare, work = tmp_path / "manifest.git", tmp_path / "work"
    git(tmp_path, "init", "-q", "--bare", str(bare))
    git(tmp_path, "init", "-q", "-b", "master", str(work))
    git(work, "commit", "-q", "--allow-empty", "-m", "x")
    git(work, "tag", "3.0.0")
    git(work, "push", "-q", str(bare), "HEAD:refs/heads/f/x", "HEAD:refs/heads/stable", "3.0.0")
    return {"url": f"file://{bare}", "file": "default.xml"}


@pytest.mark.parametrize("ref", ["f/x", "3.0.0"])
def test_a_branch_and_a_tag_exist(manifest, ref):
    remotes.check_exists(manifest, ref)


@pytest.mark.parametrize("ref", ["f/nonesuch", "x", "f", "3.0"])
def test_what_does_not_exist_is_named_with_the_repository(manifest, ref):
    with pytest.raises(StxMirrorError) as refusal:
        remotes.check_exists(manifest, ref)
    assert f"{manifest['url']} has no branch or tag {ref!r}" in str(refusal.value)


def test_the_branch_that_the_stream_names_is_what_counts(manifest):
    remotes.check_exists({**manifest, "branch": "stable"}, "f/nonesuch")
    with pytest.raises(StxMirrorError, match="'gone'"):
        remotes.check_exists({**manifest, "branch": "gone"}, "f/x")


@pytest.mark.parametrize("url", ["git://127.0.0.1:1/m.git", "file:///nonexistent", "ext::false"])
def test_what_does_not_answer_is_for_the_build_to_report(url):
    remotes.check_exists({"url": url}, "f/nonesuch")


def test_a_repository_that_hangs_is_not_waited_for(monkeypatch):
    def hang(command, **given):
        raise subprocess.TimeoutExpired(command, given["timeout"])

    monkeypatch.setattr(subprocess, "run", hang)
    remotes.check_exists({"url": "git://h/m.git"}, "f/x")
