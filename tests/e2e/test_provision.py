"""Provisioning again changes nothing."""

from __future__ import annotations

import re
import subprocess

from conftest import PROJECT


def test_a_second_run_changes_nothing():
    done = subprocess.run(
        [
            str(PROJECT / ".venv/bin/ansible-playbook"),
            *("-i", "inventories/demo", "playbooks/provision.yml"),
        ],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert re.findall(r"changed=(\d+)", done.stdout) == ["0", "0"], done.stdout[-4000:]


def test_build_team_playbook_behaves_like_the_command(builder):
    """`ansible-playbook playbooks/build.yml -e stream=...` on the builder takes the same lock."""
    done = builder.script(
        "cd /opt/stx-mirror/current/project && "
        "../venv/bin/ansible-playbook playbooks/build.yml -e stream=master -e reason=test 2>&1",
        user="orchestrator",
    )
    assert "failed=0" in done
    assert re.search(r"nothing new|no source has changed", done, re.IGNORECASE)
