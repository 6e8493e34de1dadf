"""A build that was withdrawn stays away, and whoever published it can learn of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from typing import Any

import pytest
from mirrors import Mirror, refusal

ONE = "master/sample/20260101T020000Z"
TWO = "master/sample/20260102T020000Z"


def cut_off(mirror: Mirror, build_id: str) -> Callable[[], None]:
    """Publish a build; return a call that brings back its upload.

    So it stands open where a promotion was killed after the build had become visible.
    """
    directory = mirror.make(build_id)
    begun = mirror.begin(directory, build_id)
    mirror.send(directory, begun)
    token = begun["upload"]
    places = [f"state/uploads/{token}.upload", f"staging/{token}", f"incoming/{token}"]
    kept = mirror.root / "kept"
    for place in places:
        (kept / place).parent.mkdir(parents=True, exist_ok=True)
        (mirror.store / place).rename(kept / place)
        copy = shutil.copytree if (kept / place).is_dir() else shutil.copy2
        copy(kept / place, mirror.store / place)
    mirror.ctl("promote", build_id)

    def reopen() -> None:
        for place in places:
            (kept / place).rename(mirror.store / place)

    return reopen


@pytest.mark.parametrize("reopened", ["before", "after"])
def test_a_promotion_that_was_cut_off_does_not_bring_it_back(local: Mirror, reopened: str) -> None:
    """Also where the withdrawal itself could not close the upload."""
    reopen = cut_off(local, ONE)
    if reopened == "before":
        reopen()
    local.admin("withdraw", ONE, "--reason", "carries a key")
    if reopened == "after":
        reopen()
    message, code = refusal(local.ctl, "promote", ONE)
    assert code == 2
    if reopened == "after":
        assert "was withdrawn from the mirror: carries a key" in message
    assert local.builds() == set()
    page = json.loads((local.public / "builds.json").read_text())
    assert [build["withdrawn"]["reason"] for build in page["builds"]] == ["carries a key"]
    local.admin("expire")
    assert local.leftovers() == []


def known(mirror: Mirror, *builds: Any) -> dict[str, Any]:
    return mirror.ctl("known", data={"builds": builds})["builds"]


def test_the_key_that_publishes_learns_what_readers_can_see(mirror: Mirror) -> None:
    assert known(mirror) == {}
    mirror.publish(ONE)
    mirror.publish(TWO, "fail")
    assert known(mirror, ONE, TWO) == {
        ONE: {"state": "published", "result": "success"},
        TWO: {"state": "published", "result": "fail"},
    }
    mirror.admin("withdraw", ONE, "--reason", "carries a key")
    other = "feature/x/sample/20260101T020000Z"
    mirror.begin(mirror.make(other), other)
    assert known(mirror, ONE, other) == {
        ONE: {"state": "withdrawn", "reason": "carries a key"},
        other: {"state": "absent"},
    }


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b'{"builds": 1}', {"builds": ["../x"]}, {"builds": [ONE] * 101}]
)
def test_a_question_that_is_none_is_refused(local: Mirror, data: Any) -> None:
    _, code = refusal(lambda: local.ctl("known", data=data))
    assert code == 2
