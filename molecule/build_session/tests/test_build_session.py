"""What opening and closing builds leaves on a build host."""

from __future__ import annotations

import json

import pytest

BUILDS = "/var/lib/stx-mirror/builds/master/sample"


@pytest.fixture
def records(host):
    """The records of the builds that were opened, oldest first."""
    dates = host.check_output(f"ls {BUILDS}").split()
    return [json.loads(host.file(f"{BUILDS}/{date}/build.json").content_string) for date in dates]


def session(host, record):
    date = record["id"].rsplit("/", 1)[1]
    return json.loads(host.file(f"{BUILDS}/{date}/session.json").content_string)


def test_a_failure_says_where_and_why(records):
    assert records[0]["result"] == "fail"
    assert records[0]["failed_stage"] == "packages"
    assert records[0]["excerpt"] == ["no rule to make target"]
    assert records[0]["finished"] is not None


def test_a_resumed_build_has_an_id_of_its_own_and_its_parents_workspace(host, records):
    parent, child = records[:2]
    assert child["id"] > parent["id"]
    assert child["parent"] == parent["id"]
    assert child["from_stage"] == "packages"
    assert child["result"] == "success"
    assert session(host, child)["workspace"] == session(host, parent)["workspace"]


def test_a_resumed_build_does_not_mix_its_logs_with_its_parents(host, records):
    workspace = session(host, records[0])["workspace"]
    date = records[0]["id"].rsplit("/", 1)[1]
    assert host.file(f"{workspace}/logs-{date}/packages.log").content_string == "of the first try\n"
    assert host.file(f"{workspace}/logs").is_directory
    assert not host.file(f"{workspace}/logs/packages.log").exists


def test_a_build_with_nothing_new_leaves_nothing(host, records):
    assert len(records) == 3
    own = {session(host, record)["workspace"].rsplit("/", 1)[1] for record in records}
    assert set(host.check_output("ls /localdisk/loadbuild/builder/master").split()) == own


def test_a_build_that_has_begun_says_fail_until_it_is_closed(records):
    """What a crash leaves must never look like a success."""
    assert records[2]["result"] == "fail"
    assert records[2]["finished"] is None


def test_the_workspace_says_which_build_it_is(host, records):
    """build-iso puts this file on the ISO, and the installed system shows it."""
    build = host.file(f"{session(host, records[1])['workspace']}/BUILD")
    date = records[1]["id"].rsplit("/", 1)[1]
    lines = dict(line.split("=", 1) for line in build.content_string.splitlines())
    assert lines["BUILD_ID"] == f'"{date}"'
    assert lines["BUILD_PATH"] == f'"master/sample/{date}"'
    assert lines["OS"] == '"sample"'
    assert lines["BUILD_DATE"].endswith(' +0000"')
    assert build.user == "builder"


def test_the_builder_owns_what_stages_write_and_cannot_touch_the_records(host, records):
    workspace = session(host, records[0])["workspace"]
    assert host.file(workspace).user == "builder"
    assert host.file(f"{workspace}/logs").user == "builder"
    date = records[0]["id"].rsplit("/", 1)[1]
    record = host.file(f"{BUILDS}/{date}/build.json")
    assert (record.user, record.mode) == ("orchestrator", 0o644)
    assert host.file(f"{BUILDS}/{date}/session.json").mode == 0o640
    assert host.run(f"sudo -u builder touch {BUILDS}/{date}/build.json").rc != 0


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("no-room", ["Not enough room", " has ", "stx-mirror prune"]),
        ("no-stream", ["no stream builds 'nosuch'"]),
        ("no-profile", ["profile missing", "correct `profile`"]),
        ("clock", ["29991231T235959Z", "set the clock right"]),
        ("no-parent", ["no record of", "master/sample/20200101T000000Z"]),
        ("moved-on", ["newer state", "stx-mirror build master"]),
    ],
)
def test_what_is_refused_says_what_to_do_and_opens_nothing(host, case, words):
    why, opened = host.file(f"/root/refused-{case}").content_string.strip().rsplit("\n", 1)
    assert opened == "False"
    assert "\n" not in why
    for word in words:
        assert word in why
