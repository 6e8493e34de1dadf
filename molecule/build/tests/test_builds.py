"""Builds that come to their end: published, not published, nothing new, pruned."""

from __future__ import annotations

import pytest
from conftest import PUBLIC, STATE, BuildHost

MASTER = f"{PUBLIC}/master/sample"
WORKSPACES = "/localdisk/loadbuild/builder/master"


@pytest.fixture(scope="module")
def good(builder: BuildHost) -> str:
    """The id of a build that succeeded."""
    done = builder.stx_mirror("build", "master", "--force", "--reason", "the first")
    assert done.rc == 0, done.stdout + done.stderr
    attempt = builder.attempt("master")
    assert (attempt["result"], attempt["published"]) == ("success", True)
    return attempt["id"]


@pytest.fixture(scope="module")
def unpublished(builder: BuildHost, good: str) -> str:
    """The id of a good build that was made while the mirror was away."""
    builder.sh("systemctl stop ssh")
    try:
        done = builder.stx_mirror("build", "master", "--force", "--reason", "no mirror")
    finally:
        builder.sh("systemctl start ssh")
    assert done.rc == 1
    assert "NOT PUBLISHED" in done.stdout
    attempt = builder.attempt("master")
    assert f"stx-mirror publish {attempt['id']}" in done.stdout
    return attempt["id"]


@pytest.fixture(scope="module")
def newest(builder: BuildHost, unpublished: str) -> str:
    """The same build, published when the mirror was back."""
    done = builder.stx_mirror("publish", unpublished)
    assert done.rc == 0, done.stdout
    return unpublished


def traces(builder: BuildHost) -> str:
    """All that builds leave, on the host and on the mirror, with what prune writes."""
    places = f"/localdisk /srv/mirror {STATE}/builds {STATE}/status {STATE}/prune.json"
    return builder.sh(f"find {places} -printf '%p %m %u %s %T@ %l\n' 2>/dev/null | sort")


def test_a_good_build_is_published_whole_by_the_right_accounts(builder, good):
    builder.sh(f"cd {PUBLIC}/{good} && sha256sum --quiet --strict -c SHA256SUMS")
    assert builder.host.file(f"{PUBLIC}/{good}/outputs/installer/greeting").content == b"hello\n"
    assert builder.sh(f"find {MASTER} -printf '%u\n' | sort -u") == "mirror"
    tree = builder.sh(f"find /localdisk/publish/{good} -printf '%u %m\n' | sort -u")
    assert tree == "orchestrator 644\norchestrator 755"
    for account in ("orchestrator", "incoming", "builder"):
        assert builder.run(f"runuser -u {account} -- touch {PUBLIC}/{good}/x").rc != 0
    record = f"{STATE}/builds/{good}/build.json"
    assert builder.run(f"runuser -u builder -- touch {record}").rc != 0


def test_the_network_is_closed_to_a_stage_that_does_not_ask_for_it(builder, good):
    logs = f"{PUBLIC}/{good}/outputs/logs"
    assert "greeting as builder\nthe network is closed" in builder.sh(f"cat {logs}/greeting.log")
    assert "waiting as builder\nthe network is open" in builder.sh(f"cat {logs}/waiting.log")


def test_a_stage_that_may_fail_leaves_a_build_that_says_what_it_lacks(builder, good):
    published = builder.json(f"{PUBLIC}/{good}/build.json")
    assert published == builder.record(good)
    assert (published["result"], published["missing"]) == ("success", ["an extra"])
    assert {s["name"]: s["result"] for s in published["stages"]} == {
        "greeting": "ok",
        "label": "ok",
        "waiting": "ok",
        "extra": "degraded",
    }


def test_nothing_new_leaves_nothing(builder, good):
    look = f"ls {WORKSPACES} {STATE}/builds/master/sample {MASTER} /localdisk/kept/master/sample"
    before = builder.sh(look)
    done = builder.stx_mirror("build", "master", "--trigger", "cron")
    # Cron sends what is printed.
    assert (done.rc, done.stdout, done.stderr) == (0, "", "")
    assert builder.attempt("master")["result"] == "nothing-new"
    assert builder.sh(look) == before


def test_a_build_that_the_mirror_does_not_have_is_not_what_the_next_is_compared_with(
    builder, good, unpublished
):
    status = builder.json(f"{STATE}/status/master.json")
    assert status["last_success"]["id"] == good
    assert builder.host.file(f"{MASTER}/latest_build").linked_to == f"{PUBLIC}/{good}"


def test_check_mode_changes_nothing(builder, unpublished):
    before = traces(builder)
    for words in (
        ("build", "-e", "stream=master", "-e", "force=true"),
        ("publish", "-e", f"build_id={unpublished}"),
        ("prune",),
    ):
        done = builder.playbook(*words, "--check")
        assert done.rc == 0, done.stdout
    assert builder.stx_mirror("prune", "--check").rc == 0
    assert traces(builder) == before


def test_published_again_it_is_the_newest(builder, newest):
    assert builder.host.file(f"{MASTER}/latest_build").linked_to == f"{PUBLIC}/{newest}"
    assert builder.json(f"{STATE}/status/master.json")["last_success"]["id"] == newest


def test_a_workspace_goes_whatever_a_build_left_in_it(builder, good, newest):
    """The one before the last good build's; the trees and the records of both stay."""
    old, new = builder.build(good).workspace, builder.build(newest).workspace
    builder.sh(
        f"cd {old} && install -d -o builder closed && touch closed/file"
        " && chmod 500 closed && install -d -m 700 of-root/below && touch of-root/below/file"
        " && ln -s /etc of-root/link"
    )
    done = builder.stx_mirror("prune")
    assert done.rc == 0, done.stdout
    assert not builder.host.file(old).exists
    assert builder.host.file(new).exists
    assert builder.host.file("/etc/passwd").exists
    for build in (good, newest):
        assert builder.host.file(f"/localdisk/publish/{build}/SHA256SUMS").exists
        assert builder.record(build)["result"] == "success"
    finished = builder.json(f"{STATE}/prune.json")["finished"]
    assert finished.startswith(builder.sh("date -u +%Y-"))
