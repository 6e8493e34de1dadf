"""sshd, its firewall and who connects agree about the port."""

from __future__ import annotations

import pytest
from conftest import PROJECT, RoleOnHost

TEMPLATES = PROJECT / "roles/hardening/templates"


@pytest.mark.parametrize(
    ("inventory", "port"),
    [({}, 22), ({"ansible_port": 2222}, 2222), ({"hardening_ssh_port": 2222}, 2222)],
)
@pytest.mark.parametrize(
    ("host", "template", "line"),
    [
        ("debian12", "sshd_config.j2", "Port {}"),
        ("debian12", "nftables.conf.j2", "ip saddr 192.0.2.0/28 tcp dport {} accept"),
        ("rocky9", "firewalld-zone.xml.j2", '<port port="{}" protocol="tcp"/>'),
    ],
)
def test_a_server_whose_sshd_listens_elsewhere_stays_reachable(
    inventory, port, host, template, line
):
    role = RoleOnHost("hardening", host)
    role.variables.update({"hardening_admin_networks": ["192.0.2.0/28"], **inventory})
    lines = [text.strip() for text in role.render(TEMPLATES / template).splitlines()]
    assert line.format(port) in lines
    assert line.format(22) not in lines or port == 22
