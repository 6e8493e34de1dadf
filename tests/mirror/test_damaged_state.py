"""State files that are damaged, lost or unreadable: they cost one build, nothing is guessed."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import backdated
import pytest
from mirrors import InProcess, Mirror, refusal, sha256sum

from stxmirror.mirror import fs

OLD = "master/sample/20260101T020000Z"
ONE = "master/sample/20260201T020000Z"
TWO = "master/sample/20260202T020000Z"
RELEASE = "release/2018.10/sample/20181110T020000Z"


@pytest.fixture
def mirror(root: Path) -> InProcess:
    """A mirror without builds."""
    return InProcess(root, root / "nothing")


@pytest.fixture
def held(mirror: InProcess) -> InProcess:
    """A mirror with three builds of one stream, of which a person holds the oldest."""
    for build in (OLD, ONE, TWO):
        mirror.publish(build)
    mirror.admin("hold", OLD, "--reason", "a customer's test")
    return mirror


def state_path(mirror: Mirror, build: str) -> Path:
    return mirror.store / "state/builds" / f"{build}.json"


def flip(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"result": "s', b'"result": "r', 1))


def empty(path: Path) -> None:
    path.write_bytes(b"")


def no_object(path: Path) -> None:
    path.write_bytes(b"null")


def not_json(path: Path) -> None:
    path.write_bytes(b"\xff{" * 100)


def of_another(path: Path) -> None:
    shutil.copy(path.with_name(f"{TWO.rpartition('/')[2]}.json"), path)


def lost(path: Path) -> None:
    path.unlink()


HARMS = [flip, empty, no_object, not_json, of_another, lost]


def refused(call: Any, *arguments: Any) -> tuple[str, int]:
    """Return the one line that follows the warnings, and the exit code."""
    with pytest.raises(backdated.Refused) as caught:
        call(*arguments)
    *warnings, message = str(caught.value).splitlines()
    assert all(line.startswith("mirrorctl: warning: ") for line in warnings)
    return message, caught.value.code


@pytest.mark.parametrize("harm", HARMS)
def test_a_damaged_state_costs_its_build_alone(
    held: InProcess, harm: Callable[[Path], None]
) -> None:
    path = state_path(held, OLD)
    harm(path)
    left = path.read_bytes() if path.exists() else None
    code, out, err = held.run("list")
    assert code == 0
    listing = json.loads(out)
    assert [build["id"] for build in listing["damaged"]] == [OLD]
    assert str(path) in listing["damaged"][0]["why"]
    assert str(path) in err
    assert "repair-state" in err
    assert len(err.splitlines()) == 1
    # It goes under no rule, and its page makes no promise.
    reply = held.prune(OLD, ONE)
    assert reply["deleted"] == [ONE]
    assert "is damaged" in reply["refused"][0]["why"]
    page = (held.public / "builds" / OLD / "index.html").read_text()
    assert "what the mirror knows of this build is damaged" in page
    # The rest of the mirror works.
    third = "master/sample/20260203T020000Z"
    held.publish(third)
    held.admin("hold", third, "--reason", "x")
    held.admin("withdraw", TWO, "--reason", "broken")
    assert held.builds() == {OLD, third}
    assert held.alias("master/sample") == "20260203T020000Z"
    for build in (OLD, third):
        sha256sum(held.public / build)
    for verb in ("hold", "unhold"):
        reason = ["--reason", "x"] if verb == "hold" else []
        message, code = refused(held.admin, verb, OLD, *reason)
        assert f"mirrorctl repair-state {OLD}" in message
        assert code == 2
    assert (path.read_bytes() if path.exists() else None) == left
    code, out, _ = held.run("verify")
    assert code == 1
    problems = json.loads(out)["problems"]
    assert [problem["path"] for problem in problems] == [str(path)]


@pytest.mark.parametrize("harm", HARMS)
def test_a_repaired_state_keeps_the_build_until_a_person_decides(
    held: InProcess, harm: Callable[[Path], None]
) -> None:
    path = state_path(held, OLD)
    harm(path)
    (repaired,) = held.admin("repair-state")["repaired"]
    assert (repaired["id"], repaired["state"]) == (OLD, "held")
    assert any("whether a person held it" in text for text in repaired["unknown"])
    if harm is lost:
        assert repaired["kept"] is None
    else:
        assert repaired["kept"].startswith(str(held.store / "state/damaged" / OLD))
        assert Path(repaired["kept"]).exists()
    code, out, err = held.run("list")
    assert code == 0
    assert err == ""
    (state,) = (b for b in json.loads(out)["builds"] if b["id"] == OLD)
    assert "was damaged and was made anew" in state["hold"]
    assert state["hold"].startswith("a customer's test") == (harm is flip)
    assert state["result"] == "success"
    assert held.prune(OLD)["deleted"] == []
    assert held.admin("repair-state") == {"repaired": []}
    held.admin("unhold", OLD)
    assert held.prune(OLD)["deleted"] == [OLD]


def test_a_promise_that_can_still_be_read_is_kept_by_the_repair(held: InProcess) -> None:
    """The later of it and of today's rule."""
    for build, until in ((OLD, "2199-01-01T00:00:00Z"), (ONE, "1999-01-01T00:00:00Z"), (TWO, None)):
        path = state_path(held, build)
        path.write_text(json.dumps({**json.loads(path.read_text()), "keep_until": until}))
    held.admin("repair-state")
    kept = {build["id"]: build["keep_until"] for build in held.listing()["builds"]}
    assert kept == {OLD: "2199-01-01T00:00:00Z", ONE: "2026-02-15T02:00:00Z", TWO: None}


