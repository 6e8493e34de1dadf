"""What is left after pruning, on the mirror and on the build host."""

from __future__ import annotations

import json

import pytest

MIRROR = "/srv/mirror/public/master/sample"
LOADBUILD = "/localdisk/loadbuild/builder"


@pytest.fixture
def past(host):
    """The build-dates of 40, 30, 20, 3 and 0 days ago."""
    return [
        date.split(":")[0] for date in host.file("/var/lib/stx-mirror/past").content_string.split()
    ]


def names(host, directory):
    return set(
        host.check_output(
            f"find {directory} -mindepth 1 -maxdepth 1 -type d -printf '%f\n'"
        ).split()
    )


def test_the_mirror_keeps_fourteen_days(host, past):
    assert names(host, MIRROR) == set(past[3:])
    assert host.file(f"{MIRROR}/latest_build").linked_to == f"{MIRROR}/{past[4]}"


def test_only_workspaces_of_use_are_left(host, past):
    """The last good build, from which packages are reused, and the failure of yesterday."""
    left = names(host, f"{LOADBUILD}/master")
    assert past[4] in left
    assert len(left - set(past)) == 1
    assert len(left) == 2


def test_a_stream_that_runs_is_left_alone(host):
    assert len(names(host, f"{LOADBUILD}/f-x")) == 1


def test_trees_that_the_mirror_has_are_gone_after_a_day(host, past):
    left = names(host, "/localdisk/publish/master/sample")
    assert past[4] in left
    assert not left & set(past[:4])


def test_records_stay(host, past):
    assert {past[0], past[2], past[3], past[4]} <= names(
        host, "/var/lib/stx-mirror/builds/master/sample"
    )


def test_it_says_when_it_went_through(host):
    """What stx-watch goes by; a run that ended with trouble does not count."""
    status = host.file("/var/lib/stx-mirror/prune.json")
    finished = json.loads(status.content_string)["finished"]
    assert finished.startswith(host.check_output("date -u +%Y-"))
    assert status.user == "orchestrator"
