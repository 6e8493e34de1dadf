"""What is too old goes, and only that; the mirror has the last word."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

from conftest import get_json, latest


def ids() -> list[str]:
    return [
        build["id"] for build in get_json("builds.json")["builds"] if not build.get("tombstone")
    ]


def age(build_id: str) -> timedelta:
    date = datetime.strptime(build_id.rsplit("/", 1)[1], "%Y%m%dT%H%M%SZ")
    return datetime.now(timezone.utc) - date.replace(tzinfo=timezone.utc)


def test_check_deletes_nothing(builder):
    before = ids()
    builder.stx_mirror("prune", "--check")
    assert ids() == before


def test_master_builds_older_than_14_days_are_gone():
    assert [build for build in ids() if build.startswith("master/") and age(build).days >= 14] == []


def test_a_release_is_kept_for_ever():
    assert any(build.startswith("release/2018.10/") and age(build).days > 300 for build in ids())


def test_the_last_good_build_of_a_feature_outlives_its_time():
    kept = [build for build in ids() if build.startswith("feature/older-kernel/")]
    assert len(kept) == 1
    assert age(kept[0]).days >= 7


def test_the_mirror_refuses_to_prune_what_the_rules_keep(mirror):
    """Whoever asks: the pruning key may ask for anything, and gets what the policy allows."""
    protected = latest()["id"]
    done = mirror.run(
        *("mirrorctl", "prune"),
        user="mirror",
        stdin=json.dumps({"delete": [protected], "allow_more": True}),
        check=False,
    )
    assert protected in ids()
    assert "refused" in done.stdout
    assert protected in json.dumps(json.loads(done.stdout)["refused"])


def test_a_held_build_survives_and_a_withdrawn_one_leaves_its_reason(mirror):
    build = next(build for build in ids() if build.startswith("release/2018.10/"))
    mirror.run("mirrorctl", "hold", build, "--reason", "a customer runs it", user="mirror")
    held = next(b for b in get_json("builds.json")["builds"] if b["id"] == build)
    assert "a customer runs it" in json.dumps(held)
    mirror.run("mirrorctl", "unhold", build, user="mirror")
