"""Where latest_build and the legacy links belong, computed from what the mirror knows."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

from stxmirror.layout import BuildId
from stxmirror.mirror import aliases
from stxmirror.mirror.aliases import Targets, targets
from stxmirror.mirror.config import Config, Site
from stxmirror.mirror.state import BuildState, Tombstone
from stxmirror.mirror.store import Store
from stxmirror.retention import Keep, Policy, Rule

TOMBSTONE = Tombstone("it erased disks", "2026-11-03T00:00:00Z", None)


def state(
    day: int,
    directory: str = "master/sample",
    result: str = "success",
    tombstone: Tombstone | None = None,
) -> BuildState:
    return BuildState(
        id=BuildId.parse(f"{directory}/202611{day:02}T020000Z"),
        result=result,
        published="2026-11-20T02:00:00Z",
        keep_until=None,
        rule=None,
        bytes=1,
        tombstone=tombstone,
    )


def rule(directory: str, legacy_alias: str | None = None) -> Rule:
    return Rule("a-stream", directory, Keep(days=1), legacy_alias=legacy_alias)


def latest(*states: BuildState, to_delete: tuple[str, ...] = ()) -> dict[str, str | None]:
    found = targets(states, (), to_delete)
    # The order in which builds are looked at decides nothing.
    assert targets(states[::-1], (), to_delete) == found
    return found.latest


def test_the_newest_success_is_the_latest():
    assert latest(state(1), state(3), state(2)) == {"master/sample": "20261103T020000Z"}
    assert latest(state(1), state(2, result="fail")) == {"master/sample": "20261101T020000Z"}


def test_each_directory_has_its_own():
    assert latest(state(1), state(2, "master/sample/flock")) == {
        "master/sample": "20261101T020000Z",
        "master/sample/flock": "20261102T020000Z",
    }


def test_what_goes_and_what_is_withdrawn_is_passed_over():
    gone = str(state(3).id)
    assert latest(state(1), state(3), to_delete=(gone,)) == {"master/sample": "20261101T020000Z"}
    withdrawn = state(3, tombstone=TOMBSTONE)
    assert latest(state(1), withdrawn) == {"master/sample": "20261101T020000Z"}


def test_a_directory_without_a_good_build_loses_its_link():
    assert latest(state(1, result="fail")) == {"master/sample": None}
    assert latest(state(1, tombstone=TOMBSTONE)) == {"master/sample": None}


def test_the_specification_s_legacy_link_needs_no_rule():
    states = [state(1, "release/2018.10/sample"), state(2)]
    found = targets(states, ())
    assert found.legacy == {"r2018.10": "release/2018.10"}
    assert found.identifiers == {"release/2018.10", "master"}


def test_a_rule_says_which_link_its_builds_get():
    states = [state(1, "release/2018.10/sample"), state(2, "release/5/sample", result="fail")]
    rules = [rule("release/2018.10/sample", "first"), rule("release/5/sample", "stx5")]
    assert targets(states, rules).legacy == {"first": "release/2018.10", "stx5": "release/5"}
    # A stream may do without.
    assert targets(states, [rule("release/*/sample")]).legacy == {}


def test_what_goes_keeps_no_legacy_link_and_no_identifier():
    old = state(1, "release/2018.10/sample")
    assert targets([old], (), [str(old.id)]) == Targets(
        {"release/2018.10/sample": None}, {}, frozenset()
    )


def test_the_links_on_disk_follow_and_only_ours_are_removed(tmp_path: Path) -> None:
    root = tmp_path / "store"
    for name in ("public", "staging", "state"):
        (root / name).mkdir(parents=True)
    policy = Policy((rule("release/5/sample", "stx5"), rule("release/6/sample", "taken")), 182, 1)
    config = Config(tmp_path / "c", root, Site("A mirror", "/"), policy, 48, 0)
    store = Store(config, datetime(2026, 11, 22, tzinfo=timezone.utc))
    store.prepare()
    states = [state(1, "release/5/sample"), state(2, "release/6/sample")]
    for one in states:
        (config.public / str(one.id)).mkdir(parents=True)
    (config.public / "taken").mkdir()
    (config.public / "mine").symlink_to("somewhere/else/entirely")
    places = [one.id.directory for one in states]
    dates = {one.id.directory: one.id.build_date for one in states}
    assert aliases.current(store, places) == {}
    assert aliases.update(store, states) == dates
    assert aliases.update(store, states) == {}
    wanted = {place: {"latest_build": date} for place, date in dates.items()}
    assert aliases.current(store, places) == wanted
    assert str((config.public / "stx5").readlink()) == "release/5"
    assert not (config.public / "taken").is_symlink()
    # Its last build goes: the links leave first, and what is not ours stays.
    assert aliases.update(store, states, [str(states[0].id)]) == {"release/5/sample": None}
    assert aliases.current(store, places) == {places[1]: wanted[places[1]]}
    assert not (config.public / "stx5").is_symlink()
    assert (config.public / "mine").is_symlink()
