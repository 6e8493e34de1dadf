"""What people and programs find about the last runs."""

from __future__ import annotations

import json


def status(host, project):
    return json.loads(host.file(f"/var/lib/stx-mirror/status/{project}.json").content_string)


def test_the_last_attempt_says_where_and_why_it_failed(host):
    attempt = status(host, "master")["last_attempt"]
    assert attempt["id"] == "master/sample/20261103T020000Z"
    assert attempt["result"] == "fail"
    assert attempt["failed_stage"] == "packages"
    assert attempt["why"] == "build-pkgs ended with exit code 1"
    assert attempt["published"] is True
    assert attempt["request"] == "20261101T020000Z-0a1b2c"


def test_the_last_success_is_the_last_that_readers_can_see(host):
    """The next build is compared with it: one that never came to the mirror must not count."""
    assert status(host, "master")["last_success"]["id"] == "master/sample/20261101T020000Z"


def test_a_run_that_ended_before_it_had_an_id_has_none(host):
    attempt = status(host, "f-early")["last_attempt"]
    assert attempt["id"] is None
    assert attempt["failed_stage"] == "open"
    assert attempt["why"] == "not enough room"
    assert status(host, "f-early")["last_success"] is None


def test_nothing_new_is_no_failure(host):
    attempt = status(host, "f-same")["last_attempt"]
    assert attempt["result"] == "nothing-new"
    assert attempt["failed_stage"] is None


def test_a_report_that_cannot_be_written_does_not_fail_the_build(host):
    """The converge went on; nothing half-written is left."""
    assert host.check_output("ls -A /var/lib/stx-mirror/status/f-blocked.json") == ""
    assert "f-blocked" not in host.check_output(
        "ls -A /var/lib/stx-mirror/status | grep '^[.]' || :"
    )


def test_everybody_may_read_it_and_only_the_orchestrator_writes_it(host):
    file = host.file("/var/lib/stx-mirror/status/master.json")
    assert (file.user, file.mode) == ("orchestrator", 0o644)
