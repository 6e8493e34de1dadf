"""Rules, policies and listings: how they are read, and what is wrong with them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from plans import RULES, build, planned, policy_of, rule, rule_for

from stxmirror.errors import StxMirrorError
from stxmirror.layout import BuildId
from stxmirror.retention import Keep, ListedBuild, Policy, Promise, Rule
from stxmirror.times import format_time


def test_what_follows_the_star_counts():
    rules = [rule("feature/*/centos", stream="centos"), rule("feature/st*/debian", stream="st")]
    assert rule_for(rules, "feature/x/centos").stream == "centos"
    assert rule_for(rules, "feature/x/debian") is None
    assert rule_for(rules, "feature/x/y/centos") is None
    assert rule_for(rules, "feature/stx/debian").stream == "st"
    # The star is the rest of one name, and something.
    assert rule_for(rules, "feature/st/debian") is None
    assert rule_for(rules, "feature/centos") is None
    assert rule_for([rule("feature/ab*ba/x")], "feature/aba/x") is None
    assert rule_for([], "master/sample") is None


def test_of_equally_close_rules_the_first_counts():
    rules = [rule(stream="one"), rule(stream="two")]
    assert rule_for(rules, "master/sample").stream == "one"


@pytest.mark.parametrize(
    ("keep", "words"),
    [
        ({"days": 1}, "1 day"),
        ({"days": 2}, "2 days"),
        ({"release_periods": 1}, "1 release period"),
        ({"release_periods": 2}, "2 release periods"),
        ({"forever": True}, "for ever"),
    ],
)
def test_a_rule_in_words_and_as_it_is_written(keep, words):
    assert str(Keep.parse(keep)) == words
    assert Keep.parse(keep).to_json() == keep


@pytest.mark.parametrize(
    "keep",
    [
        *(None, [], "days", {}, {"days": 1, "release_periods": 1}, {"forever": False}),
        *({"forever": 1}, {"days": 0}, {"days": -1}, {"days": True}, {"days": "3"}, {"days": 1.5}),
        *({"release_periods": 0}, {"release_periods": True}, {"weeks": 1}),
    ],
)
def test_a_rule_is_one_of_three(keep):
    with pytest.raises(StxMirrorError, match=r"`retention`.*write \{days: N\}"):
        Keep.parse(keep)


def test_a_rule_is_read_as_it_is_written():
    raw = rule("release/5/sample", {"forever": True}, legacy_alias="stx5", retired=True)
    assert Rule.parse(raw).to_json() == raw
    short = Rule.parse({"stream": "s", "directory": "master/sample", "keep": {"days": 1}})
    assert short == Rule("s", "master/sample", Keep(days=1), None, None, None, False)
    assert short == Rule("s", "master/sample", Keep(days=1))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"stream": None}, "a retention rule lacks a usable 'stream'"),
        ({"directory": 7}, "rule of master lacks a usable 'directory'"),
        ({"keep": {"days": 0}}, "rule of master: `retention`"),
        ({"audience": 7}, "rule of master lacks a usable 'audience'"),
        ({"description": 7}, "rule of master lacks a usable 'description'"),
        ({"legacy_alias": 7}, "rule of master lacks a usable 'legacy_alias'"),
        ({"legacy_alias": "builds"}, "rule of master: 'builds' cannot be a link"),
        ({"retired": "no"}, "rule of master lacks a usable 'retired'"),
    ],
)
def test_what_is_wrong_in_a_rule_is_named(change, words):
    with pytest.raises(StxMirrorError, match=words):
        Rule.parse({**rule(), **change})


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"release_period_days": 0}, "release_period_days"),
        ({"release_period_days": True}, "release_period_days"),
        ({"release_period_days": 1.5}, "release_period_days"),
        ({"max_delete_share": 0}, "max_delete_share"),
        ({"max_delete_share": 1.01}, "max_delete_share"),
        # Not everything at once.
        ({"max_delete_share": True}, "max_delete_share"),
        ({"rules": {}}, "rules"),
    ],
)
def test_what_is_wrong_in_a_policy_is_named(change, key):
    raw = {"rules": RULES, "release_period_days": 1, "max_delete_share": 1}
    assert Policy.parse(raw, "it") == Policy(tuple(map(Rule.parse, RULES)), 1, 1)
    with pytest.raises(StxMirrorError, match=f"it.*'{key}'|'{key}'.*it"):
        Policy.parse({**raw, **change}, "it")


def test_the_promise_of_today_is_the_rule_s():
    policy = policy_of(RULES)

    def promised(build_id):
        return format_time(policy.keep_until(BuildId.parse(build_id)))

    assert promised("master/sample/20261101T020000Z") == "2026-11-15T02:00:00Z"
    assert promised("milestone/1/sample/20261101T020000Z") == "2027-05-02T02:00:00Z"
    assert promised("release/1/sample/20261101T020000Z") is None
    assert promised("unknown/1/sample/20261101T020000Z") is None


def test_of_an_equal_rule_and_promise_the_rule_is_named(now):
    equal = build(1, now, result="fail", keep_until=format_time(now + timedelta(days=13)))
    step = planned([equal], now)[equal["id"]]
    assert step["why"] == "kept until 2026-12-05T03:00:00Z (stream master: 14 days)"
    assert step["keep_until"] == "2026-12-05T03:00:00Z"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"result": None}, "lacks a usable 'result'"),
        ({"keep_until": 7}, "lacks a usable 'keep_until'"),
        ({"keep_until": "soon"}, "not a time"),
        ({"hold": True}, "lacks a usable 'hold'"),
        ({"publishing": 1}, "lacks a usable 'publishing'"),
        ({"id": 7}, "a build of the listing lacks a usable 'id'"),
    ],
)
def test_what_is_wrong_in_a_listing_is_named(now, change, words):
    with pytest.raises(StxMirrorError, match=words):
        ListedBuild.parse({**build(1, now), **change})


def test_a_listed_build_may_say_little(now):
    raw = {"id": build(1, now)["id"], "result": "fail"}
    listed = ListedBuild.parse(raw)
    assert listed == ListedBuild(BuildId.parse(raw["id"]), False, None, None, False)
    assert listed == ListedBuild(BuildId.parse(raw["id"]), False)
    promised = ListedBuild.parse({**raw, "keep_until": None})
    assert promised.promise == Promise(None)
    with pytest.raises(StxMirrorError, match="not a JSON object"):
        ListedBuild.parse([])
