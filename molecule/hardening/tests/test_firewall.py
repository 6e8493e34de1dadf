"""What comes in over the network, and what a reload does to who is in."""

from __future__ import annotations

import re

import pytest

testinfra_hosts = ["podman://mol-hardening-builder", "podman://mol-hardening-mirror"]


@pytest.fixture(scope="module", autouse=True)
def listeners(builder, mirror):
    """Something to be found: on each host at 80, 5000, 8088 and, over UDP, nothing."""
    for host in (builder, mirror):
        for port in (80, 5000, 8088):
            host.check_output(
                f"systemd-run --quiet --unit=listen-{port} -p DynamicUser=yes "
                f"-p AmbientCapabilities=CAP_NET_BIND_SERVICE python3 -m http.server {port}"
            )
    yield
    for host in (builder, mirror):
        host.run("systemctl stop listen-80 listen-5000 listen-8088")


def scan(outside, *arguments):
    """Open TCP ports of both hosts, of all that there are, as one address sees them."""
    text = outside.check_output(
        f"nmap -n -Pn -sS -p- --open --min-rate 8000 --max-retries 2 -oG - {' '.join(arguments)} "
        "builder mirror"
    )
    found = {}
    for name in ("builder", "mirror"):
        address = outside.check_output(f"getent hosts {name}").split()[0]
        lines = [line for line in text.splitlines() if f"Host: {address} " in line]
        found[name] = sorted(int(port) for port in re.findall(r"(\d+)/open/", " ".join(lines)))
    return found


def test_an_admin_s_machine_sees_ssh_and_the_mirror_s_pages(outside):
    assert scan(outside) == {"builder": [22], "mirror": [22, 80]}


def test_a_stranger_sees_the_mirror_s_pages_only(outside, stranger):
    device = outside.check_output("ip -o route get 192.0.2.1").split(" dev ")[1].split()[0]
    assert scan(outside, "-S", stranger, "-e", device) == {"builder": [], "mirror": [80]}


def test_the_builder_reaches_the_mirror_s_ssh_and_registry(builder):
    """And nobody reaches the builder, the mirror included."""
    for port in (22, 80, 5000):
        done = builder.run(f"timeout 3 bash -c '</dev/tcp/mirror/{port}'")
        assert done.rc == 0, port
    assert builder.run("timeout 2 bash -c '</dev/tcp/mirror/8088'").rc == 124


def test_the_mirror_reaches_nothing_of_the_builder(mirror):
    for port in (22, 80, 8088):
        assert mirror.run(f"timeout 2 bash -c '</dev/tcp/builder/{port}'").rc == 124, port


def test_names_resolve_and_the_host_reaches_itself(host):
    assert host.run("getent hosts outside").rc == 0
    assert host.run("timeout 3 bash -c '</dev/tcp/127.0.0.1/8088'").rc == 0
    assert host.run("timeout 3 bash -c '</dev/tcp/::1/22'").rc == 0


def test_ping_is_answered(outside):
    assert outside.run("nmap -n -sn -PE --disable-arp-ping builder -oG - | grep -q Up").rc == 0


def test_a_connection_lives_through_a_reload(outside, builder):
    """Somebody's shell, an rsync of a night's build: neither may end because of new rules."""
    outside.check_output("rm -f /root/live.log")
    builder.check_output("rm -f /tmp/reloaded")
    outside.check_output(
        "ssh -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null "
        "-o LogLevel=ERROR -i /root/admin alice@builder "
        "'while [ ! -e /tmp/reloaded ]; do echo alive; sleep 0.2; done; echo to the end' "
        ">/root/live.log 2>&1 </dev/null &"
    )
    # With a limit, since nothing would say it if the connection were lost.
    wait = "timeout 60 sh -c 'until grep -q \"%s\" /root/live.log; do sleep 0.2; done'"
    outside.check_output(wait % "alive")
    builder.check_output("systemctl reload nftables")
    builder.check_output("nft -f /etc/nftables.conf")
    builder.check_output("systemctl restart nftables")
    builder.check_output("touch /tmp/reloaded")
    outside.check_output(wait % "to the end")


def test_others_tables_stay(builder):
    """podman's, mock's, libvirt's: without them a running build has no network."""
    builder.check_output("nft add table ip others")
    builder.check_output("nft add chain ip others keep")
    builder.check_output("systemctl restart nftables")
    assert "chain keep" in builder.check_output("nft list table ip others")
    builder.check_output("nft delete table ip others")


def test_rules_hold_for_ipv6_and_for_what_is_passed_on(host):
    rules = host.check_output("nft list table inet filter")
    for chain in ("input", "forward", "output"):
        assert re.search(rf"hook {chain} priority filter; policy drop", rules), chain
    assert "nd-neighbor-solicit" in rules


def test_rules_come_back_after_a_restart(host):
    assert host.service("nftables").is_enabled
    assert host.file("/etc/nftables.conf").mode == 0o600


def test_what_is_dropped_is_counted(host):
    assert re.search(
        r"counter packets [1-9]", host.check_output("nft list chain inet filter input")
    )
