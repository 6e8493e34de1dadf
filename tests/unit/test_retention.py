"""Retention: what is promised, what is protected, and that a plan keeps to both."""

from __future__ import annotations

import copy
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plans import PERIOD, RULES, build, plan, planned, rule, rule_for

from stxmirror import retention
from stxmirror.errors import StxMirrorError
from stxmirror.retention import Keep
from stxmirror.times import format_build_date, format_time, parse_time


@pytest.mark.parametrize(
    ("keep", "until"),
    [
        ({"days": 14}, "2026-11-15T02:00:00Z"),
        ({"days": 1}, "2026-11-02T02:00:00Z"),
        ({"release_periods": 1}, "2027-05-02T02:00:00Z"),
        ({"release_periods": 2}, "2027-10-31T02:00:00Z"),
        ({"forever": True}, None),
        ({"days": 10_000_000}, None),
    ],
)
def test_keep_until(keep, until):
    assert format_time(Keep.parse(keep).until("20261101T020000Z", PERIOD)) == until


@pytest.mark.parametrize("period", [0, -1, None, "182", True])
def test_a_release_period_is_a_length(period):
    with pytest.raises(StxMirrorError, match="release period"):
        Keep(release_periods=1).until("20261101T020000Z", period)


def test_the_specifications_policies(now):
    builds = [
        build(1, now),
        build(13, now),
        build(15, now),
        build(15, now, "feature/x/sample"),
        build(29, now, "feature/x/sample"),
        build(31, now, "feature/x/sample"),
        build(170, now, "milestone/2019.05b1/sample"),
        build(1, now, "milestone/2019.05b2/sample"),
        build(190, now, "milestone/2019.05b2/sample"),
        build(1, now, "release/2018.10/sample"),
        build(9999, now, "release/2018.10/sample"),
    ]
    actions = planned(builds, now)
    assert [actions[b["id"]]["action"] for b in builds] == [
        *("keep", "keep", "delete"),
        *("keep", "keep", "delete"),
        *("keep", "keep", "delete"),
        *("keep", "keep"),
    ]
    assert actions[builds[2]["id"]]["why"] == (
        "was kept until 2026-11-21T03:00:00Z (stream master: 14 days)"
    )
    assert actions[builds[10]["id"]]["why"] == "kept for ever (stream release: for ever)"


def test_the_last_moment_still_counts(now):
    builds = [build(0, now), build(14, now)]
    assert planned(builds, now)[builds[1]["id"]]["action"] == "keep"
    later = now + timedelta(seconds=1)
    assert planned(builds, later)[builds[1]["id"]]["action"] == "delete"


@pytest.mark.parametrize(
    ("changes", "aliased", "words"),
    [
        ({"hold": "for a bisection"}, False, "held: for a bisection"),
        ({"publishing": True}, False, "being published"),
        ({}, True, "an alias points at it"),
        ({"keep_until": "2027-01-01T00:00:00Z"}, False, "promised when it was published"),
        ({"keep_until": None}, False, "for ever (promised when it was published)"),
    ],
)
def test_what_is_never_deleted(now, changes, aliased, words):
    old = build(400, now, **changes)
    step = planned([build(0, now), old], now, aliases=[old["id"]] if aliased else [])[old["id"]]
    assert step["action"] == "keep"
    assert words in step["why"]


def test_the_newest_success_stays_however_old(now):
    builds = [build(100, now, result="fail"), build(200, now), build(300, now)]
    steps = planned(builds, now)
    assert [steps[b["id"]]["action"] for b in builds] == ["delete", "keep", "delete"]
    assert steps[builds[1]["id"]]["why"] == "the newest success of its stream"


def test_a_build_that_is_being_published_does_not_take_that_place(now):
    builds = [build(0, now, publishing=True), build(200, now)]
    assert {step["action"] for step in planned(builds, now).values()} == {"keep"}


def test_each_feature_keeps_a_newest_success_of_its_own(now):
    builds = [build(99, now, f"feature/{name}/sample") for name in "abc"]
    assert {step["action"] for step in planned(builds, now).values()} == {"keep"}


