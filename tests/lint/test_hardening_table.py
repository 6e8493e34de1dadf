"""The table for those who judge the hardening says what the scans go by."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
sys.path.insert(0, str(PROJECT / "molecule/hardening/scan"))
import judge  # noqa: E402 - it lies with its scenario

DECIDED = judge.waivers()


def test_the_table_is_made_from_the_waivers():
    assert judge.DOCUMENT.read_text() == judge.table(), "run judge.py table"


@pytest.mark.parametrize("waiver", DECIDED, ids=lambda waiver: waiver["rules"][0])
def test_each_waiver_says_why(waiver):
    """Somebody else must be able to judge it."""
    assert waiver["kind"] in judge.KINDS
    assert len(waiver["why"]) > 20
    assert set(waiver) <= {"rules", "kind", "why", "hosts", "releases", "profiles"}


def test_no_rule_is_explained_twice_for_the_same_host():
    seen = set()
    for waiver in DECIDED:
        for rule in waiver["rules"]:
            for host in waiver.get("hosts", ["builder", "mirror"]):
                for release in waiver.get("releases", ["12", "13"]):
                    key = (rule, host, release, tuple(waiver.get("profiles", [])))
                    assert key not in seen, key
                    seen.add(key)
