"""What one upload and one key may take of the mirror, while rsync runs and after."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import backdated
from mirrors import Mirror, refusal
from sshd import UIDS, Sshd

from stxmirror.mirror.uploads import Quota

ONE = "master/sample/20260101T020000Z"
TWO = "master/sample/20260102T020000Z"
MIB = 1024 * 1024


def rsync(sshd: Sshd, source: object, begun: dict[str, Any], *options: str) -> Any:
    target = f"incoming@mirror:{begun['upload']}/"
    command = ["rsync", "-e", " ".join(sshd.client("publish")), *options, str(source), target]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def held(mirror: Mirror, begun: dict[str, Any]) -> int:
    """Bytes that an upload has on the disk."""
    found = (mirror.store / "incoming" / begun["upload"]).rglob("*")
    return sum(path.stat().st_size for path in found if path.is_file())


def test_one_large_file_is_stopped_while_it_comes(
    remote: Mirror, sshd: Sshd, tmp_path: Path
) -> None:
    begun = remote.begin(remote.make(ONE), ONE)
    (tmp_path / "junk").write_bytes(os.urandom(50 * MIB))
    done = rsync(sshd, tmp_path / "junk", begun)
    assert done.returncode != 0
    assert held(remote, begun) < MIB


def test_many_small_files_are_stopped_and_removed(
    remote: Mirror, sshd: Sshd, tmp_path: Path
) -> None:
    directory = remote.make(ONE)
    begun = remote.begin(directory, ONE)
    (tmp_path / "junk").mkdir()
    for number in range(250):
        (tmp_path / "junk" / str(number)).write_bytes(os.urandom(200 * 1024))
    done = rsync(sshd, tmp_path / "junk", begun, "-r")
    assert done.returncode != 0
    assert "mirrorctl: more was sent than was announced, and all of it is removed" in done.stderr
    assert held(remote, begun) == 0
    # The upload itself goes on.
    remote.send(directory, begun)
    remote.ctl("promote", ONE)
    assert remote.builds() == {ONE}
    assert remote.leftovers() == []


def test_many_empty_files_are_too_much_as_well(remote: Mirror, sshd: Sshd, tmp_path: Path) -> None:
    begun = remote.begin(remote.make(ONE), ONE)
    (tmp_path / "junk").mkdir()
    for number in range(1000):
        (tmp_path / "junk" / str(number)).touch()
    assert "more was sent than was announced" in rsync(sshd, tmp_path / "junk", begun, "-r").stderr


def test_junk_goes_at_the_next_begin_and_what_was_sent_stays(
    remote: Mirror, sshd: Sshd, tmp_path: Path
) -> None:
    directory = remote.make(ONE)
    begun = remote.begin(directory, ONE)
    remote.send(directory, {**begun, "need": begun["need"][:3]})
    (tmp_path / "junk").mkdir()
    (tmp_path / "junk" / "x").write_text("junk")
    assert rsync(sshd, tmp_path / "junk", begun, "-r").returncode == 0
    received = remote.store / "incoming" / begun["upload"]
    (received / begun["need"][0]).write_bytes(b"longer than it was promised" * MIB)
    remote.begin(directory, ONE)
    found = sorted(str(p.relative_to(received)) for p in received.rglob("*") if p.is_file())
    assert found == sorted(begun["need"][1:3])


def test_what_was_promised_always_fits(remote: Mirror) -> None:
    """Also sent twice: rsync keeps the old copy of a file until the new one is whole."""
    big = {f"outputs/logs/{n}.log": os.urandom(3 * MIB) for n in range(3)}
    small = {f"outputs/logs/small/{n}.log": f"{n}".encode() for n in range(300)}
    directory = remote.make(ONE, **big, **small)
    begun = remote.begin(directory, ONE)
    for _ in range(2):
        remote.send(directory, begun)
    remote.ctl("promote", ONE)
    assert remote.builds() == {ONE}


def test_a_quota_is_what_was_promised_and_a_margin() -> None:
    quota = Quota.of({"a/b/one": 1000, "a/two": 500}, "k")
    assert 1500 + 1000 + 4 * 4096 <= quota.bytes < 2 * MIB
    assert 4 <= quota.entries < 200
    assert quota.largest == 1000


def test_a_key_has_a_limit_of_open_uploads(local: Mirror) -> None:
    local.configure(uploads_per_key=2)

    def begin(build: str, key: str) -> None:
        directory = local.make(build)
        asked = f"SSH_ORIGINAL_COMMAND=mirrorctl begin {build}"
        command = ["env", asked, *local.transport.mirrorctl, "dispatch", "publish", "--key", key]
        manifest = json.dumps(backdated.manifest_of(directory, build)).encode()
        backdated.mirrorctl(backdated.Transport(command, [], ""), data=manifest)

    begin(ONE, "a")
    begin(TWO, "a")
    message, code = refusal(begin, "master/sample/20260103T020000Z", "a")
    assert "this key has 2 uploads open, as many as it may" in message
    assert code == 2
    # What is open already may be begun again, and another key has its own.
    begin(TWO, "a")
    begin("master/sample/20260104T020000Z", "b")
    # One that is finished makes room for the next.
    local.publish(TWO)
    begin("master/sample/20260103T020000Z", "a")


def test_an_upload_without_its_quota_is_begun_again(remote: Mirror, sshd: Sshd) -> None:
    """One that was begun before an upgrade has none."""
    directory = remote.make(ONE)
    begun = remote.begin(directory, ONE)
    for harm in (Path.unlink, lambda path: path.write_text("{")):
        harm(remote.store / "incoming" / f"{begun['upload']}.json")
        done = rsync(sshd, f"{directory}/", begun, "-r")
        assert "begin it (again), then send" in done.stderr
        remote.begin(directory, ONE)
    assert rsync(sshd, f"{directory}/", begun, "-r").returncode == 0


def test_a_sender_of_the_receivers_own_group_is_told_what_works(remote: Mirror, sshd: Sshd) -> None:
    """rsync -a gives what arrives the sender's group, which keeps the mirror out."""
    directory = remote.make(ONE)
    for path in (directory, *directory.rglob("*")):
        os.chown(path, 0, UIDS["incoming"])
        path.chmod(0o750 if path.is_dir() else 0o640)
    begun = remote.begin(directory, ONE)
    assert rsync(sshd, f"{directory}/", begun, "-a").returncode == 0
    message, code = refusal(remote.ctl, "promote", ONE)
    assert "begin again, which clears it, send with --chmod=D755,F644, promote" in message
    assert code == 2
    begun = remote.begin(directory, ONE)
    done = rsync(sshd, f"{directory}/", begun, "-a", "--chmod=D755,F644")
    assert done.returncode == 0, done.stderr
    remote.ctl("promote", ONE)
    assert remote.builds() == {ONE}
    assert remote.leftovers() == []
