"""The unit of a stream under the real systemd: lock, tree of processes, limits, verdict."""

from __future__ import annotations

import re

import pytest
from conftest import PUBLIC, STATE, Build, BuildHost, wait_for

REF, PROJECT = "f/steered", "f-steered"
DIRECTORY = "feature/steered/sample"
UNIT = "stx-build@feature-steered-sample.service"
HELPER = "/usr/local/libexec/stx-mirror/build-unit"


@pytest.fixture(scope="module")
def running(builder: BuildHost) -> Build:
    """A build whose stage waits for :func:`failed`."""
    # Nothing on its way to systemd may expand it.
    builder.begin("build", REF, "--reason", "$HOME %n")
    return builder.until_ready(PROJECT)


@pytest.fixture(scope="module")
def failed(builder: BuildHost, running: Build) -> Build:
    """The same build, after its stage failed with a process left behind."""
    builder.tell(running, "(setsid sleep 86399 &)\necho no rule to make target\nexit 3\n")
    builder.wait_until_over(UNIT)
    return running


@pytest.fixture
def steered(builder: BuildHost):
    """A build for one test, which ends it."""
    builder.begin("build", REF, "--reason", "a test")
    yield builder.until_ready(PROJECT)
    builder.stx_mirror("stop", REF)
    builder.end()


def assert_closed(builder: BuildHost, build: Build, why: str) -> None:
    """Assert that a build has its verdict, and that nothing is left of it."""
    builder.wait_until_over(UNIT)
    assert builder.builders_processes() == ""
    attempt = builder.attempt(PROJECT)
    assert (attempt["id"], attempt["result"]) == (build.id, "fail")
    assert attempt["failed_stage"] == "waiting"
    assert why in attempt["why"]
    record = builder.record(build.id)
    assert (record["result"], record["failed_stage"]) == ("fail", "waiting")
    assert record["finished"] is not None
    assert not builder.host.file(f"{STATE}/runner/{PROJECT}/running.json").exists


def test_a_second_build_is_refused_and_harms_nothing(builder, running):
    again = builder.stx_mirror("build", REF)
    assert again.rc == 75
    assert len(again.stderr.strip().splitlines()) == 1
    assert f"stx-mirror follow {REF}" in again.stderr
    played = builder.playbook("build", "-e", f"stream={REF}", "-e", "reason=test")
    assert played.rc != 0
    assert f"{REF} is being built since" in played.stdout
    assert builder.shown(UNIT, "ActiveState") == "active"


def test_ctrl_c_leaves_it_running(builder, running):
    builder.sh("systemctl kill --signal=SIGINT person.service")
    assert builder.end() == 130
    assert builder.shown(UNIT, "ActiveState") == "active"


def test_another_stream_is_built_at_the_same_time(builder, running):
    done = builder.stx_mirror("build", "master")
    assert done.rc == 0, done.stdout
    assert builder.shown(UNIT, "ActiveState") == "active"


def test_no_build_starts_while_builds_are_held_and_none_ends(builder, running):
    """An overdue update or restart waits for the builds that run, not for ever new ones."""
    builder.sh(
        "mkdir -p /run/stx-mirror && printf 'a restart is overdue\\nsince Monday\\033[2J'"
        " >/run/stx-mirror/hold-builds"
    )
    held = builder.stx_mirror("build", "master")
    builder.sh("rm /run/stx-mirror/hold-builds")
    assert held.rc == 2
    assert "no build starts now: a restart is overdue since Monday?" in held.stderr
    assert len(held.stderr.strip().splitlines()) == 1
    assert builder.shown(UNIT, "ActiveState") == "active"


def test_the_unit_holds_the_stage_and_has_the_right_account_and_limits(builder, running):
    (stage,) = builder.sh("pgrep -u builder -f 'make waiting'").split()
    assert UNIT in builder.sh(f"cat /proc/{stage}/cgroup")
    shown = dict(
        line.split("=", 1)
        for line in builder.sh(f"systemctl show {UNIT}").splitlines()
        if "=" in line
    )
    assert shown["User"] == "orchestrator"
    assert shown["RuntimeMaxUSec"] == "6h 30min"
    assert re.fullmatch("/opt/stx-mirror/[^/]+/project", shown["WorkingDirectory"])
    assert "current" not in shown["WorkingDirectory"]
    assert shown["CPUAccounting"] == shown["MemoryAccounting"] == "yes"
    assert shown["KillMode"] == "control-group"


