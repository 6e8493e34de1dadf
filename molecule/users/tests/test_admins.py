"""People: what each team may do, and what is left to somebody who was taken off the list."""

from __future__ import annotations

import subprocess
import time

import pytest
from conftest import KEYS

TOMORROW = "now + 1 day"


@pytest.mark.parametrize(("name", "key"), [("anna", "anna"), ("ben", "ben"), ("ben", "ben2")])
def test_admin_comes_in_by_each_key(ssh, name, key):
    assert ssh(name, key, "id -un").stdout.strip() == name


def test_admin_has_an_own_closed_home(host):
    home = host.file("/home/anna")
    assert (home.user, home.group, home.mode) == ("anna", "anna", 0o700)
    assert host.user("anna").shell == "/bin/bash"
    assert host.user("ben").gecos == "Ben Bäcker"


def test_admin_has_no_password_that_could_become_too_old(host):
    """A year later, pam would ask for a new one, and let nobody in."""
    fields = host.check_output("getent shadow anna").split(":")
    assert fields[1] == "*"
    assert fields[4] in ("", "-1")


def test_no_groups_besides_the_teams(host):
    assert set(host.user("anna").groups) == {
        "anna", "stx-admins", "stx-build", "stx-security", "systemd-journal",
    }  # fmt: skip
    assert "stx-build" not in host.user("ben").groups


def test_an_admin_s_own_file_of_keys_counts_for_nothing(ssh):
    """Keys come out of the inventory: an account that was taken over lets no further ones in."""
    key = (KEYS / "stranger.pub").read_text().strip()
    made = ssh("ben", "ben", f"mkdir -p -m 700 .ssh && echo '{key}' >.ssh/authorized_keys")
    assert made.returncode == 0
    assert ssh("ben", "stranger", "true").returncode == 255


def test_team_build_becomes_root(ssh):
    assert ssh("anna", "anna", "sudo -n id -un").stdout.strip() == "root"


@pytest.mark.parametrize(
    "command", ["journalctl --no-pager", "sshd -T", "id -un", "nft list ruleset"]
)
def test_team_security_reads_what_it_audits(ssh, command):
    """Allowed, whether the program is there or not; the last but one is the site's."""
    assert ssh("ben", "ben", f"sudo -n -l {command}").returncode == 0
    assert ssh("ben", "ben", "journalctl -n 1 --no-pager").returncode == 0


@pytest.mark.parametrize(
    "command",
    [
        "true",
        "id",
        "bash",
        "journalctl --vacuum-size=1",
        "nft flush ruleset",
        "ausearch --checkpoint /etc/passwd",
        "lynis audit system --profile /tmp/mine",
        "visudo",
        "-u mirror mirrorctl prune",
        "-u anna true",
    ],
)
def test_team_security_does_nothing_else_as_root(ssh, command):
    assert ssh("ben", "ben", f"sudo -n {command}").returncode != 0


def test_what_is_refused(play):
    """One clear sentence, before anything changes."""
    run = play("--tags", "refused")
    assert run.returncode == 0, run.stdout


