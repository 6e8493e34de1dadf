"""What programs that nobody here wrote say about a hardened host."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scan"))
import judge

HOSTS = {"builder": "mol-hardening-builder", "mirror": "mol-hardening-mirror"}
testinfra_hosts = [f"podman://{HOSTS['builder']}"]


@pytest.fixture(scope="module")
def scans():
    """Each host, judged once."""
    for container in HOSTS.values():
        # The role leaves aide reading in the background: wait for it, or have it done.
        accept = "[ -e /var/lib/aide/aide.db ] || systemctl start aide-accept.service"
        judge.inside(container, "sh", "-c", accept)
    return judge.scan_all(HOSTS)


def test_each_rule_that_fails_is_explained(scans):
    """A control that was lost shows here by its name."""
    assert judge.verdict(scans)["unexplained"] == []


def test_no_rule_is_explained_in_vain(scans):
    """An explanation that outlived its rule would cover up the next failure."""
    assert judge.verdict(scans)["needless"] == []


def test_few_rules_of_cis_fail(scans):
    """The scanner's own remediation leaves 39 of level 2 on Debian 12, the one measured."""
    for scan in scans:
        if scan["release"] == "12":
            assert len(scan["failing"]["cis_level2_server"]) < 39


def test_lynis_warns_of_nothing_and_thinks_well_of_it(scans):
    for scan in scans:
        assert scan["lynis"]["warnings"] == []
        assert scan["lynis"]["score"] > judge.LYNIS_TO_BEAT


def test_each_suggestion_of_lynis_is_answered(scans):
    assert judge.unanswered(scans) == []
