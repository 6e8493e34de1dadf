"""Who gets in by ssh, and how well guarded the way is."""

from __future__ import annotations

import pytest

testinfra_hosts = ["podman://mol-hardening-builder", "podman://mol-hardening-mirror"]
HOSTS = ["builder", "mirror"]


@pytest.fixture(autouse=True)
def forget_penalties(builder, mirror):
    """OpenSSH 9.8 and later keep an address that only ever fails out for a while."""
    for host in (builder, mirror):
        host.check_output("systemctl reset-failed ssh.service; systemctl restart ssh.service")


@pytest.mark.parametrize("target", HOSTS)
def test_an_admin_gets_in(ssh, target):
    done = ssh("admin", f"alice@{target}", "id -un")
    assert done.stdout.strip() == "alice", done.stderr


@pytest.mark.parametrize("target", HOSTS)
@pytest.mark.parametrize(
    ("key", "account"),
    [
        ("admin", "root"),
        # Has a key, and is in no group that is let in.
        ("admin", "bob"),
        ("stranger", "alice"),
        ("admin", "incoming"),
        ("publish", "alice"),
    ],
)
def test_nobody_else_does(ssh, target, key, account):
    done = ssh(key, f"{account}@{target}")
    assert done.rc == 255
    assert "Permission denied (publickey)" in done.stderr


@pytest.mark.parametrize("target", HOSTS)
def test_no_password_is_asked_for(outside, target):
    """Neither of an admin nor of root: what is not offered cannot be guessed."""
    for account in ("alice", "root"):
        done = outside.run(
            "ssh -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes "
            f"-o PreferredAuthentications=password,keyboard-interactive {account}@{target} true"
        )
        assert done.rc == 255
        assert "Permission denied (publickey)" in done.stderr


def test_the_publishing_account_has_its_command_and_no_shell(ssh):
    assert ssh("publish", "incoming@mirror", "id").stdout.strip() == "only this"
    done = ssh("publish", "incoming@mirror", "sh -i", "-tt")
    assert done.stdout == ""
    assert "PTY allocation request failed" in done.stderr


def test_publishing_takes_more_than_one_session(outside):
    """rsync and mirrorctl come one after the other over one connection, and an admin meanwhile."""
    done = outside.run(
        "for i in 1 2 3 4 5 6; do ssh -o BatchMode=yes -o StrictHostKeyChecking=no "
        "-o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -i /root/publish incoming@mirror x & "
        "done; wait"
    )
    assert done.stdout.split("\n").count("only this") == 6, done.stderr


@pytest.mark.parametrize("target", HOSTS)
def test_nothing_is_forwarded(outside, target):
    """An account that was taken over must not lead further into the network."""
    done = outside.run(
        "ssh -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null "
        f"-i /root/admin -W 127.0.0.1:22 alice@{target} </dev/null"
    )
    assert done.rc != 0


@pytest.mark.parametrize("target", HOSTS)
def test_ssh_audit_finds_nothing(outside, target):
    """No failure and no warning: exit status 3 and 2 stand for those."""
    done = outside.run(
        "env PYTHONPATH=/root/ssh-audit.whl python3 -m ssh_audit.ssh_audit --no-colors "
        f"--level=warn {target}"
    )
    assert done.rc == 0, done.stdout


def test_host_keys(host):
    """Long enough, of two kinds, and readable to root alone."""
    offered = host.check_output("ssh-keyscan 127.0.0.1 2>/dev/null")
    keys = [line.split()[1] for line in offered.splitlines() if not line.startswith("#")]
    assert set(keys) == {"ssh-ed25519", "ssh-rsa"}
    bits = host.check_output("ssh-keygen -l -f /etc/ssh/ssh_host_rsa_key.pub").split()[0]
    assert int(bits) >= 3072
    assert host.file("/etc/ssh/ssh_host_ed25519_key").mode == 0o600


def test_settings_that_take_effect(host):
    """What a file says may be overruled by another; this is what sshd does."""
    text = host.check_output("sshd -T -C user=alice,host=x,addr=192.0.2.1")
    for line in (
        "permitrootlogin no",
        "passwordauthentication no",
        "kbdinteractiveauthentication no",
        "allowgroups stx-admins",
        "allowgroups stx-publishing",
        "loglevel VERBOSE",
        "disableforwarding yes",
        "maxauthtries 4",
        "banner /etc/issue.net",
        "usepam yes",
    ):
        assert line in text.splitlines(), line


def test_a_wrong_configuration_would_not_have_replaced_the_right_one(host):
    """The drop-in alone may be right and the whole wrong; the role checks the whole."""
    host.check_output("echo 'Nonsense yes' >/etc/ssh/sshd_config.d/99-broken.conf")
    try:
        done = host.run("/usr/sbin/sshd -t")
        assert done.rc != 0
    finally:
        host.check_output("rm /etc/ssh/sshd_config.d/99-broken.conf")
    assert host.run("/usr/sbin/sshd -t").rc == 0