def test_a_retired_stream_loses_that_protection(now):
    old = build(99, now)
    rules = [rule(retired=True)]
    assert planned([old], now, rules, aliases=[old["id"]])[old["id"]]["action"] == "delete"
    held = {**old, "hold": "please"}
    assert planned([held], now, rules)[old["id"]]["action"] == "keep"


def test_a_shorter_rule_breaks_no_promise_and_a_longer_one_counts(now):
    promised = build(20, now, keep_until=format_time(now + timedelta(days=1)))
    newest = build(0, now)
    assert planned([newest, promised], now)[promised["id"]]["action"] == "keep"
    old = build(20, now, keep_until=format_time(now - timedelta(days=6)))
    longer = [rule(keep={"days": 30})]
    step = planned([newest, old], now, longer)[old["id"]]
    assert (step["action"], step["keep_until"]) == ("keep", "2026-12-02T03:00:00Z")


def test_without_a_rule_a_build_is_kept_and_named(now):
    stray = build(999, now, "old/tree/centos", result="fail")
    step = planned([stray], now)[stray["id"]]
    assert step["action"] == "keep"
    assert step["why"].startswith("no retention rule")


def test_the_narrower_rule_counts_whatever_the_order(now):
    special = rule("feature/x/sample", {"days": 1}, stream="special")
    long = rule("feature/cent*/sample", {"days": 2}, stream="long")
    for rules in ([*RULES, special, long], [long, special, *RULES]):
        assert rule_for(rules, "feature/x/sample").stream == "special"
        assert rule_for(rules, "feature/centos/sample").stream == "long"
        assert rule_for(rules, "feature/y/sample").stream == "feature"
        assert rule_for(rules, "feature/y/sample/flock") is None
        assert rule_for(rules, "feature/sample") is None


def test_more_than_the_share_needs_a_word(now):
    builds = [build(0, now), *(build(20 + n, now) for n in range(3))]
    steps = plan(builds, now)
    assert "delete 3 of 4 builds, more than the share of 50%" in retention.refusal(steps, 0.5)
    assert retention.refusal(steps, 0.75) is None
    assert retention.refusal([], 0.5) is None


def test_bad_input_is_refused(now):
    one = build(1, now)
    with pytest.raises(StxMirrorError, match="listed twice"):
        planned([one, dict(one)], now)
    with pytest.raises(StxMirrorError, match="not a build id"):
        planned([{**one, "id": "../x"}], now)
    with pytest.raises(StxMirrorError, match="no zone"):
        planned([one], now.replace(tzinfo=None))


def test_targets_of_aliases():
    aliases = {"master/sample": {"latest_build": "20261120T020000Z"}, "feature/x/sample": {}}
    assert retention.alias_targets(aliases) == {"master/sample/20261120T020000Z"}


directories = st.sampled_from(
    [
        *("master/sample", "feature/a/sample", "feature/b/sample", "release/1/sample"),
        *("milestone/1/sample", "unknown/1/sample", "master/sample/flock"),
    ]
)
moments = st.integers(0, 2000).map(
    lambda days: datetime(2024, 1, 1, tzinfo=timezone.utc) + timedelta(days=days)
)
builds_of_a_mirror = st.lists(
    st.builds(
        lambda directory, when, **rest: {
            "id": f"{directory}/{format_build_date(when)}",
            **{key: value for key, value in rest.items() if value != "absent"},
        },
        directories,
        moments,
        result=st.sampled_from(["success", "fail"]),
        hold=st.sampled_from([None, None, None, "held"]),
        publishing=st.sampled_from([False, False, False, True]),
        keep_until=st.one_of(st.just("absent"), st.none(), moments.map(format_time)),
    ),
    max_size=25,
    unique_by=lambda entry: entry["id"],
)
policies = st.lists(
    st.builds(
        rule,
        st.sampled_from(
            [
                *("master/sample", "feature/*/sample", "feature/a/sample", "release/*/sample"),
                *("milestone/*/sample", "master/sample/flock"),
            ]
        ),
        st.sampled_from([{"days": 1}, {"days": 14}, {"release_periods": 1}, {"forever": True}]),
        retired=st.booleans(),
    ),
    max_size=6,
    unique_by=lambda entry: entry["directory"],
)


