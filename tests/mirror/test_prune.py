"""What goes and what stays: the mirror decides by its own rules, whoever asks."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from mirrors import RULES, Mirror, refusal, rule, sha256sum

from stxmirror.layout import BuildId
from stxmirror.mirror import store

OLD = "master/sample/20260101T020000Z"
ONE = "master/sample/20260201T020000Z"
TWO = "master/sample/20260202T020000Z"


def recent(days: float) -> str:
    """A build-date that many days ago."""
    when = datetime.now(timezone.utc) - timedelta(days=days)
    return f"{when:%Y%m%dT%H%M%SZ}"


def test_what_the_rules_let_go_is_deleted_and_nothing_else(mirror: Mirror) -> None:
    young = f"master/sample/{recent(3)}"
    for build in (OLD, ONE, TWO, young):
        mirror.publish(build)
    reply = mirror.prune(OLD, ONE, young, "master/sample/20200101T000000Z")
    assert reply["deleted"] == [OLD, ONE]
    assert [item["id"] for item in reply["refused"]] == [young, "master/sample/20200101T000000Z"]
    assert reply["refused"][1]["why"] == "it is not on this mirror"
    assert mirror.builds() == {TWO, young}
    assert not (mirror.public / "builds" / OLD).exists()
    assert {build["id"] for build in mirror.listing()["builds"]} == {TWO, young}
    for build in (TWO, young):
        sha256sum(mirror.public / build)
    assert mirror.leftovers() == []


def test_what_is_protected_stays(mirror: Mirror) -> None:
    release = "release/2018.10/sample/20181110T020000Z"
    failed = "master/sample/20260203T020000Z"
    held = "master/sample/20260102T020000Z"
    for build in (OLD, held, ONE, release, "release/2018.10/sample/20181111T020000Z"):
        mirror.publish(build)
    mirror.publish(failed, "fail")
    mirror.admin("hold", held, "--reason", "a customer's   test")
    reply = mirror.prune(OLD, held, ONE, release, failed)
    assert set(reply["deleted"]) == {OLD, failed}
    why = {item["id"]: item["why"] for item in reply["refused"]}
    assert why[held] == "held: a customer's test"
    assert "alias" in why[ONE]
    assert "for ever" in why[release]
    mirror.admin("unhold", held)
    assert mirror.prune(held)["deleted"] == [held]


def test_a_build_that_is_being_published_stays(local: Mirror) -> None:
    """As after a promotion that was cut off once the build was visible."""
    local.publish(OLD)
    local.publish(ONE)
    directory = local.make(TWO)
    local.begin(directory, TWO)
    local.edit_upload(id=OLD, token=store.token_for(BuildId.parse(OLD)))
    assert local.prune(OLD)["refused"] == [{"id": OLD, "why": "it is being published"}]


def test_a_tighter_policy_brings_no_promise_forward(local: Mirror) -> None:
    build = f"master/sample/{recent(5)}"
    newer = f"master/sample/{recent(4)}"
    assert local.publish(build)["keep_until"] is not None
    local.publish(newer)
    promised = local.listing()["builds"][0]["keep_until"]
    tighter = [{**RULES[0], "keep": {"days": 1}}, *RULES[1:]]
    local.configure(rules=[rule(entry) for entry in tighter])
    assert local.prune(build)["deleted"] == []
    assert local.ctl("promote", build)["keep_until"] == promised
    third = f"master/sample/{recent(3)}"
    local.publish(third)
    assert local.prune(newer)["deleted"] == []
    local.configure()
    assert local.listing()["builds"][0]["keep_until"] == promised


def test_builds_that_no_rule_covers_any_more_stay(local: Mirror) -> None:
    for build in (OLD, ONE):
        local.publish(build)
    local.configure(rules=[rule(entry) for entry in RULES[1:]])
    reply = local.prune(OLD)
    assert reply["deleted"] == []
    assert "no retention rule" in reply["refused"][0]["why"]


def test_a_retired_stream_can_end(mirror: Mirror) -> None:
    """Its aliases go before its last build does, and its directories with it."""
    build = "release/old/sample/20260101T020000Z"
    mirror.publish(build)
    mirror.publish(OLD)
    assert mirror.alias("release/old/sample") == "20260101T020000Z"
    assert mirror.prune(build)["deleted"] == [build]
    assert not (mirror.public / "release").exists()
    assert mirror.listing()["aliases"] == {"master/sample": {"latest_build": "20260101T020000Z"}}


def test_the_legacy_link_goes_with_the_last_build_behind_it(local: Mirror) -> None:
    builds = [f"release/2018.10/sample/201811{day}T020000Z" for day in (10, 11)]
    for build in builds:
        local.publish(build)
    local.admin("withdraw", builds[1], "--reason", "broken")
    assert (local.public / "r2018.10/sample/latest_build/outputs").is_dir()
    local.admin("withdraw", builds[0], "--reason", "broken")
    assert not (local.public / "r2018.10").is_symlink()
    assert not (local.public / "release").exists()


def test_more_than_the_share_takes_a_persons_word(local: Mirror) -> None:
    local.configure(max_delete_share=0.5)
    for build in (OLD, ONE, TWO):
        local.publish(build)
    message, code = refusal(lambda: local.prune(OLD, ONE))
    assert "more than the share of 50%" in message
    assert code == 2
    assert local.builds() == {OLD, ONE, TWO}
    assert local.prune(OLD, ONE, allow_more=True)["deleted"] == [OLD, ONE]


def test_withdraw_falls_back_to_the_build_before(mirror: Mirror) -> None:
    for build in (OLD, ONE):
        mirror.publish(build)
    mirror.publish(TWO, "fail")
    reply = mirror.admin("withdraw", ONE, "--reason", "carries a key")
    assert reply["alias"] == {"latest_build": "20260101T020000Z"}
    assert mirror.alias("master/sample") == "20260101T020000Z"
    assert mirror.builds() == {OLD, TWO}
    assert {build["id"] for build in mirror.listing()["builds"]} == {OLD, TWO}
    assert "carries a key" in (mirror.public / "builds" / ONE / "index.html").read_text()
    assert "carries a key" in (mirror.public / "builds.json").read_text()
    assert mirror.prune(ONE)["refused"] == [{"id": ONE, "why": "it is not on this mirror"}]
    mirror.admin("withdraw", OLD, "--reason", "this one too")
    assert mirror.alias("master/sample") is None


@pytest.mark.parametrize("verb", ["hold", "withdraw"])
@pytest.mark.parametrize("reason", ["", "  \n ", "x" * 501, "\x1b[31mred"])
def test_a_reason_is_one_that_readers_understand(local: Mirror, verb: str, reason: str) -> None:
    local.publish(OLD)
    message, code = refusal(local.admin, verb, OLD, "--reason", reason)
    assert "give a reason" in message
    assert code == 2
    assert local.builds() == {OLD}


@pytest.mark.parametrize("verb", ["hold", "withdraw"])
def test_a_build_that_is_not_there_can_be_neither(local: Mirror, verb: str) -> None:
    message, code = refusal(local.admin, verb, OLD, "--reason", "x")
    assert "is not on this mirror" in message
    assert code == 2


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"delete": "master"}',
        b'{"delete": ["../../etc"]}',
        b'{"delete": [7]}',
        b'{"delete": [], "allow_more": "yes"}',
    ],
)
def test_requests_that_are_none(local: Mirror, data: bytes) -> None:
    local.publish(OLD)
    _, code = refusal(lambda: local.ctl("prune", data=data))
    assert code == 2
    assert local.builds() == {OLD}


def test_what_was_pinned_survives_a_prune_before_promote(mirror: Mirror) -> None:
    for build in (OLD, ONE):
        mirror.publish(build)
    directory = mirror.make(TWO)
    begun = mirror.begin(directory, TWO)
    assert "outputs/RPMS/std/hello-1.0-1.tis.x86_64.rpm" not in begun["need"]
    mirror.admin("withdraw", ONE, "--reason", "so that nothing is left of it")
    mirror.admin("withdraw", OLD, "--reason", "so that nothing is left of it")
    assert mirror.builds() == set()
    mirror.send(directory, begun)
    mirror.ctl("promote", TWO)
    sha256sum(mirror.public / TWO)


def test_links_in_the_tree_are_never_followed(local: Mirror) -> None:
    """A person put a link to elsewhere into a build: what is behind it stays."""
    for build in (OLD, ONE):
        local.publish(build)
    outside = local.root / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    (local.public / OLD / "outputs/logs/way").symlink_to(outside)
    (local.public / "master/sample/elsewhere").symlink_to(outside)
    assert local.prune(OLD)["deleted"] == [OLD]
    assert (outside / "kept").read_text() == "kept"
