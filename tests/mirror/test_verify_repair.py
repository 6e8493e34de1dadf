"""What `mirrorctl verify` names of a published build, and what `mirrorctl repair` mends."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import backdated
import pytest
from damage import ONE, OTHER, RPM, TWO, Damageable, apart, flip
from mirrors import sha256sum


@pytest.fixture
def here(root: Path) -> Damageable:
    """An empty mirror."""
    return Damageable(root, root / "nothing")


def _cut(path: Path) -> None:
    os.truncate(path, 5)


def _open_to_all(path: Path) -> None:
    path.chmod(0o777)


def _lead_away(path: Path) -> None:
    path.unlink()
    path.symlink_to("success")


def _stray(path: Path) -> None:
    path.write_text("x")
    path.chmod(0o777)


FOUND: dict[str, tuple[str, Callable[[Path], None], str]] = {
    "the signature is flipped": ("SHA256SUMS.asc", flip, "its bytes are not the published ones"),
    "the signature is gone": ("SHA256SUMS.asc", Path.unlink, "it is missing"),
    "the list is flipped": ("SHA256SUMS", flip, "its bytes are not the published ones"),
    "the list is gone": ("SHA256SUMS", Path.unlink, "it is missing"),
    "a package is flipped": (RPM, flip, "its bytes are not the published ones"),
    "a package is cut": (RPM, _cut, "its bytes are not the published ones"),
    "a package is gone": (RPM, Path.unlink, "it is missing"),
    "a mode": (RPM, _open_to_all, "its mode is 0777, not 0644"),
    "a directory's mode": ("outputs/logs", _open_to_all, "its mode is 0777, not 0755"),
    "CONTEXT.sh is gone": ("outputs/CONTEXT.sh", Path.unlink, "it is missing"),
    "CONTEXT.sh leads away": ("outputs/CONTEXT.sh", _lead_away, "it does not lead to CONTEXT"),
    "an empty directory is gone": ("outputs/wheels", Path.rmdir, "it is missing"),
    "a stray file": ("outputs/logs/x.log", _stray, "it is not part of the build"),
    "a stray directory": ("outputs/more", Path.mkdir, "it is not part of the build"),
}
OUTSIDE: dict[str, tuple[str, Callable[[Path], None], str]] = {
    "a stray file at the top": ("x", _stray, "it is not part of the mirror"),
    "a stray file beside builds": ("master/x", _stray, "it is not part of the mirror"),
    "a page that others may write": (
        "index.html",
        _open_to_all,
        "others may write to it: its mode is 0777",
    ),
}


@pytest.mark.parametrize("what", FOUND)
@pytest.mark.parametrize("sample", [(), ("--sample", "1000")])
def test_verify_finds_all_that_it_promises(
    here: Damageable, what: str, sample: tuple[str, ...]
) -> None:
    here.publish_signed(ONE)
    here.publish_signed(TWO, **{RPM: b"its own"})
    path, change, why = FOUND[what]
    change(here.public / TWO / path)
    assert here.problems("verify", *sample) == [(TWO, path, why)]
    assert here.problems("verify", ONE) == []


@pytest.mark.parametrize("what", OUTSIDE)
def test_verify_looks_around_the_builds(here: Damageable, what: str) -> None:
    here.publish_signed(ONE)
    path, change, why = OUTSIDE[what]
    change(here.public / path)
    assert here.problems() == [(None, path, why)]


def test_verify_finds_nothing_on_a_sound_mirror(here: Damageable) -> None:
    for build in (ONE, TWO, OTHER, "release/2018.10/sample/20181110T020000Z"):
        here.publish_signed(build)
    reply = here.ctl("verify")
    assert (here.code, reply["verified"], reply["problems"]) == (0, 4, [])


def test_a_slice_a_night_reads_every_byte_in_time(here: Damageable, reads: list[str]) -> None:
    here.publish_signed(ONE)
    here.publish_signed(TWO)
    files = {path.stat().st_ino for path in here.public.glob("master/sample/2*/**/*.*")}
    (here.store / "state/index.sqlite3").unlink()
    here.ctl("verify", "--sample", "3")
    first = len(reads)
    assert 0 < first < len(files)
    state = json.loads((here.store / "state/verify.json").read_text())
    assert state["unread"] > 0
    assert state["days"] == 3
    for _ in range(2):
        here.ctl("verify", "--sample", "3")
    assert json.loads((here.store / "state/verify.json").read_text())["unread"] == 0
    assert reads[first] not in reads[:first], "the oldest come first"


def test_since_when_is_told(here: Damageable) -> None:
    """Bytes were right when they were last read, and nobody knows of later."""
    here.publish_signed(ONE)
    flip(here.public / ONE / RPM)
    first = here.ctl("verify")["problems"][0]
    assert first["since"] <= first["found"]
    (here.store / "state/index.sqlite3").unlink()
    assert here.ctl("verify")["problems"] == [first]


def test_repair_mends_every_build_from_an_intact_copy(here: Damageable) -> None:
    here.publish_signed(ONE)
    here.publish_signed(TWO)
    here.publish_signed(OTHER)
    apart(here.public / OTHER / RPM)
    flip(here.public / ONE / RPM)
    (here.public / TWO / "inputs/downloads/linux-6.1.tar.xz").unlink()
    assert len(here.problems()) == 3
    reply = here.ctl("repair")
    assert (here.code, reply["problems"]) == (0, [])
    assert {(item["id"], item["path"], item["how"]) for item in reply["repaired"]} == {
        (ONE, RPM, f"from {OTHER}/{RPM}"),
        (TWO, RPM, f"from {OTHER}/{RPM}"),
        (
            TWO,
            "inputs/downloads/linux-6.1.tar.xz",
            f"from {OTHER}/inputs/downloads/linux-6.1.tar.xz",
        ),
    }
    assert here.problems() == []
    for build in (ONE, TWO, OTHER):
        sha256sum(here.public / build)


@pytest.mark.parametrize(
    "what",
    [
        "a mode",
        "a directory's mode",
        "CONTEXT.sh is gone",
        "CONTEXT.sh leads away",
        "an empty directory is gone",
    ],
)
def test_repair_puts_the_tree_right(here: Damageable, what: str) -> None:
    here.publish_signed(ONE)
    path, change, _ = FOUND[what]
    change(here.public / ONE / path)
    assert here.ctl("repair", ONE)["problems"] == []
    assert here.problems() == []


@pytest.mark.parametrize(
    "what",
    [
        "the signature is flipped",
        "the signature is gone",
        "the list is flipped",
        "the list is gone",
        "a package is flipped",
        "a package is cut",
        "a package is gone",
    ],
)
def test_a_builder_that_publishes_again_fills_the_hole(here: Damageable, what: str) -> None:
    """Where the mirror has no intact copy, it says so; the sender's bytes must be the published."""
    sent = here.publish_signed(ONE)
    path, change, _ = FOUND[what]
    change(here.public / ONE / path)
    reply = here.ctl("repair", ONE)
    assert here.code == 1
    assert f"stx-mirror publish {ONE}" in reply["problems"][0]["do"]
    assert f"mirrorctl withdraw {ONE}" in reply["problems"][0]["do"]
    begun = here.begin(sent, ONE)
    assert (begun["state"], begun["need"]) == ("open", [path])
    here.send(sent, begun)
    assert here.ctl("promote", ONE)["alias"]["target"] == "20260101T020000Z"
    assert here.problems() == []
    sha256sum(here.public / ONE)
    assert here.begin(sent, ONE)["state"] == "published"
    assert here.leftovers() == []