@given(builds_of_a_mirror, policies, moments, st.data())
def test_a_plan_never_deletes_what_is_protected(builds, rules, now, data):
    picks = data.draw(st.sets(st.sampled_from([b["id"] for b in builds]))) if builds else set()
    before = copy.deepcopy((builds, rules))
    steps = planned(builds, now, rules, aliases=picks)
    assert (builds, rules) == before
    assert set(steps) == {b["id"] for b in builds}
    for entry in builds:
        if steps[entry["id"]]["action"] == "keep":
            continue
        directory, _, date = entry["id"].rpartition("/")
        policy = rule_for(rules, directory)
        assert policy is not None
        assert not entry["hold"]
        assert not entry["publishing"]
        # Written down once more, in another way than the plan's own.
        rivals = [
            b["id"]
            for b in builds
            if b["id"].rpartition("/")[0] == directory
            and b["result"] == "success"
            and not b["publishing"]
        ]
        if not policy.retired:
            assert entry["id"] not in picks
            assert not rivals or entry["id"] != max(rivals)
        assert policy.keep != Keep()
        days = policy.keep.days or PERIOD
        assert now - datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(
            tzinfo=timezone.utc
        ) > timedelta(days=days)
        if "keep_until" in entry:
            assert entry["keep_until"] is not None
            assert parse_time(entry["keep_until"]) < now


@given(builds_of_a_mirror, policies, moments, st.randoms(use_true_random=False))
def test_order_does_not_matter_and_calls_do_not_touch_each_other(builds, rules, now, order):
    first = plan(builds, now, rules)
    shuffled, shuffled_rules = list(builds), list(rules)
    order.shuffle(shuffled)
    order.shuffle(shuffled_rules)
    plan(shuffled[::2], now, [], aliases={b["id"] for b in builds})
    assert plan(shuffled, now, shuffled_rules) == first
    dates = [step.id.build_date for step in first]
    assert dates == sorted(dates, reverse=True)


@given(builds_of_a_mirror, policies, moments, st.integers(0, 400))
def test_what_is_gone_later_was_not_needed_and_time_only_adds(builds, rules, now, days):
    def to_delete(moment):
        return {i for i, s in planned(builds, moment, rules).items() if s["action"] == "delete"}

    assert to_delete(now) <= to_delete(now + timedelta(days=days))
    # Doing what the plan says, and planning again, deletes nothing more.
    rest = [b for b in builds if b["id"] not in to_delete(now)]
    assert not [s for s in planned(rest, now, rules).values() if s["action"] == "delete"]


def test_ten_thousand_builds_are_planned_at_once(now):
    builds = [build(n / 10, now, f"feature/f{n % 50}/sample") for n in range(10_000)]
    steps = planned(builds, now)
    assert len(steps) == 10_000
    assert 0 < sum(step["action"] == "keep" for step in steps.values()) < 10_000


def test_a_plan_is_newest_first_and_then_by_id(now):
    same = [build(1, now, f"feature/{name}/sample") for name in "bca"]
    steps = plan([*same, build(0, now)], now)
    assert [str(step.id).split("/")[1] for step in steps] == ["sample", "a", "b", "c"]


def test_protections_are_named_in_the_order_in_which_a_person_would_undo_them(now):
    everything = build(0, now, publishing=True, hold="please")
    step = planned([everything], now, [], aliases=[everything["id"]])[everything["id"]]
    assert step["why"] == "it is being published"
    held = {**everything, "publishing": False}
    assert planned([held], now, [])[held["id"]]["why"] == "held: please"
    free = {**held, "hold": None}
    assert planned([free], now, aliases=[free["id"]])[free["id"]]["why"] == "an alias points at it"
