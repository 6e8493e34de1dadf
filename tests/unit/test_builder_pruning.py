"""What builds left on a host's disk: found, and deleted as it was planned."""

from __future__ import annotations

import json

import pytest
from unconfined import unconfined

from stxmirror.builder import pruning
from stxmirror.disk import Step
from stxmirror.layout import BuildId

GOOD, BARE = "20261101T020000Z", "20261102T020000Z"


@pytest.fixture
def host(paths):
    """A host with workspaces, a tree, and records that are whole and others that are not."""
    loadbuild = paths.workspaces("master")
    for name in (GOOD, BARE):
        (loadbuild / name / "deep" / "20261103T020000Z").mkdir(parents=True)
    (loadbuild / "20261104T020000Z").symlink_to("/etc")
    (loadbuild / "notes").mkdir()
    (loadbuild / "20261399T020000Z").mkdir()
    tree = paths.trees / "feature/x/sample/flock" / GOOD
    (tree / "outputs/20261105T020000Z").mkdir(parents=True)
    for build_id, workspace in (
        (f"master/sample/{GOOD}", f"{loadbuild}/{GOOD}"),
        ("master/sample/20250101T020000Z", f"{loadbuild}/20250101T020000Z"),
        (f"feature/x/sample/flock/{GOOD}", "/gone"),
    ):
        directory = paths.build(build_id)
        directory.mkdir(parents=True)
        content = {"id": build_id, "ref": "master", "result": "success"}
        (directory / "build.json").write_text(json.dumps(content))
        (directory / "session.json").write_text(json.dumps({"workspace": workspace}))
    (paths.build(f"master/sample/{BARE}")).mkdir()
    (paths.build(f"master/sample/{BARE}") / "build.json").write_text("{broken")
    workspace = json.dumps({"workspace": f"{loadbuild}/{BARE}"})
    (paths.build(f"master/sample/{BARE}") / "session.json").write_text(workspace)
    (paths.state / "status").mkdir()
    good = {"last_success": {"id": "master/sample/x"}}
    paths.status("master").write_text(json.dumps(good))
    paths.status("f-x").write_text('{"last_success": null}')
    paths.status("f-y").write_text("{broken")
    paths.runner("f-x").mkdir(parents=True)
    paths.running("f-x").write_text("{}")
    paths.runner("master").mkdir()
    return paths


def test_what_builds_left_is_found(host):
    found = pruning.find(host)
    loadbuild = host.workspaces("master")
    assert found.workspaces == (f"{loadbuild}/{GOOD}", f"{loadbuild}/{BARE}")
    tree = f"feature/x/sample/flock/{GOOD}"
    assert [(t.id, t.path) for t in found.trees] == [(tree, str(host.trees / tree))]
    assert [build.id for build in found.builds] == [
        BuildId.parse(tree),
        BuildId.parse(f"master/sample/{GOOD}"),
    ]
    assert found.running == {"f-x"}
    assert found.last_good == {"master/sample/x"}


def test_a_host_that_never_built_has_nothing(paths):
    found = pruning.find(paths)
    assert (found.workspaces, found.trees, found.builds) == ((), (), ())
    assert pruning.plan(paths, [], 3, 1, 14) == []


def test_a_plan_says_why_and_is_carried_out(host, monkeypatch):
    monkeypatch.setattr(pruning, "RealSandbox", unconfined(host))
    tree = f"feature/x/sample/flock/{GOOD}"
    workspaces = [host.workspaces("master") / name for name in (GOOD, BARE)]
    steps = pruning.plan(host, [f"master/sample/{GOOD}", tree], 36500, 36500, 36500)
    deleted = {step.path for step in steps if step.is_deletion}
    # It is on the mirror, and is not what the next build is compared with.
    assert deleted == {str(workspaces[0])}
    pruning.carry_out(host, steps)
    assert [path.exists() for path in workspaces] == [False, True]
    assert (host.trees / tree).is_dir()
    assert (host.build(f"master/sample/{GOOD}") / "build.json").exists()
    assert pruning.plan(host, [], 36500, 36500, 36500) == [
        step for step in pruning.plan(host, [], 36500, 36500, 36500) if not step.is_deletion
    ]


def test_trees_and_workspaces_go_and_what_is_kept_stays(host, monkeypatch):
    monkeypatch.setattr(pruning, "RealSandbox", unconfined(host))
    tree = host.trees / "feature/x/sample/flock" / GOOD
    kept = host.workspaces("master") / GOOD
    gone = host.workspaces("master") / BARE
    pruning.carry_out(
        host,
        [Step(str(tree), True, "x"), Step(str(kept), False, "x"), Step(str(gone), True, "x")],
    )
    assert (tree.exists(), kept.exists(), gone.exists()) == (False, True, False)
