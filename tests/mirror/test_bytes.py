"""Published bytes stay what they were: damage is found before it spreads, named, and mended.

In this process, as the owner of a mirror that is a local path: what is looked for is which files
are read, and that costs a call here.
"""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import shutil
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import backdated
import pytest
from mirrors import Mirror, sha256sum

from stxmirror.mirror import cli, identity

ONE = "master/sample/20260101T020000Z"
TWO = "master/sample/20260102T020000Z"
THREE = "master/sample/20260103T020000Z"
OTHER = "feature/x/sample/20260102T020000Z"
RPM = "outputs/RPMS/std/hello-1.0-1.tis.x86_64.rpm"
ISO = "outputs/iso/bootimage.iso"


class Here:
    """A local mirror whose verbs run in this process."""

    def __init__(self, mirror: Mirror) -> None:
        self.mirror = mirror
        self.public = mirror.public
        self.words = ""
        self.code = 0

    def ctl(self, *verb: str, data: Any = None) -> dict[str, Any]:
        """Run a verb; its reply, exit code and words are kept."""
        sys.stdin = io.TextIOWrapper(io.BytesIO(json.dumps(data).encode()))
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            self.code = cli.main(["--config", str(self.mirror.config), *verb])
        self.words = err.getvalue()
        return json.loads(out.getvalue()) if out.getvalue() else {}

    def make(self, build_id: str, **extra: bytes) -> Path:
        """Make a signed build."""
        directory = self.mirror.make(build_id, **extra)
        (directory / "SHA256SUMS.asc").write_text(f"signed {build_id}\n")
        return directory

    def begin(self, directory: Path, build_id: str) -> dict[str, Any]:
        """Open an upload."""
        return self.ctl("begin", build_id, data=backdated.manifest_of(directory, build_id))

    def send(self, directory: Path, begun: dict[str, Any]) -> None:
        """Put what was asked for where rsync would."""
        for path in begun["need"]:
            target = self.mirror.store / "incoming" / begun["upload"] / path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(directory / path, target)

    def publish(self, build_id: str, **extra: bytes) -> Path:
        """Publish a signed build; return its directory at the builder's."""
        directory = self.make(build_id, **extra)
        self.send(directory, self.begin(directory, build_id))
        self.ctl("promote", build_id)
        assert self.code == 0, self.words
        return directory

    def problems(self, *verb: str) -> list[tuple[str | None, str, str]]:
        """What verify names."""
        found = self.ctl(*(verb or ("verify",)))["problems"]
        assert self.code == (1 if found else 0)
        return [(item["id"], item["path"], item["why"]) for item in found]


@pytest.fixture
def here(local: Mirror) -> Here:
    """An empty mirror."""
    return Here(local)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files of the tree that are read again, as it happens."""
    made: list[str] = []
    real = identity.read

    def read(path: Path, sha256: str) -> identity.Reading:
        made.append(sha256)
        return real(path, sha256)

    monkeypatch.setattr(identity, "read", read)
    return made


def flip(path: Path) -> None:
    """Change one bit as a disk or a slip of a person does: same size, same mtime."""
    before = path.stat()
    with path.open("r+b") as stream:
        first = stream.read(1)
        stream.seek(0)
        stream.write(bytes([first[0] ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def apart(path: Path) -> None:
    """Give a file an inode of its own."""
    copy = path.with_name("copy")
    shutil.copyfile(path, copy)
    copy.rename(path)


def test_a_damaged_copy_is_not_published_again(here: Here) -> None:
    """The sender is asked for the bytes, and every build that has the damage is named."""
    here.publish(ONE)
    here.publish(TWO)
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


def test_another_intact_copy_is_used(here: Here) -> None:
    here.publish(ONE)
    here.publish(OTHER)
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


def test_damage_between_begin_and_promote_is_not_published(here: Here) -> None:
    """A builder that is told to try again begins again."""
    here.publish(ONE)
    directory = here.make(TWO)
    here.send(directory, here.begin(directory, TWO))
    flip(here.public / ONE / RPM)
    here.ctl("promote", TWO)
    assert here.code == 75
    assert "begin again" in here.words
    assert here.mirror.builds() == {ONE}
    begun = here.begin(directory, TWO)
    assert RPM in begun["need"]
    here.send(directory, begun)
    here.ctl("promote", TWO)
    sha256sum(here.public / TWO)


def test_what_only_the_mirror_touched_is_not_read_again(here: Here, reads: list[str]) -> None:
    """Linking and unlinking change a file's ctime, night for night."""
    here.publish(ONE)
    directory = here.make(OTHER)
    here.begin(directory, OTHER)
    here.publish(TWO)
    here.ctl("prune", data={"delete": [ONE]})
    here.ctl("expire")
    here.send(directory, here.begin(directory, OTHER))
    here.ctl("promote", OTHER)
    here.publish(THREE)
    assert here.mirror.builds() == {OTHER, TWO, THREE}
    assert reads == []
    here.ctl("verify", "--sample", "3650")
    assert len(reads) == 1, "whatever the slice, nothing was touched by others"


def test_an_unfinished_promote_costs_no_reading(here: Here, reads: list[str]) -> None:
    here.publish(ONE)
    directory = here.make(TWO)
    begun = here.begin(directory, TWO)
    here.ctl("promote", TWO)
    assert "has not arrived" in here.words
    here.send(directory, begun)
    here.ctl("promote", TWO)
    assert (here.code, reads) == (0, [])


def test_an_index_that_is_lost_is_read_back_without_reading_files(
    here: Here, reads: list[str]
) -> None:
    """What the next build has in common with the old ones is read, once."""
    here.publish(ONE, **{"outputs/logs/only-once.log": b"x" * 1000})
    (here.mirror.store / "state/index.sqlite3").unlink()
    here.ctl("list")
    assert reads == []
    here.publish(TWO)
    common = len(reads)
    assert 0 < common < 20
    here.publish(THREE)
    assert len(reads) == common


