"""What role packages leaves on a host that was bare before."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

MISSING = Path(__file__).resolve().parents[3] / "roles/packages/files/missing-apt"
HOLD = "import fcntl, time; f = open('/var/lib/apt/lists/lock', 'w')"
HOLD += "; fcntl.lockf(f, fcntl.LOCK_EX); open('/root/held', 'w'); time.sleep(600)"


@pytest.mark.parametrize("command", ["sudo", "rsync", "curl", "gpg", "setfacl", "zstd"])
def test_base_tools_run(host, command):
    """The tools that people and the other roles reach for are there."""
    assert host.run("command -v %s", command).rc == 0


def test_extra_packages_are_installed(host):
    """The inventory's own list is added to the base, it does not replace it."""
    assert host.package("tree").is_installed


def test_cron_runs_and_comes_back(host):
    """Nightly builds start by cron; it must survive a restart of the host."""
    service = host.service("cron")
    assert service.is_running, host.run("journalctl -u cron -n 30").stdout
    assert service.is_enabled


def test_secure_connections_are_trusted(host):
    """Certificate authorities are there, or no package or source could be fetched by https."""
    assert host.file("/etc/ssl/certs/ca-certificates.crt").size > 0


def test_nothing_is_left_half_configured(host):
    """dpkg has finished with every package."""
    assert host.check_output("dpkg --audit") == ""


def test_a_list_that_another_program_holds_is_waited_for(host):
    """apt-get has no patience with the lists: automatic updates would end a run with `rc 100`."""
    script = base64.b64encode(MISSING.read_bytes()).decode()
    host.check_output(f"echo {script} | base64 -d >/root/missing-apt")
    host.check_output(f'systemd-run --quiet --unit=holder python3 -c "{HOLD}"')
    host.check_output("timeout 60 sh -c 'until [ -e /root/held ]; do sleep 0.2; done'")
    done = host.run("sh /root/missing-apt 0 htop")
    host.check_output("systemctl stop holder; rm /root/held")
    assert done.rc == 75, done.stderr
    assert "It is held by process" in done.stderr
    # What is installed is answered without the lists.
    assert host.run("sh /root/missing-apt 0 tree").rc == 0


def test_what_is_missing_and_what_can_be_installed_is_told_apart(host):
    script = base64.b64encode(MISSING.read_bytes()).decode()
    host.check_output(f"echo {script} | base64 -d >/root/missing-apt")
    answer = host.check_output("sh /root/missing-apt 86400 tree htop no-such-package")
    assert answer.split("\n") == ["install htop", "missing no-such-package"]
