"""What the mirror has after builds were published to it over ssh, by the real accounts."""

from __future__ import annotations

import json

PUBLIC = "/srv/mirror/public/master/sample"


def dates(host):
    return sorted(host.check_output("ls /localdisk/publish/master/sample").split())


def test_both_builds_are_there_and_whole(host):
    for date in dates(host):
        host.check_output(f"cd {PUBLIC}/{date} && sha256sum --quiet --strict -c SHA256SUMS")


def test_the_alias_points_at_the_newest(host):
    assert host.file(f"{PUBLIC}/latest_build").linked_to == f"{PUBLIC}/{dates(host)[-1]}"


def test_what_both_builds_have_was_sent_once(host):
    """The second build's packages were on the mirror already."""
    reply = json.loads(host.file("/var/lib/stx-mirror/reply.json").content_string)
    assert reply["alias"]["moved"] is True
    assert reply["reused_bytes"] > 100_000
    kernel = "inputs/downloads/linux-6.1.tar.xz"
    inodes = {host.check_output(f"stat -c %i {PUBLIC}/{date}/{kernel}") for date in dates(host)}
    assert len(inodes) == 1


def test_nothing_was_published_that_has_no_rule(host):
    assert not host.file("/srv/mirror/public/feature").exists


def test_the_published_tree_is_out_of_the_build_hosts_reach(host):
    """Neither the account that sent it nor the one that received it may change a byte."""
    (owner,) = set(host.check_output(f"find {PUBLIC} -printf '%u\n'").split())
    assert owner == "mirror"
    for account in ("orchestrator", "incoming"):
        assert host.run(f"runuser -u {account} -- touch {PUBLIC}/x").rc != 0
