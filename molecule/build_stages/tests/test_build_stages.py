"""What running the stages of a profile leaves on a build host."""

from __future__ import annotations

import json

LOADBUILD = "/localdisk/loadbuild/builder"


def record(host, case):
    path = f"/var/lib/stx-mirror/builds/feature/{case}/sample/20261101T020000Z/build.json"
    return json.loads(host.file(path).content_string)


def stages(host, case):
    return {stage["name"]: stage for stage in record(host, case)["stages"]}


def failure(host, case):
    return host.file(f"{LOADBUILD}/{case}/failure").content_string.strip()


def test_a_stage_runs_as_the_builder_in_the_workspace_with_its_environment(host):
    """What a stage adds to the profile's environment wins."""
    log = host.file(f"{LOADBUILD}/good/logs/first.log")
    assert log.content_string == f"builder\n{LOADBUILD}/good\nblue round\n"
    assert log.user == "builder"


def test_the_record_says_what_each_stage_did_and_cost(host):
    first = stages(host, "good")["first"]
    assert first["result"] == "ok"
    assert first["command"][0] == "sh"
    assert first["exit_code"] == 0
    assert first["attempts"] == 1
    assert first["log"] == "outputs/logs/first.log"
    assert first["peak_memory_bytes"] > 0
    assert first["started"] <= first["finished"]


def test_a_stage_that_may_fail_leaves_a_build_that_says_what_it_lacks(host):
    """A registry that is down must not lose a good ISO."""
    assert stages(host, "good")["pushes"]["result"] == "degraded"
    assert record(host, "good")["missing"] == ["container images"]
    assert record(host, "good")["failed_stage"] is None
    assert host.file(f"{LOADBUILD}/good/came-to-the-last").exists


def test_a_failed_stage_ends_the_build(host):
    assert stages(host, "bad")["first"]["result"] == "failed"
    assert record(host, "bad")["failed_stage"] == "first"
    assert list(stages(host, "bad")) == ["first"]
    assert not host.file(f"{LOADBUILD}/bad/came-to-the-last").exists
    assert failure(host, "bad") == "sh ended with exit code 3"


def test_a_command_that_is_not_there_is_the_stages_failure(host):
    assert stages(host, "absent")["first"]["exit_code"] == 127
    assert failure(host, "absent").startswith("no-such-tool was not found in ")


def test_the_streams_time_limit_ends_a_stage(host):
    """In the ordinary way, so that the failure is published with its logs."""
    first = stages(host, "late")["first"]
    assert first["result"] == "timeout"
    assert first["exit_code"] is None
    assert first["seconds"] < 30
    assert "time limit of the stream" in failure(host, "late")


def test_a_resumed_build_runs_only_what_is_left(host):
    assert stages(host, "resumed")["first"]["result"] == "skipped"
    assert stages(host, "resumed")["first"]["log"] is None
    assert stages(host, "resumed")["last"]["result"] == "ok"
    assert not host.file(f"{LOADBUILD}/resumed/came-to-the-first").exists
    assert host.file(f"{LOADBUILD}/resumed/came-to-the-last").exists


def test_what_carries_the_builds_id_is_made_again(host):
    """An ISO that names the build it was resumed from would fail its check, and rightly."""
    assert stages(host, "resumed")["labels"]["result"] == "ok"
    assert host.file(f"{LOADBUILD}/resumed/came-to-the-label").exists


def test_a_build_resumed_behind_the_stages_runs_none(host):
    assert [stage["result"] for stage in record(host, "checked")["stages"]] == ["skipped"]
    assert not host.file(f"{LOADBUILD}/checked/came-to-the-first").exists
