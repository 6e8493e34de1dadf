"""What a comparison with the code shows, and what it must not show."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
PHRASE = "correct horse battery staple"
KEY_LINES = ["b3BlbnNzaC1rZXktdjEAAAAA", "QyNTUxOQAAACBzZWNyZXRzZWNy"]

# `ignore_errors`: the words of a failure that a play ignores must stay out of sight, too.
PLAYBOOK = """
- name: A play
  hosts: all
  gather_facts: false
  tasks:
    - name: role | Write a secret with a diff
      ansible.builtin.template:
        src: {here}/secret.j2
        dest: {here}/out.txt
        mode: "0600"
      notify: A handler
    - name: role | Write nothing new
      ansible.builtin.copy:
        content: same
        dest: {here}/same.txt
        mode: "0600"
    - name: role | Fail over a secret
      ansible.builtin.fail:
        msg: "cannot use {{{{ vault_password }}}}"
      ignore_errors: true
    - name: role | Fail and be rescued
      block:
        - name: role | Fail
          ansible.builtin.fail:
      rescue:
        - name: role | Go on
          ansible.builtin.debug:
            msg: "{{{{ inline }}}}"
  handlers:
    - name: A handler
      ansible.builtin.debug:
        msg: x
      changed_when: true
"""


@pytest.fixture
def site(tmp_path):
    """A playbook and an inventory with two vaults: a file's, and a single value's."""
    ansible = Path(sys.executable).parent
    password = tmp_path / "password"
    password.write_text("x")
    inner = subprocess.run(
        [ansible / "ansible-vault", "encrypt_string", "--vault-password-file", password, PHRASE],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    group = tmp_path / "group_vars/all"
    group.mkdir(parents=True)
    (group / "vars.yml").write_text(f"password: '{{{{ vault_password }}}}'\ninline: {inner}\n")
    secrets = {"vault_password": "p4ss:w0rd", "vault_key": {"private": "\n".join(KEY_LINES)}}
    (group / "vault.yml").write_text(json.dumps(secrets))
    subprocess.run(
        [
            ansible / "ansible-vault",
            "encrypt",
            "--vault-password-file",
            password,
            group / "vault.yml",
        ],
        check=True,
        capture_output=True,
    )
    (tmp_path / "hosts").write_text("one ansible_connection=local\n")
    (tmp_path / "secret.j2").write_text(
        "password={{ password }}\n{{ vault_key.private }}\ninline={{ inline }}\nplain=shown\n"
    )
    (tmp_path / "same.txt").write_text("same")
    (tmp_path / "same.txt").chmod(0o600)
    return tmp_path


def compare(site, playbook=PLAYBOOK, *options):
    (site / "play.yml").write_text(playbook.format(here=site))
    done = subprocess.run(
        [
            *(Path(sys.executable).parent / "ansible-playbook", "play.yml", "-i", "hosts"),
            *("--check", "--diff", "--vault-password-file", "password", "-vv"),
            *options,
        ],
        cwd=site,
        check=False,
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "ANSIBLE_CALLBACK_PLUGINS": str(PROJECT / "callback_plugins"),
            "ANSIBLE_STDOUT_CALLBACK": "drift",
            "ANSIBLE_LOCAL_TEMP": str(site / "tmp"),
            "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
            "STX_DRIFT_RESULT": str(site / "result.json"),
        },
    )
    return done, json.loads((site / "result.json").read_text())


def test_what_would_change_is_listed_and_no_secret_is_shown(site):
    done, result = compare(site)
    assert done.returncode == 0, done.stdout + done.stderr
    shown = done.stdout + done.stderr + json.dumps(result)
    for secret in (PHRASE, "p4ss:w0rd", *KEY_LINES):
        assert secret not in shown
    assert "+password=[secret]" in done.stdout
    assert "+inline=[secret]" in done.stdout
    assert "+plain=shown" in done.stdout
    assert result["verdict"] == "differs"
    assert result["hosts"] == {
        "one": {"changes": ["role | Write a secret with a diff"], "failed": []}
    }
    assert not (site / "out.txt").exists(), "a comparison changes nothing"
    assert result["partial"] is False


def test_a_part_is_known_as_one(site):
    """Else a host would be told that nothing differs, by a run that looked at little."""
    _, result = compare(site, PLAYBOOK, "--tags", "no_such_tag")
    assert result["partial"] is True
    _, result = compare(site, PLAYBOOK, "--skip-tags", "x")
    assert result["partial"] is True


def test_the_same_is_the_same(site):
    playbook = PLAYBOOK.replace("- name: role | Write a secret", "- name: role | Write it").replace(
        "{here}/secret.j2", "{here}/same.txt"
    )
    shutil.copy(site / "same.txt", site / "out.txt")
    _, result = compare(site, playbook)
    assert result["verdict"] == "same"
    assert result["hosts"]["one"] == {"changes": [], "failed": []}


def test_a_host_that_fails_is_not_the_same(site):
    done, result = compare(site, PLAYBOOK.replace("      ignore_errors: true\n", ""))
    assert done.returncode == 2
    assert "p4ss" not in done.stdout
    assert result["verdict"] == "failed"
    assert result["hosts"]["one"]["failed"] == ["role | Fail over a secret"]


def test_a_host_that_another_one_s_failure_left_out_is_not_the_same(site):
    """The checks before the first role stop all hosts as soon as one of them fails."""
    (site / "hosts").write_text("[all]\none\ntwo\n[all:vars]\nansible_connection=local\n")
    first = """
- name: A check
  hosts: all
  gather_facts: false
  any_errors_fatal: true
  tasks:
    - name: Fail on one
      ansible.builtin.assert:
        that: inventory_hostname != 'one'
"""
    _, result = compare(site, first + PLAYBOOK)
    assert result["verdict"] == "failed"
    assert result["hosts"]["one"]["failed"] == ["Fail on one"]
    assert result["hosts"]["two"]["failed"] == ["(the run ended before all of it was played)"]
