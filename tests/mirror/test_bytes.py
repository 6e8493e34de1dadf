"""Published bytes stay what they were: damage is found before it spreads into new builds."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from damage import ISO, ONE, OTHER, RPM, THREE, TWO, Damageable, apart, flip
from mirrors import sha256sum

from stxmirror.mirror import identity


@pytest.fixture
def here(root: Path) -> Damageable:
    """An empty mirror."""
    return Damageable(root, root / "nothing")


def test_a_damaged_copy_is_not_published_again(here: Damageable) -> None:
    """The sender is asked for the bytes, and every build that has the damage is named."""
    here.publish_signed(ONE)
    here.publish_signed(TWO)
    flip(here.public / ONE / RPM)
    directory = here.make(THREE)
    begun = here.begin(directory, THREE)
    assert RPM in begun["need"]
    assert f"{ONE}/{RPM}, {TWO}/{RPM}: run `mirrorctl repair`" in here.words
    here.send(directory, begun)
    assert here.ctl("promote", THREE)["alias"]["target"] == "20260103T020000Z"
    sha256sum(here.public / THREE)
    why = "its bytes are not the published ones"
    assert here.problems() == [(ONE, RPM, why), (TWO, RPM, why)]


def test_another_intact_copy_is_used(here: Damageable) -> None:
    here.publish_signed(ONE)
    here.publish_signed(OTHER)
    apart(here.public / OTHER / RPM)
    assert here.problems() == []
    flip(here.public / OTHER / RPM)
    directory = here.make(THREE)
    begun = here.begin(directory, THREE)
    assert RPM not in begun["need"]
    here.send(directory, begun)
    here.ctl("promote", THREE)
    sha256sum(here.public / THREE)
    assert (here.public / THREE / RPM).samefile(here.public / ONE / RPM)
    assert [item[:2] for item in here.problems()] == [(OTHER, RPM)]


def test_damage_between_begin_and_promote_is_not_published(here: Damageable) -> None:
    """A builder that is told to try again begins again."""
    here.publish_signed(ONE)
    directory = here.make(TWO)
    here.send(directory, here.begin(directory, TWO))
    flip(here.public / ONE / RPM)
    here.ctl("promote", TWO)
    assert here.code == 75
    assert "begin again" in here.words
    assert here.builds() == {ONE}
    begun = here.begin(directory, TWO)
    assert RPM in begun["need"]
    here.send(directory, begun)
    here.ctl("promote", TWO)
    sha256sum(here.public / TWO)


def test_what_only_the_mirror_touched_is_not_read_again(here: Damageable, reads: list[str]) -> None:
    """Linking and unlinking change a file's ctime, night for night."""
    here.publish_signed(ONE)
    directory = here.make(OTHER)
    here.begin(directory, OTHER)
    here.publish_signed(TWO)
    here.ctl("prune", data={"delete": [ONE]})
    here.ctl("expire")
    here.send(directory, here.begin(directory, OTHER))
    here.ctl("promote", OTHER)
    here.publish_signed(THREE)
    assert here.builds() == {OTHER, TWO, THREE}
    assert reads == []
    here.ctl("verify", "--sample", "3650")
    assert len(reads) == 1, "whatever the slice, nothing was touched by others"


def test_an_unfinished_promote_costs_no_reading(here: Damageable, reads: list[str]) -> None:
    here.publish_signed(ONE)
    directory = here.make(TWO)
    begun = here.begin(directory, TWO)
    here.ctl("promote", TWO)
    assert "has not arrived" in here.words
    here.send(directory, begun)
    here.ctl("promote", TWO)
    assert (here.code, reads) == (0, [])


def test_an_index_that_is_lost_is_read_back_without_reading_files(
    here: Damageable, reads: list[str]
) -> None:
    """What the next build has in common with the old ones is read, once."""
    here.publish_signed(ONE, **{"outputs/logs/only-once.log": b"x" * 1000})
    (here.store / "state/index.sqlite3").unlink()
    here.ctl("list")
    assert reads == []
    here.publish_signed(TWO)
    common = len(reads)
    assert 0 < common < 20
    here.publish_signed(THREE)
    assert len(reads) == common


def test_an_index_of_the_version_before_is_dropped(here: Damageable) -> None:
    here.publish_signed(ONE)
    path = here.store / "state/index.sqlite3"
    path.unlink()
    with contextlib.closing(sqlite3.connect(path)) as old, old:
        old.executescript(
            "create table files (sha256, size, build, path); create table builds (id)"
        )
        old.execute("insert into builds values (?)", (ONE,))
    assert RPM not in here.begin(here.make(TWO), TWO)["need"]


def test_a_block_that_the_disk_cannot_read_is_damage(
    here: Damageable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One bad sector must not keep every later build from being published."""
    here.publish_signed(ONE)
    os.utime(here.public / ONE / RPM)
    failing = here.public / ONE / RPM
    real = os.fdopen

    class Unreadable(io.FileIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(5, "Input/output error")

    def fdopen(fd: int, *mode: Any, **options: Any) -> Any:
        if os.path.samestat(os.fstat(fd), failing.stat()):
            return Unreadable(fd)
        return real(fd, *mode, **options)

    monkeypatch.setattr(os, "fdopen", fdopen)
    assert RPM in here.begin(here.make(TWO), TWO)["need"]


def test_a_file_with_all_the_links_that_it_may_have_is_copied(
    here: Damageable, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.publish_signed(ONE)
    directory = here.make(TWO)
    here.send(directory, here.begin(directory, TWO))

    def link(*_: object) -> None:
        raise OSError(errno.EMLINK, "Too many links")

    monkeypatch.setattr(identity, "link", link)
    here.ctl("promote", TWO)
    assert here.code == 0, here.words
    assert not (here.public / ONE / RPM).samefile(here.public / TWO / RPM)
    sha256sum(here.public / TWO)


def test_every_reuse_can_be_told(here: Damageable) -> None:
    """What did not come with a build was linked from what lay on the mirror."""
    here.publish_signed(ONE)
    here.publish_signed(TWO)
    lines = (here.store / "state/log.jsonl").read_text().splitlines()
    first, second = (json.loads(line) for line in lines)
    assert (first["id"], second["id"]) == (ONE, TWO)
    assert RPM in first["received"]
    assert RPM not in second["received"]
    assert ISO in second["received"]
    assert second["files"] > len(second["received"])


def test_a_torn_line_of_the_log_costs_no_other(here: Damageable) -> None:
    here.publish_signed(ONE)
    path = here.store / "state/log.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    here.publish_signed(TWO)
    assert json.loads(path.read_text().splitlines()[-1])["id"] == TWO
