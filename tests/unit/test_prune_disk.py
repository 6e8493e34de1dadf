"""What may go from a build host's disk: the plan."""

from __future__ import annotations

import random
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stxmirror import disk
from stxmirror.errors import StxMirrorError
from stxmirror.layout import BuildId

NOW = datetime(2026, 11, 22, 3, 0, 0, tzinfo=timezone.utc)
LIMITS = {"workspace_days": 3, "tree_days": 1, "unpublished_days": 14}


def date(days: float) -> str:
    return f"{NOW - timedelta(days=days):%Y%m%dT%H%M%SZ}"


def workspace(days: float, project: str = "master") -> str:
    return f"/localdisk/loadbuild/builder/{project}/{date(days)}"


def build(days: float, result: str = "success", of: float | None = None) -> dict[str, str]:
    """Describe a build of master; ``of`` is the age of the workspace that it resumed in."""
    place = workspace(days if of is None else of)
    return {"id": f"master/sample/{date(days)}", "ref": "master", "result": result} | {
        "workspace": place
    }


def found_on_disk(raw: dict[str, list]) -> disk.Found:
    """Return what lies on a build host, from plain values."""
    return disk.Found(
        workspaces=tuple(raw["workspaces"]),
        trees=tuple(disk.Tree(**tree) for tree in raw["trees"]),
        builds=tuple(
            disk.RecordedBuild(
                BuildId.parse(b["id"]), b["ref"], b["result"] == "success", b["workspace"]
            )
            for b in raw["builds"]
        ),
        running=frozenset(raw["running"]),
        last_good=frozenset(raw["last_good"]),
    )


def steps_of(found: dict[str, list], **limits: int) -> list[dict[str, str]]:
    """Return the steps for facts as the build host and the mirror give them."""
    everything = {name: [] for name in ("workspaces", "trees", "builds", "running", "last_good")}
    on_mirror = found.pop("on_mirror", [])
    facts = found_on_disk({**everything, **found})
    steps = disk.plan(facts, on_mirror, NOW, disk.Limits(**{**LIMITS, **limits}))
    return [step.to_json() for step in steps]


def plan(**found: list) -> dict[str, str]:
    """Return action by path; ``trees`` are given as ages in days."""
    trees = [
        {"id": f"master/sample/{date(days)}", "path": f"/p/master/sample/{date(days)}"}
        for days in found.pop("trees", [])
    ]
    steps = steps_of({**found, "trees": trees})
    assert steps == sorted(steps, key=lambda step: step["path"])
    return {step["path"]: step["action"] for step in steps}


def test_the_last_good_workspace_stays_however_old_and_older_ones_go():
    old, last = build(9), build(8)
    found = plan(
        workspaces=[workspace(9), workspace(8)],
        builds=[old, last],
        last_good=[last["id"]],
        on_mirror=[old["id"], last["id"]],
    )
    assert found == {workspace(9): "delete", workspace(8): "keep"}


def test_a_published_workspace_goes_however_young_once_a_newer_build_is_good():
    builds = [build(2), build(1)]
    found = plan(
        workspaces=[workspace(2), workspace(1)],
        builds=builds,
        last_good=[builds[1]["id"]],
        on_mirror=[each["id"] for each in builds],
    )
    assert found == {workspace(2): "delete", workspace(1): "keep"}


def test_a_failure_can_be_resumed_though_the_mirror_tells_of_it():
    failed = build(2, "fail")
    found = plan(workspaces=[workspace(2)], builds=[failed], on_mirror=[failed["id"]])
    assert found == {workspace(2): "keep"}


def test_a_step_says_why():
    builds = [build(1, "fail"), build(2), build(3)]
    trees = [{"id": b["id"], "path": f"/p/{b['id']}"} for b in builds[1:]]
    steps = steps_of(
        {
            "workspaces": [b["workspace"] for b in builds],
            "builds": builds,
            "trees": trees,
            "on_mirror": [builds[2]["id"]],
        }
    )
    why = {step["path"]: step["why"].split("; ")[0] for step in steps}
    assert why == {
        workspace(1): f"{builds[0]['id']} failed",
        workspace(2): f"{builds[1]['id']} is not on the mirror",
        workspace(3): f"{builds[2]['id']} is published, and a newer one is good",
        trees[0]["path"]: "the mirror does not have it",
        trees[1]["path"]: "the mirror has it",
    }