@pytest.fixture(scope="module")
def left(host, ssh, ssh_command, play):
    """Takes `gone` off the list while it is at work; returns what it had before and the run."""
    assert ssh("gone", "gone", "sudo -n true; echo kept >kept").returncode == 0
    for command in (
        "echo '* * * * * touch /tmp/by-cron' | crontab -",
        f"echo touch /tmp/by-at | at -M {TOMORROW}",
        # As a person leaves something running: out of the session's reach.
        "setsid nohup sleep 86401 >/dev/null 2>&1 </dev/null & "
        "timeout 60 sh -c 'until pgrep -fx \"sleep 86401\"; do sleep 0.2; done'",
    ):
        assert ssh("gone", "gone", command).returncode == 0
    socket = str(KEYS / "master")
    master = subprocess.Popen(
        ssh_command("gone", "gone", "sleep 86402", "-M", "-S", socket), stdin=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while host.run("pgrep -u gone -fx 'sleep 86402'").rc and time.monotonic() < deadline:
        time.sleep(0.2)
    before = {
        "open": ssh("gone", "gone", "true", "-S", socket).returncode,
        "processes": host.check_output("pgrep -u gone -a"),
        "crontab": host.run("crontab -l -u gone").rc,
        "at": host.check_output("atq"),
        "uid": host.user("gone").uid,
    }
    untouched = host.check_output("getent shadow untouched runner root; id untouched; id runner")
    rehearsal = play("--check")
    rehearsed = host.run("pgrep -u gone -fx 'sleep 86402'").rc
    run = play()
    after = host.check_output("getent shadow untouched runner root; id untouched; id runner")
    yield {
        "before": before,
        "rehearsal": (rehearsal, rehearsed),
        "run": run,
        "master": master,
        "same": untouched == after,
    }
    master.kill()


def test_a_rehearsal_takes_nobody_off(left):
    """The nightly look for differences meets somebody who left before a person does."""
    run, sleeps = left["rehearsal"]
    assert run.returncode == 0, run.stdout
    assert sleeps == 0


def test_who_is_taken_off_loses_what_runs(host, left):
    """Sessions, what was left behind, and the connection that is kept open."""
    assert "86401" in left["before"]["processes"]
    assert "86402" in left["before"]["processes"]
    assert left["before"]["open"] == 0
    assert left["run"].returncode == 0, left["run"].stdout
    assert host.run("pgrep -u gone").rc == 1
    assert left["master"].wait(timeout=10) != 0


def test_who_is_taken_off_loses_what_was_to_run(host, left):
    assert left["before"]["crontab"] == 0
    assert "gone" in left["before"]["at"]
    assert host.run("crontab -l -u gone").rc != 0
    assert "gone" not in host.check_output("atq")


@pytest.mark.usefixtures("left")
def test_who_is_taken_off_does_not_come_in(host, ssh):
    """Not even with a key that the account still has in its own files."""
    assert ssh("gone", "gone", "true").returncode == 255
    assert not host.file("/etc/ssh/authorized_keys.d/gone").exists
    key = (KEYS / "gone.pub").read_text().strip()
    host.check_output("install -d -o gone -g gone -m 700 /home/gone/.ssh")
    host.check_output(f"runuser -u gone -- sh -c 'echo {key} >/home/gone/.ssh/authorized_keys'")
    answer = ssh("gone", "gone", "true")
    assert answer.returncode not in (0, 1)
    host.check_output("rm -r /home/gone/.ssh")
    assert host.user("gone").shell.endswith("nologin")
    assert host.user("gone").expiration_date is not None


@pytest.mark.usefixtures("left")
def test_who_is_taken_off_loses_sudo_and_groups(host):
    assert host.user("gone").groups == ["gone"]
    assert host.run("runuser -u gone -- sudo -n true").rc != 0
    assert "gone" not in host.check_output("cat /etc/sudoers.d/60-stx-build")


def test_who_is_taken_off_keeps_the_files(host, left):
    assert host.user("gone").uid == left["before"]["uid"]
    assert host.file("/home/gone/kept").content_string == "kept\n"


def test_nobody_else_is_touched(left, ssh):
    assert left["same"]
    assert ssh("runner", "runner", "true").returncode == 0
    assert ssh("anna", "anna", "sudo -n true").returncode == 0


@pytest.mark.usefixtures("left")
def test_the_next_run_changes_nothing(play):
    """Who was taken off is done with."""
    assert "changed=0" in play().stdout


@pytest.mark.usefixtures("left")
def test_who_comes_back_has_all_again(host, ssh, play):
    run = play("-e", "users_test_back=1")
    assert run.returncode == 0, run.stdout
    assert ssh("gone", "gone", "sudo -n cat kept").stdout == "kept\n"
    assert host.user("gone").shell == "/bin/bash"
