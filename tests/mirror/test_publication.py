"""Publishing, as the builder does it and as readers see it: on a local path and over SSH."""

from __future__ import annotations

import fcntl
import shutil
import stat
import subprocess
import sys
import threading
from pathlib import Path

import backdated
import pytest
from mirrors import Mirror, refusal, sha256sum

from stxmirror.mirror import cli, store

ONE = "master/sample/20260101T020000Z"
TWO = "master/sample/20260102T020000Z"
THREE = "master/sample/20260103T020000Z"
SPEC_DIRECTORIES = [
    *("inputs/RPMS", "inputs/SRPMS", "inputs/downloads", "outputs/RPMS", "outputs/SRPMS"),
    *("outputs/iso", "outputs/installer", "outputs/wheels", "outputs/helm-charts", "outputs/logs"),
]


def test_the_published_tree_is_the_specifications(mirror: Mirror) -> None:
    reply = mirror.publish(ONE)
    assert reply == {
        "id": ONE,
        "result": "success",
        "keep_until": "2026-01-15T02:00:00Z",
        "rule": "master-sample",
        "alias": {
            "name": "latest_build",
            "target": "20260101T020000Z",
            "moved": True,
            "why": "this is the newest good build",
        },
        "path": ONE,
    }
    build = mirror.public / ONE
    for name in SPEC_DIRECTORIES:
        assert (build / name).is_dir(), name
    assert mirror.alias("master/sample") == "20260101T020000Z"
    assert (build / "outputs/CONTEXT.sh").readlink() == Path("CONTEXT")
    dated = build / "outputs/iso/bootimage-20260101T020000Z.iso"
    assert dated.readlink() == Path("bootimage.iso")
    sha256sum(mirror.public / "master/sample/latest_build")
    for path in build.rglob("*"):
        mode = path.lstat().st_mode
        assert stat.S_ISLNK(mode) or stat.S_IMODE(mode) == (0o755 if path.is_dir() else 0o644)
    assert mirror.leftovers() == []


def test_a_failed_build_is_published_and_moves_no_alias(mirror: Mirror) -> None:
    mirror.publish(ONE)
    reply = mirror.publish(TWO, "fail")
    assert reply["alias"]["target"] == "20260101T020000Z"
    assert not reply["alias"]["moved"]
    assert "successful" in reply["alias"]["why"]
    assert (mirror.public / TWO / "outputs/fail").is_file()
    assert mirror.alias("master/sample") == "20260101T020000Z"


def test_an_older_build_never_takes_the_alias(mirror: Mirror) -> None:
    mirror.publish(TWO)
    reply = mirror.publish(ONE)
    assert mirror.alias("master/sample") == "20260102T020000Z"
    assert reply["alias"]["why"] == "a newer good build is there"


def test_nothing_that_the_mirror_holds_is_sent_again(mirror: Mirror) -> None:
    """Whatever build or stream it came from: here it is another stream's."""
    mirror.publish(ONE)
    other = "feature/x/sample/20260102T020000Z"
    directory = mirror.make(other)
    begun = mirror.begin(directory, other)
    packages = [path for path in begun["need"] if path.endswith(".rpm")]
    assert packages == []
    assert "outputs/iso/bootimage.iso" in begun["need"]
    manifest = backdated.manifest_of(directory, other)["files"]
    total = sum(item["size"] for item in manifest)
    assert begun["need_bytes"] + begun["have_bytes"] == total
    mirror.send(directory, begun)
    mirror.ctl("promote", other)
    name = "outputs/RPMS/std/hello-1.0-1.tis.x86_64.rpm"
    assert (mirror.public / ONE / name).samefile(mirror.public / other / name)
    sha256sum(mirror.public / other)


