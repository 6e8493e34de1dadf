"""Provisioning again, and comparing with the code."""

from __future__ import annotations

import re
import subprocess

from conftest import PROJECT


def provision() -> str:
    """Run the playbook as the demo does and return what it said."""
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
    return done.stdout


def drift() -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(PROJECT / "script/drift"), "-i", "inventories/demo"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_somebody_changed_is_told_and_only_that_is_mended(mirror):
    """A second run changes nothing but what differs; the nightly comparison names it before."""
    mirror.script("echo 'Welcome to the build server of Example' >/etc/issue.net")
    compared = drift()
    assert compared.returncode == 1, compared.stdout + compared.stderr
    assert "/etc/issue.net" in compared.stdout
    assert "banner |" in mirror.run("cat", "/var/lib/stx-watch/drift.json").stdout

    said = provision()
    assert re.search(r"builder .* changed=0 ", said), said[-4000:]
    # The file, and what aide remembers of it.
    assert re.search(r"mirror .* changed=2 ", said), said[-4000:]
    assert "Example" not in mirror.run("cat", "/etc/issue.net").stdout
    mirror.script("while [ $(systemctl is-active aide-accept) = activating ]; do sleep 1; done")
    compared = mirror.run(
        *("aide", "--config=/etc/aide/aide.conf", "--limit=/etc/issue", "--check"), check=False
    )
    assert compared.returncode == 0, compared.stdout


def test_build_team_playbook_behaves_like_the_command(builder):
    """`ansible-playbook playbooks/build.yml -e stream=...` on the builder takes the same lock."""
    done = builder.script(
        "cd /opt/stx-mirror/current/project && "
        "../venv/bin/ansible-playbook playbooks/build.yml -e stream=master -e reason=test 2>&1",
        user="orchestrator",
    )
    assert "failed=0" in done
    assert re.search(r"nothing new|no source has changed", done, re.IGNORECASE)
