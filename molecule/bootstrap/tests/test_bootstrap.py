"""First contact: the admin is in before the old way is closed, and it is closed then."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import testinfra

KEYS = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
PROJECT = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])
SCENARIO = Path(os.environ["MOLECULE_SCENARIO_DIRECTORY"])
DONE = ("mol-bootstrap", "mol-bootstrap-sudo")
ODD = "mol-bootstrap-odd"
CLOSED = "/etc/ssh/sshd_config.d/05-stx-bootstrap.conf"


def ssh(host: str, account: str, command: str, *, key: str | None = None):
    """Come in with a key, or else with the password that the server came with."""
    template = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    address = subprocess.run(
        ["podman", "inspect", "--format", template, host],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    way = (
        ["-i", str(KEYS / key), "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes"]
        if key
        else ["-o", "PubkeyAuthentication=no", "-o", "NumberOfPasswordPrompts=1"]
    )
    return subprocess.run(
        [
            "ssh", "-F", "none", *way, "-o", "StrictHostKeyChecking=no", "-o", "LogLevel=ERROR",
            "-o", "UserKnownHostsFile=/dev/null", f"{account}@{address}", command,
        ],
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
        env=os.environ | {"SSH_ASKPASS": str(KEYS / "askpass"), "SSH_ASKPASS_REQUIRE": "force"},
    )  # fmt: skip


def bootstrap(*arguments: str):
    """Run the playbook against the odd server, as molecule runs it."""
    return subprocess.run(
        [
            "ansible-playbook", "-i", str(KEYS / "inventory"), "-i", str(KEYS / "odd.yml"),
            *arguments, str(SCENARIO / "converge.yml"),
        ],
        check=False,
        capture_output=True,
        text=True,
        timeout=200,
        cwd=PROJECT,
        env=os.environ
        | {"ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"), "ANSIBLE_STDOUT_CALLBACK": "default"},
    )  # fmt: skip


def said(run) -> str:
    """What the run said, without its line breaks."""
    return " ".join(run.stdout.split())


@pytest.mark.parametrize("name", DONE)
def test_admin_manages_with_the_key(name):
    assert ssh(name, "anna", "sudo -n id -un", key="anna").stdout.strip() == "root"


@pytest.mark.parametrize("name", DONE)
@pytest.mark.parametrize("account", ["root", "installer", "anna"])
def test_passwords_let_nobody_in(name, account):
    answer = ssh(name, account, "true")
    assert answer.returncode == 255
    assert "Permission denied (publickey)" in answer.stderr


@pytest.mark.parametrize("name", DONE)
def test_root_comes_in_by_no_way(name):
    """Not even with a key of its own."""
    host = testinfra.get_host(f"podman://{name}")
    assert "permitrootlogin no" in host.check_output("sshd -T").splitlines()


def test_the_first_account_s_sudo_has_ended():
    """Whatever gave it, the installer's own file here; the files of the account stay."""
    host = testinfra.get_host("podman://mol-bootstrap-sudo")
    asked = host.run("runuser -u installer -- sh -c 'echo first-password | sudo -S true'")
    assert asked.rc != 0
    assert host.check_output("getent shadow installer").split(":")[1].startswith("!")
    assert host.file("/etc/sudoers.d/90-installer").exists
    assert host.file("/home/installer").exists
    assert host.run("visudo --check --strict").rc == 0


@pytest.fixture(scope="module")
def odd():
    """The server whose sshd listens to no drop-in for passwords."""
    return testinfra.get_host(f"podman://{ODD}")


def test_nobody_is_touched_without_an_admin_who_becomes_root(odd):
    run = bootstrap("-l", ODD, "-e", "bootstrap_test_team=security")
    assert run.returncode != 0
    assert "users_admins (group_vars/all/people.yml): nobody could become root" in said(run)
    assert not odd.user("anna").exists


def test_the_old_way_stays_when_the_admin_was_not_seen_to_come_in(odd):
    """The admin's private key here belongs to none that the inventory lists."""
    run = bootstrap("-l", ODD, "-e", "bootstrap_test_key=stranger")
    assert run.returncode != 0
    assert "does not come in with a key and become root" in said(run)
    assert "root still gets in as before" in said(run)
    assert not odd.file(CLOSED).exists
    assert ssh(ODD, "root", "true").returncode == 0


def test_the_old_way_is_opened_again_when_it_could_not_be_closed(odd):
    """By half would be worse than not at all: nobody would look again."""
    run = bootstrap("-l", ODD)
    assert run.returncode != 0
    assert "could not be closed, so it stays open" in said(run)
    assert "begins with `Include" in said(run)
    assert not odd.file(CLOSED).exists
    assert ssh(ODD, "root", "true").returncode == 0
    assert ssh(ODD, "anna", "sudo -n true", key="anna").returncode == 0


def test_who_gets_in_by_no_way_is_told_what_to_do():
    run = bootstrap("-l", DONE[0], "-e", "bootstrap_test_key=stranger")
    assert run.returncode != 0
    assert "Nobody gets into mol-bootstrap" in said(run)
    assert "Nothing was changed" in said(run)
