"""Accounts of services: what they may do, and what they may not."""

from __future__ import annotations

import pytest
from conftest import KEYS


def test_groups_share_their_number(host):
    """StarlingX's tools ask for cgts, mock for mock; files of both belong to the builder."""
    assert host.group("cgts").gid == 751
    assert host.group("mock").gid == 751


def test_accounts_are_in_their_groups(host):
    """Both names, although the number is the same; and the primary group that was asked for."""
    runner = host.check_output("id -nG runner").split()
    assert set(runner) >= {"runner", "cgts"}
    assert "runner" in host.check_output("getent group mock")
    assert host.user("worker").group == "cgts"


def test_no_account_has_a_password(host):
    """Not even one that nobody knows."""
    for account in ("runner", "worker", "jailed"):
        assert host.check_output(f"getent shadow {account}").split(":")[1] == "*"


def test_homes_are_closed_unless_said_otherwise(host):
    """Keys and records lie there."""
    assert host.file("/var/lib/runner").mode == 0o750
    assert host.file("/var/lib/runner").user == "runner"
    assert host.file("/home/worker").mode == 0o755


def test_account_becomes_whom_it_may(host):
    """The orchestrator runs stages as the builder, without a password, from no terminal."""
    assert host.check_output("runuser -u runner -- sudo -n -u worker id -un") == "worker"
    assert host.check_output("runuser -u runner -- sudo -n id -u") == "0"


@pytest.mark.parametrize(
    "command",
    [
        "runuser -u runner -- sudo -n id",
        "runuser -u runner -- sudo -n id -u -n",
        "runuser -u runner -- sudo -n -u jailed true",
        "runuser -u worker -- sudo -n -u runner true",
        "runuser -u worker -- sudo -n true",
    ],
)
def test_account_becomes_nobody_else(host, command):
    """Rules hold for exactly what they name; those that were taken away are gone."""
    assert host.run(command).rc != 0


def test_what_a_service_starts_as_another_stays_in_its_unit(host):
    """A PAM session would move it out, and a build that is ended would leave stages behind."""
    assert "!pam_session" in host.check_output("sudo -l -U runner")


def test_sudo_has_no_fault(host):
    """One bad file would take sudo away from everybody."""
    assert host.run("visudo --check --strict").rc == 0


def test_account_comes_in_by_its_key(ssh):
    assert ssh("runner", "runner", "id -un").stdout.strip() == "runner"


def test_forced_command_is_all_that_there_is(ssh):
    """Whatever is asked for, this one thing runs; no terminal, no tunnel."""
    assert ssh("jailed", "jailed", "id").stdout.strip() == "only this"
    tunnel = ssh(
        "jailed", "jailed", "", "-N", "-o", "ExitOnForwardFailure=yes", "-W", "127.0.0.1:22"
    )
    assert "SSH-2.0" not in tunnel.stdout


@pytest.mark.parametrize(
    ("account", "key"), [("runner", "stranger"), ("runner", "jailed"), ("worker", "runner")]
)
def test_nobody_else_comes_in(ssh, account, key):
    """Not with a foreign key, not with another account's, not to an account without keys."""
    assert ssh(account, key, "true").returncode == 255


def test_account_cannot_let_further_keys_in(host, ssh):
    """An account that was taken over for an hour must not stay open for ever."""
    key = (KEYS / "stranger.pub").read_text().strip()
    host.check_output("runuser -u runner -- mkdir -p -m 700 /var/lib/runner/.ssh")
    host.check_output(
        f"runuser -u runner -- sh -c 'echo {key} >/var/lib/runner/.ssh/authorized_keys'"
    )
    assert ssh("runner", "stranger", "true").returncode == 255
    assert host.run("runuser -u runner -- sh -c 'echo >>/etc/ssh/authorized_keys.d/runner'").rc != 0


def test_passwords_let_nobody_in(host, ssh):
    """sshd as it runs, not as a file says: it must not even offer to ask."""
    settings = host.check_output("sshd -T").splitlines()
    assert "passwordauthentication no" in settings
    assert "kbdinteractiveauthentication no" in settings
    assert "permitrootlogin without-password" in settings
    answer = ssh("untouched", "stranger", "true", "-o", "PreferredAuthentications=password")
    assert "Permission denied (publickey)" in answer.stderr


def test_a_fault_in_another_file_stops_a_good_one(host):
    """sshd would not start again with the whole, so the new file must not get into place."""
    ask = (
        "/usr/local/libexec/stx-mirror/check-sshd /etc/ssh/sshd_config.d/10-stx-mirror.conf 10.conf"
    )
    assert host.run(ask).rc == 0
    host.check_output("echo 'Nonsense yes' >/etc/ssh/sshd_config.d/99-other.conf")
    answer = host.run(ask)
    host.check_output("rm /etc/ssh/sshd_config.d/99-other.conf")
    assert answer.rc != 0
    assert "Nonsense" in answer.stderr


def test_other_accounts_stay_as_they_were(host):
    """The role adds; whom the admin made by hand is not its business."""
    assert "users" in host.user("untouched").groups


def test_files_say_who_wrote_them(host):
    for path in (
        "/etc/ssh/sshd_config.d/10-stx-mirror.conf",
        "/etc/ssh/authorized_keys.d/runner",
        "/etc/ssh/sshd_config.d/15-stx-admins.conf",
        "/etc/ssh/sshd_config.d/20-stx-account-runner.conf",
        "/etc/ssh/authorized_keys.d/anna",
        "/etc/sudoers.d/50-runner",
        "/etc/sudoers.d/60-stx-build",
    ):
        assert "Written by Ansible" in host.file(path).content_string