def test_an_index_of_the_version_before_is_dropped(here: Here) -> None:
    here.publish(ONE)
    path = here.mirror.store / "state/index.sqlite3"
    path.unlink()
    with contextlib.closing(sqlite3.connect(path)) as old, old:
        old.executescript(
            "create table files (sha256, size, build, path); create table builds (id)"
        )
        old.execute("insert into builds values (?)", (ONE,))
    assert RPM not in here.begin(here.make(TWO), TWO)["need"]


def test_a_block_that_the_disk_cannot_read_is_damage(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One bad sector must not keep every later build from being published."""
    here.publish(ONE)
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
def test_verify_finds_all_that_it_promises(here: Here, what: str, sample: tuple[str, ...]) -> None:
    here.publish(ONE)
    here.publish(TWO, **{RPM: b"its own"})
    path, change, why = FOUND[what]
    change(here.public / TWO / path)
    assert here.problems("verify", *sample) == [(TWO, path, why)]
    assert here.problems("verify", ONE) == []


@pytest.mark.parametrize("what", OUTSIDE)
def test_verify_looks_around_the_builds(here: Here, what: str) -> None:
    here.publish(ONE)
    path, change, why = OUTSIDE[what]
    change(here.public / path)
    assert here.problems() == [(None, path, why)]


def test_verify_finds_nothing_on_a_sound_mirror(here: Here) -> None:
    for build in (ONE, TWO, OTHER, "release/2018.10/sample/20181110T020000Z"):
        here.publish(build)
    reply = here.ctl("verify")
    assert (here.code, reply["verified"], reply["problems"]) == (0, 4, [])


def test_a_slice_a_night_reads_every_byte_in_time(here: Here, reads: list[str]) -> None:
    here.publish(ONE)
    here.publish(TWO)
    files = {path.stat().st_ino for path in here.public.glob("master/sample/2*/**/*.*")}
    (here.mirror.store / "state/index.sqlite3").unlink()
    here.ctl("verify", "--sample", "3")
    first = len(reads)
    assert 0 < first < len(files)
    state = json.loads((here.mirror.store / "state/verify.json").read_text())
    assert state["unread"] > 0
    assert state["days"] == 3
    for _ in range(2):
        here.ctl("verify", "--sample", "3")
    assert json.loads((here.mirror.store / "state/verify.json").read_text())["unread"] == 0
    assert reads[first] not in reads[:first], "the oldest come first"


def test_since_when_is_told(here: Here) -> None:
    """Bytes were right when they were last read, and nobody knows of later."""
    here.publish(ONE)
    flip(here.public / ONE / RPM)
    first = here.ctl("verify")["problems"][0]
    assert first["since"] <= first["found"]
    (here.mirror.store / "state/index.sqlite3").unlink()
    assert here.ctl("verify")["problems"] == [first]


def test_repair_mends_every_build_from_an_intact_copy(here: Here) -> None:
    here.publish(ONE)
    here.publish(TWO)
    here.publish(OTHER)
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
def test_repair_puts_the_tree_right(here: Here, what: str) -> None:
    here.publish(ONE)
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
def test_a_builder_that_publishes_again_fills_the_hole(here: Here, what: str) -> None:
    """Where the mirror has no intact copy, it says so; the sender's bytes must be the published."""
    sent = here.publish(ONE)
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
    assert here.mirror.leftovers() == []


def test_a_hole_takes_the_published_bytes_only(here: Here) -> None:
    """A stolen key can put nothing else there, whatever it says in its manifest."""
    sent = here.publish(ONE)
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


def test_a_signature_made_again_does_not_fill_the_hole(here: Here) -> None:
    sent = here.publish(ONE)
    flip(here.public / ONE / "SHA256SUMS.asc")
    here.ctl("verify")
    (sent / "SHA256SUMS.asc").write_text("signed again\n")
    assert here.begin(sent, ONE)["state"] == "published"


def test_damage_goes_with_its_build(here: Here) -> None:
    here.publish(ONE)
    here.publish(TWO, **{RPM: b"its own"})
    flip(here.public / TWO / RPM)
    assert here.problems() != []
    here.ctl("withdraw", TWO, "--reason", "damaged")
    assert json.loads((here.mirror.store / "state/verify.json").read_text())["problems"] == []


def test_a_file_with_all_the_links_that_it_may_have_is_copied(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.publish(ONE)
    directory = here.make(TWO)
    here.send(directory, here.begin(directory, TWO))

    def link(*_: object) -> None:
        raise OSError(errno.EMLINK, "Too many links")

    monkeypatch.setattr(identity, "link", link)
    here.ctl("promote", TWO)
    assert here.code == 0, here.words
    assert not (here.public / ONE / RPM).samefile(here.public / TWO / RPM)
    sha256sum(here.public / TWO)


def test_every_reuse_can_be_told(here: Here) -> None:
    """What did not come with a build was linked from what lay on the mirror."""
    here.publish(ONE)
    here.publish(TWO)
    lines = (here.mirror.store / "state/log.jsonl").read_text().splitlines()
    first, second = (json.loads(line) for line in lines)
    assert (first["id"], second["id"]) == (ONE, TWO)
    assert RPM in first["received"]
    assert RPM not in second["received"]
    assert ISO in second["received"]
    assert second["files"] > len(second["received"])


def test_a_torn_line_of_the_log_costs_no_other(here: Here) -> None:
    here.publish(ONE)
    path = here.mirror.store / "state/log.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    here.publish(TWO)
    assert json.loads(path.read_text().splitlines()[-1])["id"] == TWO
