"""A disk that is full at any moment: one clear message, nothing by half, and it goes on later."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import backdated
import pytest
from mirrors import Mirror, refusal, sha256sum

OLD = "master/sample/20260101T020000Z"
NEW = "master/sample/20260102T020000Z"
SIZE = 8 << 20


@pytest.fixture
def small(root: Path, program: Path) -> Iterator[Mirror]:
    """A mirror with a few megabytes and one build."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount a small file system")
    store = root / "store"
    store.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=755", "tmpfs", store], check=True
    )
    try:
        mirror = Mirror(root, program)
        mirror.publish(OLD)
        yield mirror
    finally:
        subprocess.run(["umount", store], check=True)


def fill(mirror: Mirror, leave: int) -> Path:
    """Fill the disk but for ``leave`` bytes."""
    path = mirror.store / "filler"
    space = os.statvfs(mirror.store)
    with path.open("wb") as stream:
        stream.write(b"x" * max(0, space.f_bavail * space.f_frsize - leave))
    return path


def check_at_rest(mirror: Mirror, directory: Path) -> None:
    """Whatever happened, readers see the old build, and the new one can still be published."""
    assert mirror.builds() == {OLD}
    sha256sum(mirror.public / OLD)
    assert mirror.alias("master/sample") == "20260101T020000Z"
    (mirror.store / "filler").unlink()
    backdated.publish(mirror.transport, directory, NEW)
    sha256sum(mirror.public / NEW)
    assert mirror.alias("master/sample") == "20260102T020000Z"
    assert mirror.leftovers() == []


def test_no_room_for_what_is_to_come(small: Mirror) -> None:
    directory = small.make(NEW, **{"outputs/logs/big.log": os.urandom(1 << 20)})
    fill(small, 2 << 20)
    message, code = refusal(small.begin, directory, NEW)
    assert "no room on the mirror" in message
    assert code == 2
    assert small.leftovers() == []
    check_at_rest(small, directory)


def test_room_that_other_uploads_were_promised_is_taken(small: Mirror) -> None:
    one, two = (f"master/sample/2026020{n}T020000Z" for n in (1, 2))
    directories = {
        build: small.make(build, **{"outputs/logs/big.log": os.urandom(2 << 20)})
        for build in (one, two)
    }
    begun = small.begin(directories[one], one)
    message, _ = refusal(small.begin, directories[two], two)
    assert "no room on the mirror" in message
    small.send(directories[one], begun)
    small.ctl("promote", one)
    assert small.builds() == {OLD, one}


@pytest.mark.parametrize("leave", [0, 4096, 65536, 300_000])
def test_the_disk_fills_while_a_build_is_promoted(small: Mirror, leave: int) -> None:
    directory = small.make(NEW, **{"outputs/logs/big.log": os.urandom(1 << 19)})
    small.send(directory, small.begin(directory, NEW))
    fill(small, leave)
    message, code = refusal(small.ctl, "promote", NEW)
    assert "full" in message
    assert "make room" in message
    assert code == 1
    assert not list((small.store / "staging").glob("*/tree"))
    check_at_rest(small, directory)


def test_the_disk_is_full_before_anything_begins(small: Mirror) -> None:
    directory = small.make(NEW)
    fill(small, 0)
    _, code = refusal(small.begin, directory, NEW)
    assert code in (1, 2)
    assert small.leftovers() == []
    check_at_rest(small, directory)


def test_a_full_disk_can_be_pruned(small: Mirror) -> None:
    """Deleting must not need room first."""
    small.publish(NEW)
    fill(small, 0)
    assert small.prune(OLD)["deleted"] == [OLD]
    assert small.builds() == {NEW}
    sha256sum(small.public / NEW)


def test_freed_bytes_are_those_that_the_disk_gets_back(small: Mirror) -> None:
    """Bytes that a build shares with one that stays are not among them."""
    shared = {"outputs/logs/shared.log": os.urandom(1 << 20)}
    for build in (f"master/sample/2026020{n}T020000Z" for n in (1, 2, 3)):
        small.publish(build, **shared)
    before = shutil.disk_usage(small.store).free
    freed = small.prune(OLD, "master/sample/20260201T020000Z")["freed_bytes"]
    assert 2 * 256 * 1024 < freed < 1 << 20
    assert abs(shutil.disk_usage(small.store).free - before - freed) < 128 * 1024