def test_the_same_bytes_under_two_names_are_sent_once(mirror: Mirror) -> None:
    directory = mirror.make(ONE, **{"outputs/logs/a.log": b"same", "outputs/logs/b.log": b"same"})
    begun = mirror.begin(directory, ONE)
    assert "outputs/logs/a.log" in begun["need"]
    assert "outputs/logs/b.log" not in begun["need"]
    mirror.send(directory, begun)
    mirror.ctl("promote", ONE)
    sha256sum(mirror.public / ONE)


def test_nothing_unpublished_shares_an_inode_with_a_published_file(mirror: Mirror) -> None:
    """The sender may still hold a file open: what it writes then must not be published."""
    directory = mirror.make(ONE)
    begun = mirror.begin(directory, ONE)
    mirror.send(directory, begun)
    received = mirror.store / "incoming" / begun["upload"] / "outputs/CONTEXT"
    with received.open("ab") as still_open:
        mirror.ctl("promote", ONE)
        still_open.write(b"late")
    sha256sum(mirror.public / ONE)
    published = [p for p in (mirror.public / ONE).rglob("*") if p.is_file() and not p.is_symlink()]
    inodes = [path.stat().st_ino for path in published]
    assert all(path.stat().st_nlink == inodes.count(path.stat().st_ino) for path in published)


def test_publishing_again_changes_nothing(mirror: Mirror) -> None:
    directory = mirror.make(ONE)
    first = backdated.publish(mirror.transport, directory, ONE)
    before = {p: p.lstat().st_mtime_ns for p in mirror.public.rglob("*")}
    begun = mirror.begin(directory, ONE)
    assert (begun["state"], begun["upload"], begun["need"]) == ("published", None, [])
    again = mirror.ctl("promote", ONE)
    assert {**again, "alias": None} == {**first, "alias": None}
    assert again["alias"] == {**first["alias"], "moved": False}
    assert {p: p.lstat().st_mtime_ns for p in mirror.public.rglob("*")} == before
    assert mirror.leftovers() == []


def test_a_published_build_is_final(mirror: Mirror) -> None:
    mirror.publish(ONE)
    other = mirror.make(ONE, **{"outputs/logs/new.log": b"more"})
    message, code = refusal(mirror.begin, other, ONE)
    assert "already published with other content" in message
    assert code == 2
    assert mirror.leftovers() == []


def test_a_signature_made_again_is_the_same_build(local: Mirror) -> None:
    directory = local.make(ONE)
    (directory / "SHA256SUMS.asc").write_text("signed at noon\n")
    backdated.publish(local.transport, directory, ONE)
    (directory / "SHA256SUMS.asc").write_text("signed at one\n")
    assert local.begin(directory, ONE)["state"] == "published"
    assert (local.public / ONE / "SHA256SUMS.asc").read_text() == "signed at noon\n"


def test_begin_again_goes_on_from_what_was_sent(mirror: Mirror) -> None:
    directory = mirror.make(ONE)
    begun = mirror.begin(directory, ONE)
    mirror.send(directory, {**begun, "need": begun["need"][:3]})
    message, code = refusal(mirror.ctl, "promote", ONE)
    assert "has not arrived" in message
    assert code == 2
    assert mirror.builds() == set()
    again = mirror.begin(directory, ONE)
    assert again["upload"] == begun["upload"]
    mirror.send(directory, again)
    mirror.ctl("promote", ONE)
    sha256sum(mirror.public / ONE)
    assert mirror.leftovers() == []


def test_a_build_closed_anew_before_it_was_promoted_replaces_its_upload(mirror: Mirror) -> None:
    first = mirror.make(ONE, **{"outputs/logs/first.log": b"first"})
    mirror.send(first, mirror.begin(first, ONE))
    second = mirror.make(ONE, **{"outputs/logs/second.log": b"second"})
    mirror.send(second, mirror.begin(second, ONE))
    mirror.ctl("promote", ONE)
    assert not (mirror.public / ONE / "outputs/logs/first.log").exists()
    sha256sum(mirror.public / ONE)


