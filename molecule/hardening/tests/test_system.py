"""What a hardened system keeps people from, and what it must not keep builds from."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scan"))
import judge

PROJECT = Path(__file__).resolve().parents[3]


def test_audit_rules_are_whole_and_closed_last(host):
    """What comes after the closing line would never be loaded."""
    made = host.check_output("cat $(ls /etc/audit/rules.d/*.rules | sort)").splitlines()
    rules = [line for line in made if line.startswith("-")]
    assert rules[-1] == "-e 2"
    assert host.run("augenrules --check").rc == 0
    assert any("-F path=/usr/bin/sudo " in rule for rule in rules)


def test_the_server_stops_for_the_audit_only_where_nothing_else_fills_its_disk(builder, mirror):
    """A build that fills the disk must not halt the server."""
    for host, action in ((builder, "syslog"), (mirror, "halt")):
        conf = host.file("/etc/audit/auditd.conf").content_string
        assert f"\nadmin_space_left_action = {action}\n" in conf
        assert f"\ndisk_full_action = {action}\n" in conf


def test_what_the_kernel_below_decides_is_written(host):
    """The scan takes it that a real machine would have these settings."""
    written = host.file("/etc/sysctl.d/98-hardening.conf").content_string.splitlines()
    names = {line.partition(" = ")[0].replace(".", "_") for line in written}
    excused = {
        rule.removeprefix("sysctl_")
        for waiver in judge.waivers()
        for rule in waiver["rules"]
        if waiver["kind"] == "real-machine" and rule.startswith("sysctl_")
    }
    assert "vm_mmap_min_addr" in excused
    assert excused <= names


def test_the_log_goes_to_the_log_host_as_the_scanner_wants_it(builder, mirror):
    """Encrypted, and to nobody but that host; without one nowhere."""
    path = "/etc/rsyslog.d/10-stx-hardening.conf"
    sent = mirror.file(path).content_string
    assert 'StreamDriverAuthMode="x509/name"' in sent
    assert mirror.run("rsyslogd -N1").rc == 0
    assert "omfwd" not in builder.file(path).content_string


def test_settings_of_the_network_are_in_force(host):
    with host.sudo():
        assert host.sysctl("net.ipv4.conf.all.rp_filter") == 1
        assert host.sysctl("net.ipv6.conf.all.accept_redirects") == 0


def test_nothing_dumps_its_memory(host):
    limits = host.file("/etc/security/limits.d/90-hardening.conf").content_string
    assert "* hard core 0" in limits
    session = "su -s /bin/sh -c 'ulimit -H -c' bob"
    assert host.check_output(session) == "0"
    others = host.check_output("grep -rhs 'hard *core *[^0 ]' /etc/security/limits.d || true")
    assert others == ""


def test_rsync_needs_no_daemon(host):
    assert host.run("systemctl is-enabled rsync.service").stdout.strip() == "masked"


def test_wrong_passwords_lock_an_account(host):
    """As CIS wants it: before the password is looked at, and after it was wrong."""
    stack = host.file("/etc/pam.d/common-auth").content_string
    assert stack.index("preauth") < stack.index("pam_unix.so") < stack.index("authfail")
    assert "nullok" not in stack


def test_old_passwords_are_remembered_by_one_module(host):
    """ANSSI and CIS agree on pam_pwhistory; pam_unix would keep a second list, in an older form."""
    lines = host.file("/etc/pam.d/common-password").content_string.splitlines()
    remember = [line.split()[2] for line in lines if "remember=" in line and line[0] != "#"]
    assert remember == ["pam_pwhistory.so"]


def test_keys_of_accounts_without_a_password_go_on_working(host):
    """An account that ages without a password would refuse its owner's key after a year."""
    for line in host.check_output("cat /etc/shadow").splitlines():
        name, password, _, _, most, _, inactive = line.split(":")[:7]
        if not password.startswith("$"):
            assert int(most or -1) in (-1, 99999), name
            assert inactive == "", name


@pytest.mark.parametrize("name", ["alice", "bob", "nobody"])
def test_nobody_but_root_has_jobs_of_cron(host, name):
    assert "not allowed" in host.run(f"runuser -u {name} -- crontab -l").stderr
    assert "not allowed" not in host.run("crontab -l").stderr


@pytest.fixture
def permissions(tmp_path):
    """Play that part of the role again, with other values."""
    connection = "ansible_connection=containers.podman.podman"
    hosts = "".join(f"mol-hardening-{n} {connection}\n" for n in ("builder", "mirror", "outside"))
    groups = "[build_hosts]\nmol-hardening-builder\n[mirrors]\nmol-hardening-mirror\n"
    (tmp_path / "hosts").write_text(hosts + groups)
    (tmp_path / "group_vars").symlink_to(PROJECT / "molecule/shared/group_vars")

    def play(**values) -> None:
        done = subprocess.run(
            [
                *("ansible-playbook", "molecule/hardening/converge.yml", "-i", tmp_path / "hosts"),
                *("--tags", "hardening_permissions", "-e", json.dumps(values)),
            ],
            cwd=PROJECT,
            env={
                **os.environ,
                "ANSIBLE_LOCAL_TEMP": str(tmp_path),
                "ANSIBLE_CONFIG": "ansible.cfg",
            },
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    yield play
    play(hardening_permissions_cron_users=[])


def test_who_may_have_jobs_has_them(mirror, permissions):
    """Whatever mask the file is written under: crontab, which is not root's, reads it."""
    permissions(hardening_permissions_cron_users=["bob"])
    mirror.check_output("echo '0 1 * * * true' >/tmp/jobs; chmod 644 /tmp/jobs")
    mirror.check_output("runuser -u bob -- crontab /tmp/jobs")
    assert "0 1 * * * true" in mirror.check_output("runuser -u bob -- crontab -l")
    mirror.check_output("runuser -u bob -- crontab -r; rm /tmp/jobs")
    assert "not allowed" in mirror.run("runuser -u alice -- crontab -l").stderr


def test_what_root_makes_through_sudo_others_can_read(host):
    """Packages and programs that an admin's Ansible installs must be of use to services."""
    made = host.run("su -s /bin/sh -c 'umask 077; sudo sh -c umask' alice 2>/dev/null")
    assert host.run("visudo --check").rc == 0
    if made.rc == 0:
        assert made.stdout.strip() == "0022"


@pytest.mark.parametrize("module", ["squashfs", "overlay", "loop", "isofs", "udf", "vfat", "tun"])
def test_modules_that_builds_need_are_not_blocked(host, module):
    blocked = host.check_output("cat /etc/modprobe.d/*.conf")
    assert f"install {module} " not in blocked
    assert f"blacklist {module}\n" not in blocked


def test_builds_make_name_spaces(host):
    """mock, sbuild and rootless containers begin with one."""
    assert host.run("setpriv --reuid=nobody --clear-groups unshare --user true").rc == 0


def test_a_changed_program_is_noticed(host):
    """The nightly comparison names what was changed since it was accepted."""
    for _ in range(90):
        if host.run("systemctl is-active aide-accept").stdout.strip() != "activating":
            break
        host.run("sleep 1")
    assert host.file("/var/lib/aide/aide.db").exists
    host.check_output("touch /usr/local/sbin/stranger")
    try:
        said = host.run("aide --config=/etc/aide/aide.conf --limit=/usr/local --check").stdout
    finally:
        host.check_output("rm /usr/local/sbin/stranger")
    assert "/usr/local/sbin/stranger" in said
