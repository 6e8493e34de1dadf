"""A status that cannot be written fails no build: the role itself, on a read-only disk."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
PLAY = """\
- hosts: localhost
  connection: local
  gather_facts: false
  roles:
    - role: report
      report_ref: master
      report_request: 20261120T020000Z-0a1b2c
      report_started: "2026-11-20T02:00:00Z"
      report_reason: nightly
      report_trigger: cron
      report_build_id: ""
      report_nothing_new: false
      report_why: no room
  post_tasks:
    - name: Show that the play goes on
      ansible.builtin.debug:
        var: report_done.failed
"""
READ_ONLY = 'mount -t tmpfs -o ro none /var/lib && exec "$@"'


@pytest.mark.skipif(
    subprocess.run(["unshare", "-rm", "true"], check=False, capture_output=True).returncode != 0,
    reason="no name spaces can be made here",
)
def test_a_status_that_cannot_be_written_is_said_and_ends_nothing(tmp_path):
    (tmp_path / "play.yml").write_text(PLAY)
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"),
        "ANSIBLE_LOCAL_TEMP": str(tmp_path / "tmp"),
        "ANSIBLE_REMOTE_TEMP": str(tmp_path / "tmp"),
        "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default",
    }
    python = shutil.which("python3")
    done = subprocess.run(
        [
            *("unshare", "-rm", "sh", "-c", READ_ONLY, "sh"),
            *("ansible-playbook", "-i", "localhost,", str(tmp_path / "play.yml")),
            *("-e", json.dumps({"ansible_python_interpreter": python})),
        ],
        check=False,
        capture_output=True,
        text=True,
        cwd=PROJECT,
        env=environment,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The status was not written: " in done.stdout
    assert "Read-only file system" in done.stdout
    assert "Show that the play goes on" in done.stdout