def test_a_state_that_is_lost_as_a_whole_is_made_anew_on_request(held: InProcess) -> None:
    for day in range(10, 20):
        held.publish(f"master/sample/202602{day}T020000Z", "fail")
    shutil.rmtree(held.store / "state/builds")
    code, out, err = held.run("list")
    assert code == 0
    listing = json.loads(out)
    assert len(listing["damaged"]) == len(listing["builds"]) == 13
    assert len(err.splitlines()) == 11  # ten of them, and that there are more
    assert held.alias("master/sample") == "20260202T020000Z"
    assert held.prune(*held.builds())["deleted"] == []
    assert len(held.admin("repair-state")["repaired"]) == 13
    listing = held.listing()
    assert listing["damaged"] == []
    results = {build["id"]: build["result"] for build in listing["builds"]}
    assert {id_ for id_, result in results.items() if result == "success"} == {OLD, ONE, TWO}
    times = [build["published"] for build in listing["builds"]]
    assert all(f"{datetime.now(timezone.utc):%Y-%m-}" in time for time in times)


@pytest.mark.parametrize("harm", [flip, empty, no_object, not_json])
def test_a_withdrawn_build_does_not_come_back_by_a_damaged_tombstone(
    held: InProcess, harm: Callable[[Path], None]
) -> None:
    held.admin("withdraw", TWO, "--reason", "it erased disks")
    page = held.public / "builds" / TWO / "index.html"
    before = page.read_text()
    harm(state_path(held, TWO))
    held.admin("pages")
    assert page.read_text() == before
    assert "it erased disks" in before
    for _ in range(2):
        message, code = refused(held.begin, held.make(TWO), TWO)
        assert "is damaged" in message
        assert code == 2
    (repaired,) = held.admin("repair-state", TWO)["repaired"]
    assert repaired["state"] == "withdrawn"
    message, code = refusal(held.begin, held.make(TWO), TWO)
    assert "was withdrawn from the mirror" in message
    assert ("it erased disks" in message) == (harm is flip)
    assert code == 2
    assert TWO not in held.builds()


def test_a_damaged_state_of_what_was_never_visible_is_forgotten(held: InProcess) -> None:
    """As a promotion leaves it that was killed before the rename."""
    third = "master/sample/20260203T020000Z"
    value = json.loads(state_path(held, TWO).read_text())
    state_path(held, third).write_text(json.dumps({**value, "id": third, "hold": "x"}))
    (repaired,) = held.admin("repair-state", third)["repaired"]
    assert repaired["state"] == "forgotten"
    held.publish(third)
    assert held.listing()["damaged"] == []


def test_a_build_whose_state_is_damaged_can_be_withdrawn(held: InProcess) -> None:
    """What must not stay on the mirror does not wait for a repair."""
    path = state_path(held, TWO)
    not_json(path)
    held.admin("withdraw", TWO, "--reason", "carries a key")
    assert held.builds() == {OLD, ONE}
    assert held.alias("master/sample") == "20260201T020000Z"
    assert held.listing()["damaged"] == []
    assert list((held.store / "state/damaged").rglob("*.json"))


def test_a_file_that_is_not_of_a_build_stops_nothing(held: InProcess) -> None:
    (held.store / "state/builds/master/note.json").write_text("{}")
    (held.store / "state/builds/note.txt").write_text("x")
    assert [build["id"] for build in held.listing()["damaged"]] == ["master/note"]
    (repaired,) = held.admin("repair-state")["repaired"]
    assert repaired["state"] == "forgotten"
    assert held.listing()["damaged"] == []


