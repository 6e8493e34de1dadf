"""How a command that runs as the builder ends, and what it leaves: nothing."""

from __future__ import annotations

import json
import signal
import time
from hashlib import sha256

import pytest
from sandbox_host import BUILDER, TEMPORARY, Build, Host, builders_processes, wait_for

MB = 1000000


# What a build leaves


def test_git_settings_of_a_build_are_not_those_of_the_next(
    host: Host, master: Build, later: Build, evil: Build
) -> None:
    name = "git config --global --get-regexp . || true"
    assert master.sh(name) == "user.name builder\n"
    master.sh("git config --global url.https://evil.example/.insteadOf https://")
    assert "evil.example" in master.sh(name), "a build keeps its own home"
    for build in (later, evil):
        assert build.sh(name) == "user.name builder\n"
    assert "evil" not in host.path("/home/builder/.gitconfig").read_text()


@pytest.mark.parametrize("directory", TEMPORARY)
def test_temporary_files_are_gone(host: Host, master: Build, directory: str) -> None:
    left = f"{directory}/left-by-a-build"
    master.sh(f"mkdir -p {left}/y; touch {left}/y/z; chmod 500 {left}/y")
    assert master.sh(f"ls -A {directory}") == ""
    assert host.sh(f"find {directory} {master.state} -name left-by-a-build") == ""


def test_keys_that_the_kernel_keeps_are_gone(master: Build) -> None:
    add = (
        "import ctypes; libc = ctypes.CDLL(None);"
        "libc.syscall(248, b'user', b'left', b'secret', 6, -4)"
    )
    master.sh(f'python3 -c "{add}"')
    # The key itself is there for a moment longer, in no keyring.
    keyrings = master.sh("cat /proc/keys").splitlines()
    assert [line.split()[-1] for line in keyrings if f"_uid.{BUILDER}" in line] == ["empty"]


def test_every_process_is_ended_whoever_owns_it(host: Host, master: Build) -> None:
    """Daemons, those that do not listen to SIGTERM, and what a set-uid program became."""
    host.sh("cp /bin/sleep /usr/local/bin/as-root; chmod 4755 /usr/local/bin/as-root")
    before = host.sh("pgrep -c as-root || true")
    assert before == "0\n"
    master.sh(
        "/usr/local/bin/as-root 1000 & "
        "setsid sh -c 'sleep 1000 & sleep 1000 &' ; "
        "(trap '' TERM; setsid setsid sh -c 'trap \"\" TERM; while :; do sleep 1; done' &) ;"
        "sleep 0.3; stat -c %U /proc/[0-9]*/exe 2>/dev/null | sort -u || true",
    )
    assert builders_processes() == []
    assert host.sh("pgrep -c as-root || true") == "0\n"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_helper_that_is_killed_leaves_no_process(host: Host, master: Build, number: int) -> None:
    running = master.start("touch started /tmp/left; exec sleep 1000")
    started = host.path(f"{master.work}/started")
    wait_for(started.exists)
    started.unlink()
    assert builders_processes() != []
    running.send_signal(number)
    running.communicate(timeout=120)
    wait_for(lambda: builders_processes() == [])
    # What it could not tidy up, the next one does.
    master.sh("true")
    assert host.sh(f"find {master.state} -name 'tmp-*'") == ""


def test_commands_of_one_build_may_run_side_by_side(host: Host, master: Build) -> None:
    running = master.start("touch /tmp/first; until test -e go; do sleep 0.1; done; ls /tmp")
    wait_for(lambda: "first" in host.sh(f"find {master.state} -name first"))
    second = master.run(["sh", "-c", "touch go; test ! -e /tmp/first"], log=None)
    assert second["result"] == "ok"
    output, _ = running.communicate(timeout=120)
    assert json.loads(output)["result"] == "ok"
    assert host.path(master.log).read_text().endswith("first\n")
    host.path(f"{master.work}/go").unlink()


# How a command ends