def test_promote_without_begin_is_refused(mirror: Mirror) -> None:
    message, code = refusal(mirror.ctl, "promote", ONE)
    assert "begin again" in message
    assert code == 2


def test_what_begin_refuses_by_the_id(mirror: Mirror) -> None:
    refused = {
        "feature/x/other/20260101T020000Z": "no retention rule for feature/x/other",
        "master/sample/20991231T235959Z": "in the future",
        "master/sample/20260231T020000Z": "build-date",
        "master/sample/../20260101T020000Z": "'..' is not a layer",
        "master/sample": "not a build id",
        "master/sample/20260101T020000Z/x": "is not a layer",
    }
    directory = mirror.make(ONE)
    for build_id, words in refused.items():
        message, code = refusal(mirror.begin, directory, build_id)
        assert words in message
        assert code == 2
    assert mirror.builds() == set()


def test_no_room_is_said_before_a_byte_is_sent(mirror: Mirror) -> None:
    mirror.configure(reserve_bytes=10**18)
    message, code = refusal(mirror.begin, mirror.make(ONE), ONE)
    assert "no room on the mirror" in message
    assert code == 2
    assert mirror.leftovers() == []


def test_the_legacy_link_leads_to_the_release(mirror: Mirror) -> None:
    mirror.publish("release/2018.10/sample/20181110T020000Z")
    assert (mirror.public / "r2018.10").readlink() == Path("release/2018.10")
    assert (mirror.public / "r2018.10/sample/latest_build/outputs/success").is_file()


def test_two_promotes_at_once_publish_once(mirror: Mirror) -> None:
    directory = mirror.make(ONE)
    mirror.send(directory, mirror.begin(directory, ONE))
    outcomes: list[object] = []

    def run() -> None:
        try:
            outcomes.append(mirror.ctl("promote", ONE)["id"])
        except backdated.Refused as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ONE in outcomes
    assert set(outcomes) <= {ONE, 75}
    sha256sum(mirror.public / ONE)
    assert mirror.ctl("promote", ONE)["id"] == ONE
    assert mirror.leftovers() == []


def test_pages_and_listing_tell_of_every_build(mirror: Mirror) -> None:
    mirror.publish(ONE)
    mirror.publish(TWO, "fail")
    listing = mirror.listing()
    assert [(b["id"], b["result"]) for b in listing["builds"]] == [(ONE, "success"), (TWO, "fail")]
    assert listing["aliases"] == {"master/sample": {"latest_build": "20260101T020000Z"}}
    assert listing["builds"][0]["keep_until"] == "2026-01-15T02:00:00Z"
    assert not any(build["publishing"] for build in listing["builds"])
    assert (mirror.public / "index.html").is_file()
    assert ONE in (mirror.public / "builds.json").read_text()


def test_the_package_metadata_that_a_build_brings_can_be_used(mirror: Mirror) -> None:
    """createrepo_c's own files pass: its names, and its metadata at RPMS/ and each phase."""
    if not shutil.which("createrepo_c"):
        pytest.skip("needs createrepo_c")
    directory = mirror.make(ONE)
    for place in ("outputs/RPMS/std", "outputs/RPMS"):
        for rpm in (directory / place).rglob("*.rpm"):
            rpm.unlink()
        subprocess.run(["createrepo_c", "-q", directory / place], check=True)
    (directory / "SHA256SUMS").unlink()
    backdated.write_files(directory, {})
    backdated.publish(mirror.transport, directory, ONE)
    for place in ("outputs/RPMS/std", "outputs/RPMS"):
        assert (mirror.public / ONE / place / "repodata/repomd.xml").is_file()


def test_an_index_that_is_lost_or_damaged_is_read_back(local: Mirror) -> None:
    local.publish(ONE)
    index = local.store / "state/index.sqlite3"
    index.unlink()
    begun = local.begin(local.make(TWO), TWO)
    assert not any(path.endswith(".rpm") for path in begun["need"])
    index.write_bytes(b"not a database" * 1000)
    message, code = refusal(local.begin, local.make(TWO), TWO)
    assert "run it again" in message
    assert code == 75
    begun = local.begin(local.make(TWO), TWO)
    assert not any(path.endswith(".rpm") for path in begun["need"])


