"""The sources of a build, and what the build is told about them."""

from __future__ import annotations

import json

ROOT = "/localdisk/designer/builder/master"
WORKSPACE = "/localdisk/loadbuild/builder/master/20261102T020000Z"
RECORD = "/var/lib/stx-mirror/builds/master/sample/20261102T020000Z"


def test_the_sources_are_the_builders(host):
    """The builder runs what is in them; the orchestrator must not own a line of it."""
    checkout = host.file(f"{ROOT}/cgcs-root/stx/base/file")
    assert checkout.content_string == "second\n"
    assert checkout.user == "builder"


def test_context_brings_back_the_same_sources(host):
    """It is a shell script in StarlingX's own shape, which its release tools parse."""
    context = host.file(f"{WORKSPACE}/CONTEXT")
    assert context.user == "builder"
    lines = context.content_string.splitlines()
    assert [line.split(" ")[1] for line in lines] == [
        "./cgcs-root",
        "./cgcs-root/stx/base",
        "./stx-tools",
    ]
    host.check_output(f"cd {ROOT} && runuser -u builder -- sh -e {WORKSPACE}/CONTEXT")


def test_what_is_published_as_context_is_out_of_the_builders_reach(host):
    kept = host.file(f"{RECORD}/CONTEXT")
    assert kept.user == "orchestrator"
    assert kept.content_string == host.file(f"{WORKSPACE}/CONTEXT").content_string


def test_the_record_says_what_is_new(host):
    found = json.loads(host.file("/var/lib/stx-mirror/found.json").content_string)
    assert found["changed"] is True
    (change,) = found["record"]["changes"]
    assert change["path"] == "cgcs-root/stx/base"
    assert [commit["subject"] for commit in change["commits"]] == ["base: Go on"]
    revision = host.check_output(
        "git --git-dir /home/builder/remotes/manifest.git rev-parse master"
    )
    assert found["record"]["manifest"]["revision"] == revision