def test_the_verdict_of_a_success(master: Build) -> None:
    began = time.time()
    verdict = master.run(
        ["python3", "-c", "x = bytearray(200_000_000); [i for i in range(5_000_000)]"]
    )
    assert (verdict["result"], verdict["exit_code"], verdict["why"]) == ("ok", 0, "")
    assert 0.05 < verdict["cpu_seconds"] < 20
    assert 200 * MB < verdict["peak_memory_bytes"] < 500 * MB
    assert began <= verdict["started"] <= verdict["finished"] <= time.time()
    assert verdict["seconds"] == pytest.approx(verdict["finished"] - verdict["started"], abs=1)


@pytest.mark.parametrize(
    ("script", "code"), [("exit 3", 3), ("kill -SEGV $$", 139), ("kill -9 $$", 137)]
)
def test_the_verdict_of_a_failure(master: Build, script: str, code: int) -> None:
    verdict = master.run(["sh", "-c", script])
    assert (verdict["result"], verdict["exit_code"]) == ("failed", code)
    assert f"sh ended with exit code {code}" in verdict["why"]


def test_what_a_command_reads(master: Build) -> None:
    """More than its arguments could hold; without any it reads nothing."""
    text = "x\u00e9\n" * (1 << 17)
    assert master.sh("sha256sum", input=text).split()[0] == sha256(text.encode()).hexdigest()
    assert master.sh("cat") == ""


def test_the_time_limit(master: Build) -> None:
    verdict = master.run(["sleep", "1000"], time_limit=1)
    assert (verdict["result"], verdict["exit_code"]) == ("timeout", None)
    assert "time limit of 1 s" in verdict["why"]
    assert 1 <= verdict["seconds"] < 60


@pytest.mark.parametrize(
    ("command", "changes", "reason"),
    [
        (["nonesuch"], {}, "nonesuch was not found in /usr/local/sbin"),
        (["./nonesuch"], {}, "./nonesuch was not found in /localdisk"),
        (["true"], {"chdir": "/import/mirrors/nonesuch"}, "no working directory"),
    ],
)
def test_what_cannot_be_started(
    master: Build, command: list[str], changes: dict[str, str], reason: str
) -> None:
    verdict = master.run(command, **changes)
    assert (verdict["result"], verdict["exit_code"]) == ("not-started", None)
    assert reason in verdict["why"]


def test_a_volume_that_fills_up(host: Host, master: Build) -> None:
    """It ends long before another build finds no room."""
    fill = "dd if=/dev/zero of=fill bs=1M count=130 status=none; sleep 1000"
    verdict = master.run(["sh", "-c", fill], min_free_bytes=150 * MB)
    host.sh(f"rm {master.work}/fill")
    assert (verdict["result"], verdict["exit_code"]) == ("full", None)
    assert "needs 150 MB: free some (`stx-mirror prune`)" in verdict["why"]
    verdict = master.run(["true"], min_free_bytes=10**15)
    assert verdict["result"] == "full"
    assert "was not started" in verdict["why"]


def test_a_file_that_is_too_big(host: Host, master: Build) -> None:
    verdict = master.run(["sh", "-c", "exec dd if=/dev/zero of=big bs=1M"], max_bytes=20 * MB)
    assert host.path(f"{master.work}/big").stat().st_size <= 20 * MB
    host.sh(f"rm {master.work}/big")
    assert (verdict["result"], verdict["exit_code"]) == ("too-big", 153)
    assert "larger than 20 MB" in verdict["why"]


def test_a_build_that_is_too_big(host: Host, master: Build) -> None:
    """Its files together, wherever it has put them."""
    many = (
        "for place in . ~ /tmp; do dd if=/dev/zero of=$place/fill bs=1M count=15 status=none; done;"
        "sleep 1000"
    )
    verdict = master.run(["sh", "-c", many], max_bytes=40 * MB)
    host.sh(f"rm {master.work}/fill {master.state}/home/fill")
    assert (verdict["result"], verdict["exit_code"]) == ("too-big", None)
    assert "more than its limit of 40 MB" in verdict["why"]