def test_a_file_that_vanished_from_the_tree_is_asked_for(local: Mirror) -> None:
    local.publish(ONE)
    name = "outputs/RPMS/std/hello-1.0-1.tis.x86_64.rpm"
    (local.public / ONE / name).write_bytes(b"cut short")
    begun = local.begin(local.make(TWO), TWO)
    assert name in begun["need"]


def test_a_damaged_record_stops_no_other_build(local: Mirror) -> None:
    local.publish(ONE)
    (local.public / ONE / "build.json").write_text("{}")
    local.publish(TWO)
    assert local.alias("master/sample") == "20260102T020000Z"
    assert TWO in (local.public / "builds.json").read_text()
    with pytest.raises(backdated.Refused):
        local.admin("verify")
    local.admin("withdraw", ONE, "--reason", "damaged")
    assert local.builds() == {TWO}


def test_pages_that_cannot_be_made_stop_no_build(local: Mirror) -> None:
    """They are told of, and made by the next run that can."""
    in_the_way = local.public / "builds.json"
    in_the_way.mkdir()
    local.publish(ONE)
    message, code = refusal(local.admin, "pages")
    assert "builds.json" in message
    assert code == 1
    in_the_way.rmdir()
    local.publish(TWO)
    assert ONE in in_the_way.read_text()
    sha256sum(local.public / ONE)


def test_a_mirror_that_is_busy_says_so(
    local: Mirror, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    local.publish(ONE)
    monkeypatch.setattr(store, "LOCK_SECONDS", 0.2)
    with (local.store / "state/lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert cli.main(["--config", str(local.config), "list"]) == 75
    assert "try again in a minute" in capsys.readouterr().err
    assert cli.main(["--config", str(local.config), "list"]) == 0


def test_an_upload_that_nobody_promotes_expires(mirror: Mirror) -> None:
    directory = mirror.make(ONE)
    begun = mirror.begin(directory, ONE)
    mirror.send(directory, begun)
    mirror.edit_upload(began="2026-01-01T00:00:00Z")
    assert mirror.admin("expire") == {"expired": [ONE], "open": []}
    assert mirror.leftovers() == []
    message, _ = refusal(mirror.ctl, "promote", ONE)
    assert "begin again" in message


def test_an_open_upload_does_not_expire(mirror: Mirror) -> None:
    directory = mirror.make(ONE)
    begun = mirror.begin(directory, ONE)
    mirror.send(directory, begun)
    assert mirror.admin("expire") == {"expired": [], "open": [begun["upload"]]}
    mirror.publish(TWO)
    mirror.ctl("promote", ONE)
    assert mirror.builds() == {ONE, TWO}


def test_verify_finds_what_the_disk_did(mirror: Mirror) -> None:
    mirror.publish(ONE)
    mirror.publish(TWO)
    assert mirror.admin("verify")["problems"] == []
    path = mirror.public / TWO / "outputs/CONTEXT"
    path.write_bytes(b"?" * path.stat().st_size)
    (mirror.public / TWO / "outputs/extra").write_text("x")
    reply = mirror.admin("verify", ONE)
    assert (reply["verified"], reply["problems"]) == (1, [])
    with pytest.raises(backdated.Refused) as caught:
        mirror.admin("verify")
    assert caught.value.code == 1


def test_the_helper_publishes_from_the_command_line(local: Mirror) -> None:
    """As the demo calls it."""
    script = Path(backdated.__file__)
    command = [sys.executable, script, "--mirrorctl", " ".join(local.transport.mirrorctl)]
    command += ["--target", local.transport.target, ONE, f"{TWO}:fail"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert local.builds() == {ONE, TWO}
    assert (local.public / TWO / "outputs/fail").is_file()
