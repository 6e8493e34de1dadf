"""What role packages leaves on a host that was bare before."""

from __future__ import annotations

import pytest


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