def test_a_failure_is_published_with_its_reason(builder, failed):
    assert_closed(builder, failed, "exit code 3")
    published = builder.json(f"{PUBLIC}/{failed.id}/build.json")
    assert published == builder.record(failed.id)
    assert published["reason"] == "$HOME %n"
    assert published["excerpt"][-1] == "no rule to make target"
    tree = f"{PUBLIC}/{failed.id}"
    builder.sh(f"cd {tree} && sha256sum --quiet --strict -c SHA256SUMS")
    assert builder.host.file(f"{tree}/outputs/fail").content_string.startswith("waiting failed:\n")
    assert builder.host.file(f"{tree}/outputs/logs/waiting.log").exists
    assert not builder.host.file(f"{PUBLIC}/{DIRECTORY}/latest_build").exists


def test_sigkill_to_the_controller_of_a_resumed_build(builder, failed):
    """It has an id of its own; what was left of it can be published all the same."""
    builder.sh(f"rm {failed.workspace}/go")
    builder.begin("build", "--resume", failed.id, "--from", "waiting")
    build = builder.until_ready(PROJECT)
    assert build.id > failed.id
    assert build.workspace == failed.workspace
    builder.sh(f"systemctl kill --kill-whom=main --signal=SIGKILL {UNIT}")
    assert builder.end() == 1
    assert_closed(builder, build, "its controller was killed")
    record = builder.record(build.id)
    assert (record["parent"], record["from_stage"]) == (failed.id, "waiting")
    assert {s["name"]: s["result"] for s in record["stages"]} == {
        "greeting": "skipped",
        # It carries the id of the build.
        "label": "ok",
    }
    done = builder.stx_mirror("publish", build.id)
    assert done.rc == 0, done.stdout
    assert builder.host.file(f"{PUBLIC}/{build.id}/outputs/fail").exists


def test_a_stop(builder, steered):
    assert builder.stx_mirror("stop", REF).rc == 0
    assert_closed(builder, steered, "it was stopped")
    assert "nothing runs" in builder.stx_mirror("stop", REF).stdout


def test_out_of_memory_is_a_failure_of_the_stage(builder, steered):
    """The build goes on to say so, and to publish it."""
    builder.sh(f"systemctl set-property --runtime {UNIT} MemoryMax=500M")
    builder.tell(steered, "exec /usr/bin/python3 -c 'b\"x\" * 700000000'\n")
    assert builder.end() == 1
    assert_closed(builder, steered, "")
    assert builder.attempt(PROJECT)["published"] is True


def test_the_streams_time_limit_ends_a_stage_and_is_published(builder):
    done = builder.stx_mirror("build", "f/short", "--reason", "test")
    assert done.rc == 1
    attempt = builder.attempt("f-short")
    assert "time limit of the stream" in attempt["why"]
    assert attempt["published"] is True
    assert builder.builders_processes() == ""


def test_what_does_not_end_in_time_is_ended_by_systemd(builder):
    """Made short: the real helper leaves half an hour for the build itself."""
    builder.sh(f"sed -i.real 's/^OVERTIME_SECONDS = .*/OVERTIME_SECONDS = -4/' {HELPER}")
    try:
        done = builder.stx_mirror("build", "f/short", "--reason", "test")
    finally:
        builder.sh(f"mv {HELPER}.real {HELPER}")
    assert done.rc == 1
    assert "ran past the time limit" in builder.attempt("f-short")["why"]
    wait_for(lambda: builder.builders_processes() == "")
    for path in builder.sh(f"find {STATE}/builds/feature/short -name build.json").split():
        assert builder.json(path)["finished"] is not None


def build_unit(builder: BuildHost, *words: str, request: str = "{}"):
    quoted = " ".join(f"'{word}'" for word in words)
    return builder.run(f"printf %s '{request}' | sudo -u orchestrator sudo -n {HELPER} {quoted}")


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
def test_other_arguments_are_refused(builder, words):
    """The orchestrator may do this as root, and nothing like it."""
    done = build_unit(builder, *words)
    assert done.rc == 2
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("request_text", ["", "[]", "x", '{"a": "' + "b" * 17000 + '"}'])
def test_other_requests_are_refused(builder, request_text):
    assert build_unit(builder, "start", "master/sample", "60", request=request_text).rc == 2


@pytest.mark.parametrize("command", ["systemctl stop ssh", "-u builder id", "cat /etc/shadow"])
def test_no_other_command_is_allowed(builder, command):
    assert builder.run(f"runuser -u orchestrator -- sudo -n {command}").rc != 0
