"""The unit of a stream under the real systemd: lock, process tree, time limit.

A controller that does nothing stands in for the real one; its stage runs as builder, in a session
of its own, and ignores SIGTERM.
"""

from __future__ import annotations

import time

import pytest

HELPER = "/usr/local/libexec/stx-mirror/build-unit"
UNIT = "stx-build@master-sample.service"
STATE = "/var/lib/stx-mirror"


def build_unit(host, *words, request="{}", helper=HELPER):
    quoted = " ".join(f"'{word}'" for word in words)
    return host.run(f"printf %s '{request}' | sudo -u orchestrator sudo -n {helper} {quoted}")


def stage_runs(host):
    return host.run("test -e /proc/$(cat /tmp/stage.pid)/stat").rc == 0


def unit_is(host, state, unit=UNIT):
    return host.check_output(f"systemctl show -p ActiveState --value '{unit}'") == state


def wait_for(condition, seconds=40):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.3)


@pytest.fixture
def unit(host):
    """A unit that runs, with its stage."""
    host.run(f"rm -f {STATE}/stopped {STATE}/request.* /tmp/stage.pid")
    started = build_unit(host, "start", "master/sample", "600", request='{"reason": "$HOME %n"}')
    assert started.rc == 0, started.stderr
    wait_for(lambda: host.run("test -s /tmp/stage.pid").rc == 0)
    yield UNIT
    build_unit(host, "stop", "master/sample")


def test_a_second_start_is_refused_and_harms_nothing(host, unit):
    again = build_unit(host, "start", "master/sample", "600")
    assert again.rc == 75
    assert len(again.stderr.strip().splitlines()) == 1
    assert stage_runs(host)


def test_another_stream_builds_at_the_same_time(host, unit):
    other = r"stx-build@feature-a\x2db-sample.service"
    assert build_unit(host, "start", "feature/a-b/sample", "600").rc == 0
    assert unit_is(host, "active", other)
    assert build_unit(host, "stop", "feature/a-b/sample").rc == 0
    assert unit_is(host, "active")


def test_a_stage_of_another_account_stays_in_the_unit(host, unit):
    group = host.check_output("cat /proc/$(cat /tmp/stage.pid)/cgroup")
    assert UNIT in group


def test_sigkill_to_the_controller_leaves_no_stage(host, unit):
    host.check_output(f"kill -9 $(systemctl show -p MainPID --value {UNIT})")
    wait_for(lambda: unit_is(host, "inactive"))
    assert not stage_runs(host)
    assert host.file(f"{STATE}/stopped").content_string.strip() == "signal"


def test_a_stop_leaves_no_stage(host, unit):
    assert build_unit(host, "stop", "master/sample").rc == 0
    assert unit_is(host, "inactive")
    assert not stage_runs(host)
    assert host.file(f"{STATE}/stopped").content_string.strip() == "success"


def test_the_stream_can_be_built_again_after_a_kill(host, unit):
    host.check_output(f"systemctl kill -s KILL {UNIT}")
    wait_for(lambda: unit_is(host, "inactive"))
    assert build_unit(host, "start", "master/sample", "600").rc == 0


def test_no_build_starts_while_builds_are_held(host):
    """An overdue update or restart waits for the builds that run, not for ever new ones."""
    host.check_output(
        "mkdir -p /run/stx-mirror && printf 'a restart is overdue\\nsince Monday\\033[2J'"
        " >/run/stx-mirror/hold-builds"
    )
    try:
        held = build_unit(host, "start", "master/sample", "600")
    finally:
        host.check_output("rm /run/stx-mirror/hold-builds")
    assert held.rc == 69
    assert "no build starts now: a restart is overdue since Monday?" in held.stderr
    assert len(held.stderr.strip().splitlines()) == 1
    assert unit_is(host, "inactive")


def test_a_hold_ends_no_build(host, unit):
    host.check_output("mkdir -p /run/stx-mirror && touch /run/stx-mirror/hold-builds")
    try:
        assert unit_is(host, "active")
        assert build_unit(host, "start", "master/sample", "600").rc == 69
        assert build_unit(host, "stop", "master/sample").rc == 0
    finally:
        host.check_output("rm /run/stx-mirror/hold-builds")


def test_the_time_limit_ends_everything(host):
    """Shortened in a copy of the helper: the real one leaves half an hour for the build itself."""
    host.check_output(
        f"sed 's/^OVERTIME_SECONDS = .*/OVERTIME_SECONDS = 1/' {HELPER} > /root/build-unit;"
        "chmod 755 /root/build-unit; rm -f /tmp/stage.pid"
    )
    done = host.run("echo '{}' | /root/build-unit start master/sample 2")
    assert done.rc == 0, done.stderr
    wait_for(lambda: host.run("test -s /tmp/stage.pid").rc == 0)
    wait_for(lambda: unit_is(host, "inactive"))
    assert not stage_runs(host)
    assert host.file(f"{STATE}/stopped").content_string.strip() == "timeout"


def test_what_a_person_wrote_is_never_expanded(host, unit):
    wanted = '{"reason": "$HOME %n"}'
    assert host.file(f"{STATE}/request.run").content_string.strip() == wanted
    build_unit(host, "stop", "master/sample")
    assert host.file(f"{STATE}/request.stopped").content_string.strip() == wanted


def test_the_unit_has_the_right_account_limit_and_accounting(host, unit):
    shown = dict(
        line.split("=", 1)
        for line in host.check_output(f"systemctl show {UNIT}").splitlines()
        if "=" in line
    )
    assert shown["User"] == "orchestrator"
    assert shown["RuntimeMaxUSec"] == "40min"
    assert shown["WorkingDirectory"] == "/opt/stx-mirror/1/project"
    assert shown["CPUAccounting"] == shown["MemoryAccounting"] == "yes"
    assert shown["KillMode"] == "control-group"


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["start"],
        ["restart", "master/sample"],
        ["start", "master/sample"],
        ["start", "master", "600"],
        ["start", "../sample", "600"],
        ["start", "feature/a..b/sample", "600"],
        ["start", "feature/$(id)/sample", "600"],
        ["start", "master/sample", "0"],
        ["start", "master/sample", "99999999"],
        ["start", "master/sample", "-1"],
        ["start", "--help", "600"],
        ["stop", "ssh.service"],
        ["stop", "master/sample", "now"],
    ],
)
def test_other_arguments_are_refused(host, words):
    """The orchestrator may do this one thing as root, and nothing else."""
    done = build_unit(host, *words)
    assert done.rc == 2
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("request_text", ["", "[]", "x", '{"a": "' + "b" * 17000 + '"}'])
def test_other_requests_are_refused(host, request_text):
    assert build_unit(host, "start", "master/sample", "60", request=request_text).rc == 2


def test_no_other_command_is_allowed(host):
    assert host.run("sudo -u orchestrator sudo -n systemctl stop ssh").rc != 0
