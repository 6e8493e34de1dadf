"""The small programs that roles run on a host to ask it something."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import PROJECT

LOCK_HOLDER = (PROJECT / "roles/packages/files/lock-holder").read_text()
HOLD = """
import fcntl, sys, time
file = open(sys.argv[1], "w")
fcntl.lockf(file, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(float(sys.argv[2]))
"""


def wait_for(seconds: float, *locks: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", LOCK_HOLDER, str(seconds), *map(str, locks)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def hold(tmp_path):
    """Have another process hold a lock as apt does, for some seconds."""
    started: list[subprocess.Popen[str]] = []

    def begin(seconds: float) -> tuple[Path, int]:
        lock = tmp_path / "lock"
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(lock), str(seconds)], stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        return lock, process.pid

    yield begin
    for process in started:
        process.kill()
        process.wait()


def test_who_holds_the_package_manager_s_lock_is_named(hold, tmp_path):
    lock, process = hold(60)
    done = wait_for(0, tmp_path / "none", lock)
    assert done.returncode == 75
    assert done.stdout.startswith("python")
    assert f"(process {process})" in done.stdout


def test_a_lock_is_waited_for(hold):
    lock, _ = hold(2)
    assert wait_for(30, lock).returncode == 0


def test_a_free_lock_costs_no_time(tmp_path):
    (tmp_path / "lock").touch()
    assert wait_for(30, tmp_path / "lock", tmp_path / "none").returncode == 0


@pytest.mark.parametrize(
    ("connection", "port"), [("192.0.2.1 40000 192.0.2.2 2222", "2222"), ("", "")]
)
def test_the_port_that_a_run_came_in_by(connection, port):
    done = subprocess.run(
        ["sh", "-c", (PROJECT / "roles/hardening/files/host-survey").read_text()],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "SSH_CONNECTION": connection},
    )
    first, second, rights = done.stdout.split("\n")[:3]
    assert first == port
    assert second in ("", "container")
    assert int(rights, 16) > 0


def test_people_are_asked_for_as_the_host_has_them():
    """root is known everywhere; an unknown group or name is no failure."""
    script = (PROJECT / "roles/users/files/host-accounts").read_text()
    done = subprocess.run(
        ["sh", "-c", script, "host-accounts", "daemon", "no-such-group", "--", "no-such-person"],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert lines[0].startswith("connected ")
    assert any(line.startswith("group daemon:") for line in lines)
    assert any(line.startswith("passwd root:") for line in lines)
    assert len(lines) == 3


def test_aide_accepts_only_what_a_run_changed(tmp_path):
    """A run that changed nothing must not accept what somebody else changed before it."""
    script = (PROJECT / "roles/hardening/files/aide-accept-changes").read_text()
    etc, excluded, programs = tmp_path / "etc", tmp_path / "etc/stx-mirror", tmp_path / "bin"
    excluded.mkdir(parents=True)
    programs.mkdir()
    (programs / "systemctl").write_text(f'#!/bin/sh\necho "$*" >>{tmp_path}/told\n')
    (programs / "systemctl").chmod(0o755)
    database = tmp_path / "aide.db"
    database.touch()
    (etc / "passwd").touch()

    def accept(began: float) -> bool:
        done = subprocess.run(
            [
                "sh",
                "-c",
                script.replace("/var/lib/aide/aide.db", str(database)),
                *("aide-accept-changes", f"{began:.0f}", str(etc), "--", str(excluded)),
            ],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"},
        )
        return done.stdout == "accepted\n"

    changed = (etc / "passwd").stat().st_ctime
    assert accept(changed - 10)
    assert "restart --no-block aide-accept.service" in (tmp_path / "told").read_text()
    assert not accept(changed + 10)
    (excluded / "watch.json").touch()
    os.utime(etc)
    assert not accept(changed + 10)
    database.unlink()
    assert accept(changed + 10)