def test_a_state_that_the_disk_does_not_give_back_is_given_up_by_name_only(
    held: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a name, it may be readable again in a moment."""
    path = state_path(held, OLD)
    real, sector = Path.read_bytes, path.stat().st_ino

    def failing(self: Path) -> bytes:
        if self == path and self.stat().st_ino == sector:
            raise OSError(5, "Input/output error", str(self))
        return real(self)

    monkeypatch.setattr(Path, "read_bytes", failing)
    for verb in (["list"], ["repair-state"], ["repair-state", ONE]):
        message, code = refusal(held.ctl, *verb)
        assert f"Input/output error ({path})" in message
        assert code == 1
    assert not list((held.store / "state/damaged").rglob("*.json"))
    (repaired,) = held.admin("repair-state", OLD)["repaired"]
    assert (repaired["id"], repaired["state"]) == (OLD, "held")
    assert held.listing()["damaged"] == []
    kept = list((held.store / "state/damaged").rglob("*.json"))
    assert any(b"a customer's test" in real(each) for each in kept)


def test_no_value_in_a_state_ends_in_a_traceback(held: InProcess) -> None:
    """A file without checksum may hold what no version wrote."""
    held.admin("withdraw", TWO, "--reason", "broken")
    path = state_path(held, TWO)
    value = json.loads(path.read_text())
    del value["sha256"], value["seals"]  # no version before the checksum wrote those
    value["tombstone"]["record"] = {"id": 7}
    path.write_text(json.dumps(value))
    message, code = refusal(held.ctl, "pages")
    assert "report this as a defect" in message
    assert code == 1
    held.publish("master/sample/20260203T020000Z")
    assert held.alias("master/sample") == "20260203T020000Z"


@pytest.mark.parametrize("harm", [empty, no_object, not_json])
def test_a_damaged_upload_costs_that_upload_alone(
    mirror: InProcess, harm: Callable[[Path], None]
) -> None:
    directories = {build: mirror.make(build) for build in (ONE, TWO)}
    begun = {build: mirror.begin(directory, build) for build, directory in directories.items()}
    harm(mirror.store / "state/uploads" / f"{begun[ONE]['upload']}.upload")
    mirror.send(directories[TWO], begun[TWO])
    mirror.ctl("promote", TWO)
    assert mirror.builds() == {TWO}
    message, code = refused(mirror.ctl, "promote", ONE)
    assert "begin again" in message
    assert code == 2
    mirror.send(directories[ONE], mirror.begin(directories[ONE], ONE))
    mirror.ctl("promote", ONE)
    assert mirror.builds() == {ONE, TWO}
    assert mirror.leftovers() == []


@pytest.mark.parametrize("harm", [empty, not_json, lost])
def test_a_damaged_list_of_files_costs_that_upload_alone(
    mirror: InProcess, harm: Callable[[Path], None]
) -> None:
    directory = mirror.make(ONE)
    begun = mirror.begin(directory, ONE)
    mirror.send(directory, begun)
    harm(mirror.store / "staging" / begun["upload"] / "files.json")
    mirror.publish(TWO)
    message, code = refusal(mirror.ctl, "promote", ONE)
    assert "begin again" in message
    assert code == 2
    mirror.begin(directory, ONE)
    mirror.ctl("promote", ONE)
    sha256sum(mirror.public / ONE)


def everything(mirror: Mirror) -> dict[str, Any]:
    """What lies in the tree and in the state, but for the index and the lock."""
    found: dict[str, Any] = {}
    for top in ("public", "state/builds", "state/uploads"):
        for path, status in fs.walk(mirror.store / top):
            full = mirror.store / top / path
            found[f"{top}/{path}"] = (
                status.st_mode,
                full.readlink() if full.is_symlink() else full.is_file() and full.read_bytes(),
            )
    return found


@pytest.mark.parametrize("verb", ["list", "unhold", "expire"])
@pytest.mark.parametrize(
    "failing_call",
    [
        ("lstat", f"state/builds/{OLD}.json"),
        ("scandir", "state/builds/master/"),
        ("scandir", "public"),
    ],
)
def test_a_read_that_fails_once_stops_the_verb_and_changes_nothing(
    held: InProcess, verb: str, failing_call: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be read is not taken for what is not there; tests/faults has all the others."""
    call, place = failing_call
    before = everything(held)
    real = getattr(os, call)

    def failing(path: Any, *arguments: Any, **options: Any) -> Any:
        if str(path).rstrip("/") == str(held.store / place).rstrip("/"):
            raise OSError(5, "Input/output error", str(path))
        return real(path, *arguments, **options)

    monkeypatch.setattr(os, call, failing)
    code, _, err = held.run(*([verb, OLD] if verb == "unhold" else [verb]))
    monkeypatch.undo()
    assert code == 1
    assert len(err.splitlines()) == 1
    assert "Input/output error" in err
    assert everything(held) == before


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOMEM])
def test_what_arrived_and_cannot_be_read_is_not_the_senders_fault(
    mirror: InProcess, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = mirror.make(ONE)
    mirror.send(directory, mirror.begin(directory, ONE))

    def failing(root: int, path: str) -> int:
        raise OSError(number, os.strerror(number), path)

    monkeypatch.setattr(fs, "open_beneath", failing)
    message, code = refusal(mirror.ctl, "promote", ONE)
    assert "send it again" not in message
    assert code == 1
    monkeypatch.undo()
    mirror.ctl("promote", ONE)
    sha256sum(mirror.public / ONE)
