"""Who gets in by ssh, and how well guarded the way is."""

from __future__ import annotations


def test_configuration_is_valid(host):
    assert host.run("/usr/sbin/sshd -t").rc == 0