def test_a_hole_takes_the_published_bytes_only(here: Damageable) -> None:
    """A stolen key can put nothing else there, whatever it says in its manifest."""
    sent = here.publish_signed(ONE)
    flip(here.public / ONE / RPM)
    here.ctl("verify")
    manifest = backdated.manifest_of(sent, ONE)
    (sent / RPM).write_bytes(b"evil")
    evil = backdated.manifest_of(sent, ONE)
    for old, new in zip(manifest["files"], evil["files"]):
        if old["path"] == RPM:
            old.update(new)
    begun = here.ctl("begin", ONE, data=manifest)
    here.send(sent, begun)
    here.ctl("promote", ONE)
    assert here.code == 2
    assert "is not the file that was published" in here.words
    assert (here.public / ONE / RPM).read_bytes() != b"evil"


def test_a_signature_made_again_does_not_fill_the_hole(here: Damageable) -> None:
    sent = here.publish_signed(ONE)
    flip(here.public / ONE / "SHA256SUMS.asc")
    here.ctl("verify")
    (sent / "SHA256SUMS.asc").write_text("signed again\n")
    assert here.begin(sent, ONE)["state"] == "published"


def test_damage_goes_with_its_build(here: Damageable) -> None:
    here.publish_signed(ONE)
    here.publish_signed(TWO, **{RPM: b"its own"})
    flip(here.public / TWO / RPM)
    assert here.problems() != []
    here.ctl("withdraw", TWO, "--reason", "damaged")
    assert json.loads((here.store / "state/verify.json").read_text())["problems"] == []