def test_what_is_kept_for_three_days_is_there_on_the_third():
    assert plan(workspaces=[workspace(3)]) == {workspace(3): "keep"}
    assert plan(workspaces=[workspace(3.0001)]) == {workspace(3.0001): "delete"}


def test_a_failure_can_be_resumed_for_some_days():
    found = plan(
        workspaces=[workspace(2), workspace(4)], builds=[build(2, "fail"), build(4, "fail")]
    )
    assert found == {workspace(2): "keep", workspace(4): "delete"}


def test_a_workspace_is_as_old_as_the_last_build_that_resumed_in_it():
    builds = [build(5, "fail"), build(1, "fail", of=5)]
    assert plan(workspaces=[workspace(5)], builds=builds) == {workspace(5): "keep"}


def test_the_workspace_in_which_a_resumed_build_became_good_stays():
    builds = [build(9, "fail"), build(8, of=9)]
    found = plan(workspaces=[workspace(9)], builds=builds, last_good=[builds[1]["id"]])
    assert found == {workspace(9): "keep"}


def test_a_success_that_the_mirror_does_not_have_is_no_reason_to_delete():
    assert plan(workspaces=[workspace(1)], builds=[build(1)]) == {workspace(1): "keep"}


def test_nothing_of_a_running_stream_goes():
    found = plan(
        workspaces=[workspace(50), workspace(50, "f-x")],
        trees=[50],
        builds=[build(50, "fail")],
        running=["master"],
    )
    assert found[workspace(50)] == "keep"
    assert found[f"/p/master/sample/{date(50)}"] == "keep"
    assert found[workspace(50, "f-x")] == "delete"
    assert list(plan(trees=[50], builds=[build(50)], running=["f-x"]).values()) == ["delete"]


def test_trees_go_soon_once_the_mirror_has_them():
    on_mirror = [f"master/sample/{date(days)}" for days in (0.5, 2)]
    found = plan(trees=[0.5, 2, 5, 20], on_mirror=on_mirror)
    assert list(found.values()) == ["delete", "keep", "delete", "keep"]


def test_a_name_that_is_no_real_date_is_kept_and_named():
    odd = "/localdisk/loadbuild/builder/master/20261399T020000Z"
    (step,) = steps_of({"workspaces": [odd]})
    assert step["action"] == "keep"
    assert "no real build-date" in step["why"]


@pytest.mark.parametrize("days", [-1, 1.5, True, "3", None])
def test_a_policy_that_is_no_number_of_days_is_refused(days):
    with pytest.raises(StxMirrorError, match="workspace_days"):
        disk.Limits(**{**LIMITS, "workspace_days": days})


def test_nothing_may_be_kept_for_no_day():
    assert disk.Limits(**{**LIMITS, "tree_days": 0}).tree_days == 0


@given(st.data())
def test_nothing_protected_ever_goes_and_order_does_not_matter(data):
    ages = data.draw(st.lists(st.integers(0, 40), unique=True, min_size=1, max_size=12))
    builds = [build(age, data.draw(st.sampled_from(["success", "fail"]))) for age in ages]
    good = [b["id"] for b in builds if b["result"] == "success"]
    last_good = [data.draw(st.sampled_from(good))] if good else []
    found = {
        "workspaces": [workspace(age) for age in ages],
        "trees": [{"id": b["id"], "path": f"/p/{b['id']}"} for b in builds],
        "builds": builds,
        "running": data.draw(st.sampled_from([[], ["master"]])),
        "last_good": last_good,
        "on_mirror": data.draw(st.lists(st.sampled_from([b["id"] for b in builds]), unique=True)),
    }
    steps = steps_of(dict(found))
    shuffled = {key: random.sample(value, len(value)) for key, value in found.items()}
    assert steps_of(shuffled) == steps
    gone = {step["path"] for step in steps if step["action"] == "delete"}
    assert not (found["running"] and gone)
    assert not gone & {b["workspace"] for b in builds if b["id"] in last_good}
    young = {workspace(age) for age in ages if age <= LIMITS["workspace_days"]}
    unpublished = {b["workspace"] for b in builds if b["id"] not in found["on_mirror"]}
    assert not gone & young & unpublished
