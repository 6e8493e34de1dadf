"""Uploads that mean harm, or whose sender made a mistake: one clear refusal, nothing published."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import backdated
import pytest
from mirrors import Mirror, refusal, sha256sum

ONE = "master/sample/20260101T020000Z"
TWO = "master/sample/20260102T020000Z"
ISO = "outputs/iso/bootimage.iso"


@pytest.fixture
def received(local: Mirror) -> Path:
    """The upload directory of a build that was sent whole and is not promoted yet."""
    directory = local.make(ONE)
    begun = local.begin(directory, ONE)
    local.send(directory, begun)
    return local.store / "incoming" / begun["upload"]


def _link(path: Path) -> None:
    path.rename(path.parents[2] / "elsewhere")
    path.symlink_to(path.parents[2] / "elsewhere")


def _directory_link(path: Path) -> None:
    """The right bytes, reached through a directory that is a link."""
    moved = path.parents[2] / "elsewhere"
    path.parent.rename(moved)
    path.parent.symlink_to(moved)


def _extra_link(path: Path) -> None:
    (path.parent / "extra").symlink_to("/etc/shadow")


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _socket(path: Path) -> None:
    here = Path.cwd()
    path.unlink()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


def _device(path: Path) -> None:
    path.unlink()
    os.mknod(path, 0o644 | 0o020000, os.makedev(1, 5))


def _directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _short(path: Path) -> None:
    os.truncate(path, 100)


def _long(path: Path) -> None:
    with path.open("ab") as stream:
        stream.write(b"more")


def _damaged(path: Path) -> None:
    path.write_bytes(b"?" * path.stat().st_size)


def _missing(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (_link, "symbolic link"),
        (_directory_link, "symbolic link"),
        (_extra_link, "symbolic link"),
        (_fifo, "neither a file nor a directory"),
        (_socket, "neither a file nor a directory"),
        (_device, "neither a file nor a directory"),
        (_directory, "not a regular file"),
        (_short, "with 100 of 262144 bytes"),
        (_long, "larger than the manifest says"),
        (_damaged, "SHA-256 differs"),
        (_missing, "has not arrived"),
    ],
)
def test_what_arrived_is_checked_and_can_be_sent_again(
    local: Mirror, received: Path, harm: Callable[[Path], None], words: str
) -> None:
    harm(received / ISO)
    message, code = refusal(local.ctl, "promote", ONE)
    assert words in message
    assert code == 2
    assert local.builds() == set()
    assert local.alias("master/sample") is None
    directory = local.make(ONE)
    local.send(directory, local.begin(directory, ONE))
    local.ctl("promote", ONE)
    sha256sum(local.public / ONE)
    assert local.leftovers() == []


def test_a_link_exchanged_for_a_file_at_any_moment_is_not_followed(
    local: Mirror, received: Path
) -> None:
    """Somebody flips a directory between the real one and a link to a like one elsewhere."""
    outside = local.root / "outside"
    shutil.copytree(received / "outputs", outside / "outputs")
    (outside / ISO).write_bytes(b"!" * (received / ISO).stat().st_size)
    real = received / "outputs/iso"
    aside = received / "outputs/aside"
    over = threading.Event()

    def flip() -> None:
        with contextlib.suppress(FileNotFoundError):  # once a promotion came through
            while not over.is_set():
                real.rename(aside)
                real.symlink_to(outside / "outputs/iso")
                real.unlink()
                aside.rename(real)

    flipper = threading.Thread(target=flip)
    flipper.start()
    try:
        codes = {_outcome(local) for _ in range(5)}
    finally:
        over.set()
        flipper.join()
    assert codes <= {0, 2}
    local.ctl("promote", ONE)
    sha256sum(local.public / ONE)


def _outcome(mirror: Mirror) -> int:
    try:
        mirror.ctl("promote", ONE)
    except backdated.Refused as error:
        return error.code
    return 0


def test_a_file_that_grows_while_it_is_promoted_is_never_published(
    local: Mirror, received: Path
) -> None:
    over = threading.Event()

    def grow() -> None:
        with (received / ISO).open("ab") as stream:
            while not over.is_set():
                stream.write(b"x" * 4096)
                stream.flush()

    grower = threading.Thread(target=grow)
    grower.start()
    try:
        message, _ = refusal(local.ctl, "promote", ONE)
    finally:
        over.set()
        grower.join()
    assert "larger than the manifest says" in message
    assert local.builds() == set()


def test_hard_links_of_a_sender_end_at_the_copy(local: Mirror, received: Path) -> None:
    outside = local.root / "kept"
    os.link(received / ISO, outside)
    local.ctl("promote", ONE)
    outside.write_bytes(b"changed later")
    sha256sum(local.public / ONE)


def test_files_that_nobody_announced_are_not_published(local: Mirror, received: Path) -> None:
    """An interrupted rsync leaves such files behind: they are no reason to refuse."""
    (received / "outputs/iso/.bootimage.iso.x8Yz1").write_bytes(b"half")
    local.ctl("promote", ONE)
    assert not list((local.public / ONE).rglob(".bootimage*"))
    assert local.leftovers() == []


def test_names_that_try_to_break_the_message_cannot(local: Mirror, received: Path) -> None:
    (received / "outputs" / "a\n\x1b[31mmirrorctl: all is well").symlink_to("x")
    message, code = refusal(local.ctl, "promote", ONE)
    assert "\x1b" not in message
    assert code == 2


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("../../x", "cannot be published"),
        ("/etc/passwd", "cannot be published"),
        ("outputs/logs/../../x", "cannot be published"),
        ("outputs/logs/a\nb", "cannot be published"),
        ("outputs/logs//a", "cannot be published"),
        ("outputs/logs/a b", "cannot be published"),
        ("outputs/logs/$(id)", "cannot be published"),
        ("outputs/logs/-rf", "cannot be published"),
        ("outputs/logs/.hidden", "cannot be published"),
        ("outputs/logs/" + "a" * 256, "cannot be published"),
        ("", "cannot be published"),
        (None, "cannot be published"),
        (7, "cannot be published"),
        ("outputs/CONTEXT.sh", "no place"),
        ("outputs/other/x", "no place"),
        ("outputs/logs", "both as a file and as a directory"),
        ("README", "no place"),
        ("outputs/RPMS/hello.rpm", "no build phase"),
        ("outputs/iso/dated.iso", "constant name"),
        ("outputs/iso/bootimage-20260101T020000Z.iso/x", "constant name"),
        ("outputs/RPMS/repodata/hello.rpm", "no build phase is called repodata"),
        ("outputs/SRPMS/repodata/sub/x", "no build phase is called repodata"),
        ("outputs/logs/Packages.log", "differ in case only"),
        ("outputs/LOGS/x", "no place"),
        ("outputs/logs/PACKAGES.log/x", "differ in case only"),
        ("outputs/success/x", "no place"),
        ("outputs/CONTEXT", "twice"),
        ("outputs/logs/packages.log/x", "both as a file and as a directory"),
        ("outputs/fail", "has both"),
    ],
)
def test_names_that_the_tree_has_no_place_for(local: Mirror, path: Any, words: str) -> None:
    manifest = backdated.manifest_of(local.make(ONE), ONE)
    manifest["files"].append({"path": path, "sha256": "0" * 64, "size": 1})
    message, code = refusal(lambda: local.ctl("begin", ONE, data=manifest))
    assert words in message
    assert code == 2
    assert local.leftovers() == []


def test_a_manifest_that_is_no_builds_is_refused_in_one_line(local: Mirror) -> None:
    manifest = backdated.manifest_of(local.make(ONE), ONE)
    entry = {"sha256": "0" * 64, "size": 1}
    manifest["files"] += [{"path": f"outputs/logs/{n}", **entry} for n in range(50_001)]
    message, code = refusal(lambda: local.ctl("begin", ONE, data=manifest))
    assert "a build may have 50000" in message
    assert code == 2


@pytest.mark.parametrize(
    "change",
    [
        {"sha256": "0" * 63},
        {"sha256": "A" * 64},
        {"sha256": None},
        {"size": -1},
        {"size": 1.5},
        {"size": True},
        {"size": 10**30},
    ],
)
def test_hashes_and_sizes_that_are_none(local: Mirror, change: dict[str, Any]) -> None:
    manifest = backdated.manifest_of(local.make(ONE), ONE)
    manifest["files"][0].update(change)
    _, code = refusal(lambda: local.ctl("begin", ONE, data=manifest))
    assert code == 2


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b"null", b'{"files": 1}', b'{"files": [7]}', b"[" * 100000, b"\xff\xfe"],
)
def test_manifests_that_are_none(local: Mirror, data: bytes) -> None:
    _, code = refusal(lambda: local.ctl("begin", ONE, data=data))
    assert code == 2


def test_a_manifest_of_another_build_is_refused(local: Mirror) -> None:
    manifest = backdated.manifest_of(local.make(ONE), TWO)
    message, _ = refusal(lambda: local.ctl("begin", ONE, data=manifest))
    assert f"not for {ONE}" in message


def _drop_line(directory: Path) -> None:
    sums = directory / "SHA256SUMS"
    sums.write_text("".join(sums.read_text().splitlines(keepends=True)[1:]))


def _add_line(directory: Path) -> None:
    with (directory / "SHA256SUMS").open("a") as stream:
        stream.write(f"{'0' * 64}  outputs/nowhere\n")


def _wrong_hash(directory: Path) -> None:
    sums = directory / "SHA256SUMS"
    sums.write_text("0" * 64 + sums.read_text()[64:])


def _no_sums(directory: Path) -> None:
    (directory / "SHA256SUMS").write_text("nothing\n")


def _record(**changes: Any) -> Callable[[Path], None]:
    def change(directory: Path) -> None:
        record = json.loads((directory / "build.json").read_text())
        data = json.dumps({**record, **changes}).encode()
        (directory / "SHA256SUMS").unlink()
        backdated.write_files(directory, {"build.json": data})

    return change


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (_drop_line, "does not list"),
        (_add_line, "lists 'outputs/nowhere', which was not sent"),
        (_wrong_hash, "another hash"),
        (_no_sums, "line 1 of SHA256SUMS"),
        (_record(id=TWO), f"not of {ONE}"),
        (_record(result="fail"), "build.json"),
        (_record(result="good"), "build.json"),
        (_record(schema=99), "build.json"),
    ],
)
def test_a_build_that_contradicts_itself_is_refused(
    local: Mirror, harm: Callable[[Path], None], words: str
) -> None:
    directory = local.make(ONE)
    harm(directory)
    message, code = refusal(lambda: backdated.publish(local.transport, directory, ONE))
    assert words in message
    assert code == 2
    assert local.builds() == set()


def test_a_withdrawn_build_does_not_come_back(local: Mirror) -> None:
    local.publish(ONE)
    local.admin("withdraw", ONE, "--reason", "carries a key")
    message, code = refusal(local.publish, ONE)
    assert "was withdrawn from the mirror: carries a key" in message
    assert code == 2
