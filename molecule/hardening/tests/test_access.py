"""The clock, the banner, the journal."""

from __future__ import annotations

import re

testinfra_hosts = ["podman://mol-hardening-builder", "podman://mol-hardening-mirror"]


def test_the_banner_is_shown_and_names_nothing(outside, host):
    """Who knocks learns neither whose host it is nor where."""
    done = outside.run(
        "ssh -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null "
        "-i /root/stranger alice@mirror true"
    )
    assert "Authorized users only." in done.stderr
    names = host.check_output("hostname"), *host.check_output("hostname -I").split()
    for path in ("/etc/issue", "/etc/issue.net", "/etc/motd"):
        text = host.file(path).content_string
        assert "Authorized users only." in text
        assert not any(name in text for name in names)
        assert "Debian" not in text
        assert "\\" not in text


def test_chrony_has_its_sources_and_serves_nobody(host):
    """In a container it cannot set the clock; what it would do is checked by itself."""
    text = host.check_output("chronyd -p -f /etc/chrony/chrony.conf")
    assert re.search(r"^(pool|server) \S+ iburst", text, re.MULTILINE)
    assert host.service("chrony").is_enabled
    assert host.run("systemctl is-failed chrony").stdout.strip() != "failed"
    assert host.check_output("timedatectl show -p CanNTP --value || true") in ("yes", "no")


def test_the_journal_is_on_disk_and_bounded(host):
    host.check_output("logger --tag probe kept; journalctl --sync")
    assert "kept" in host.check_output("journalctl --directory=/var/log/journal -t probe")
    settings = host.check_output("systemd-analyze cat-config systemd/journald.conf")
    assert "SystemMaxUse=2G" in settings


def test_the_log_files_are_written_and_closed(host):
    host.check_output("logger -p auth.notice --tag probe also-here")
    host.check_output(
        "timeout 60 sh -c 'until grep -qs also-here /var/log/auth.log; do sleep 0.2; done'"
    )
    assert host.file("/var/log/auth.log").mode & 0o037 == 0


def test_nothing_failed_to_start(host):
    """A unit that a container cannot run must say so by a condition, not by a failure."""
    failed = host.check_output("systemctl --failed --no-legend --plain")
    assert not re.search(r"chrony|nftables|rsyslog|journald|stx-|ssh", failed), failed
