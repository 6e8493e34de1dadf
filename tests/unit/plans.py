"""Builds, rules and plans, for the tests of retention."""

from __future__ import annotations

from datetime import datetime, timedelta

from stxmirror import retention
from stxmirror.retention import ListedBuild, Policy
from stxmirror.times import format_build_date

PERIOD = 182


def rule(directory="master/sample", keep=None, **changes):
    name = directory.partition("/")[0]
    return {
        "stream": name,
        "directory": directory,
        "keep": keep or {"days": 14},
        "audience": "develop",
        "description": "x",
        "legacy_alias": None,
        "retired": False,
        **changes,
    }


RULES = [
    rule(),
    rule("feature/*/sample", {"days": 30}),
    rule("release/*/sample", {"forever": True}),
    rule("milestone/*/sample", {"release_periods": 1}),
]


def build(days_ago: float, now: datetime, directory="master/sample", **changes):
    when = now - timedelta(days=days_ago)
    return {
        "id": f"{directory}/{format_build_date(when)}",
        "result": "success",
        "hold": None,
        "publishing": False,
        **changes,
    }


def policy_of(rules, period=PERIOD, share=1):
    return Policy.parse(
        {"rules": rules, "release_period_days": period, "max_delete_share": share}, "a test"
    )


def plan(builds, now, rules=RULES, *, aliases=()):
    listed = [ListedBuild.parse(entry) for entry in builds]
    return retention.plan(listed, policy_of(rules), now, aliases=aliases)


def planned(builds, now, rules=RULES, *, aliases=()):
    steps = [step.to_json() for step in plan(builds, now, rules, aliases=aliases)]
    return {step["id"]: step for step in steps}


def rule_for(rules, directory):
    return policy_of(rules).rule_for(directory)
