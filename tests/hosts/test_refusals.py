"""A host that cannot become what it should is refused, in one clear sentence, untouched."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest
from conftest import PROJECT


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """What the preflights say, by case."""
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        pytest.skip("needs root on Debian, as the roles do")
    file = tmp_path_factory.mktemp("refusals") / "said.json"
    playbook = PROJECT / "tests/hosts/refusals.yml"
    done = subprocess.run(
        ["ansible-playbook", "-i", "localhost,", playbook, "-e", json.dumps({"said": str(file)})],
        check=False,
        capture_output=True,
        text=True,
        cwd=PROJECT,
        env={
            **os.environ,
            "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"),
            # As if the run had come in over ssh.
            "SSH_CONNECTION": "192.0.2.1 40000 192.0.2.2 2222",
        },
    )
    assert file.is_file(), done.stdout
    # Nothing but this file may be changed on the machine that runs the test.
    assert "changed=1 " in done.stdout, done.stdout
    return json.loads(file.read_text())


def test_a_package_that_the_mirror_lacks(said):
    words = said["a package that the mirror lacks"]
    assert "has another-one, no-such-package." in words
    assert "rsync" not in words
    assert "packages_extra" in words
    assert "roles/packages/vars/Debian.yml" in words


def test_an_unsupported_distribution(said):
    words = said["an unsupported distribution"]
    assert "written for Plan 9" in words
    assert "packages_distributions" in words
    assert "roles/*/vars/" in words


def test_a_host_that_is_too_small(said):
    words = said["a host that is too small"]
    assert "needs 100000 and 0" in words
    assert "build_env_needs" in words
    assert "build_env_size_check: warn" in words
    assert "group_vars/build_hosts/build_env.yml" in words
    assert "needs 0 and 1000000" in said["a disk that is too small"]


def test_a_size_that_was_let_pass_stops_nothing(said):
    """What comes after it is checked all the same."""
    words = said["a size that was let pass"]
    assert "no-such-tool" in words
    assert "build_env_extra_packages (the inventory's group_vars/build_hosts), or " in words


def test_a_port_of_sshd_that_would_lock_the_admins_out(said):
    """sshd_config and the firewall are replaced by ones with the port that the inventory says."""
    words = said["a port of sshd that would lock the admins out"]
    assert "came in by port 2222" in words
    assert "hardening_ssh_port: 2222 into group_vars/all/hardening.yml" in words
    assert "port" not in said["the port of sshd that this run came in by"]
