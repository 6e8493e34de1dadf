"""What the two keys can do, and what a thief of one cannot: a real sshd, sudo, rrsync."""

from __future__ import annotations

import subprocess
from pathlib import Path

import backdated
import pytest
from mirrors import Mirror, refusal
from sshd import Sshd

ONE = "master/sample/20260101T020000Z"
TWO = "master/sample/20260102T020000Z"


@pytest.fixture
def begun(remote: Mirror) -> dict[str, object]:
    """An open upload beside a published build."""
    remote.publish(ONE)
    return remote.begin(remote.make(TWO), TWO)


def run(sshd: Sshd, key: str, account: str, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*sshd.client(key), f"{account}@mirror", *command],
        input="",
        capture_output=True,
        text=True,
        check=False,
    )


def rsync(sshd: Sshd, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["rsync", "-e", " ".join(sshd.client("publish")), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


PUBLISHING_MAY_NOT = (
    [],
    ["id"],
    ["sh", "-c", "id"],
    ["mirrorctl"],
    ["mirrorctl", "list"],
    ["mirrorctl", "prune"],
    ["mirrorctl", "withdraw", ONE, "--reason", "x"],
    ["mirrorctl", "hold", ONE, "--reason", "x"],
    ["mirrorctl", "expire"],
    ["mirrorctl", "dispatch", "prune"],
    ["mirrorctl", "begin"],
    ["mirrorctl", "begin", ONE, "--config=/tmp/x"],
    ["mirrorctl", "--config=/tmp/x", "begin", ONE],
    ["mirrorctl", "begin", f"{ONE};id"],
    ["mirrorctl", "begin", "'"],
    ["scp", "-t", "."],
    ["/usr/lib/openssh/sftp-server"],
    ["rsync", "--daemon"],
    ["rsync", "--server", "-vlogDtpre.iLsfxCIvu", ".", "/"],
    ["rsync", "--server", "-vlogDtpre.iLsfxCIvu", ".", "."],
    ["rsync", "--server", "-vlogDtpre.iLsfxCIvu", ".", ".."],
    ["rsync", "--server", "-vlogDtpre.iLsfxCIvu", ".", "f" * 32],
)


def test_the_publishing_key_runs_nothing_else(remote: Mirror, sshd: Sshd) -> None:
    remote.publish(ONE)
    for command in PUBLISHING_MAY_NOT:
        done = run(sshd, "publish", "incoming", *command)
        assert done.returncode == 2, done
        assert done.stdout == "", done
        assert len(done.stderr.strip().splitlines()) == 1, done
        assert done.stderr.startswith("mirrorctl: "), done
    assert remote.builds() == {ONE}


PRUNING_MAY_NOT = (
    [],
    ["id"],
    ["mirrorctl", "begin", ONE],
    ["mirrorctl", "promote", ONE],
    ["mirrorctl", "withdraw", ONE, "--reason", "x"],
    ["mirrorctl", "unhold", ONE],
    ["rsync", "--server", "-re.iLsfxCIvu", ".", "0" * 32],
    ["rsync", "--server", "--sender", "-re.iLsfxCIvu", ".", "/etc/"],
)


def test_the_pruning_key_runs_nothing_else(remote: Mirror, sshd: Sshd) -> None:
    remote.publish(ONE)
    for command in PRUNING_MAY_NOT:
        done = run(sshd, "prune", "mirror", *command)
        assert done.returncode == 2, done
        assert "this key lets you run mirrorctl list, mirrorctl prune" in done.stderr, done
    assert remote.builds() == {ONE}


def test_neither_key_opens_the_other_account(remote: Mirror, sshd: Sshd) -> None:
    assert run(sshd, "publish", "mirror", "mirrorctl", "list").returncode == 255
    assert run(sshd, "prune", "incoming", "mirrorctl", "begin", ONE).returncode == 255
    assert remote.builds() == set()


def test_a_key_forwards_nothing(remote: Mirror, sshd: Sshd) -> None:
    done = subprocess.run(
        [*sshd.client("publish"), "-W", f"127.0.0.1:{sshd.port}", "incoming@mirror"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=20,
        check=False,
    )
    assert done.returncode != 0
    assert not done.stdout.startswith(b"SSH-")


def test_reading_is_not_possible(
    remote: Mirror, sshd: Sshd, begun: dict[str, object], tmp_path: Path
) -> None:
    for source in (f"{begun['upload']}/", "/etc/passwd", str(remote.public) + "/"):
        done = rsync(sshd, "-r", f"incoming@mirror:{source}", tmp_path)
        assert done.returncode != 0
        assert "this key only sends" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_sending_goes_to_the_open_upload_only(
    remote: Mirror, sshd: Sshd, begun: dict[str, object], tmp_path: Path
) -> None:
    evil = tmp_path / "evil"
    evil.write_text("evil")
    token = begun["upload"]
    targets = (
        *("/", ".", "..", "../../public/", "/var/", str(remote.public), "0" * 32 + "/"),
        *(f"{token}/..", f"{token}/../..", f"{token}/../../public/master/", f"{token}/sub/dir/"),
    )
    for target in targets:
        done = rsync(sshd, "-r", evil, f"incoming@mirror:{target}")
        assert done.returncode != 0, target
    done = rsync(sshd, "-r", "--mkpath", evil, "incoming@mirror:'; touch /tmp/evil'")
    assert done.returncode != 0
    assert not list(remote.store.rglob("evil"))
    done = rsync(sshd, "-rR", "--no-implied-dirs", evil, f"incoming@mirror:{token}/")
    assert done.returncode == 0, done.stderr
    assert list((remote.store / "incoming").rglob("evil"))


def test_options_do_not_lead_out(
    remote: Mirror, sshd: Sshd, begun: dict[str, object], tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_text("x")
    outside = remote.root / "outside"
    outside.mkdir()
    outside.chmod(0o777)
    target = f"incoming@mirror:{begun['upload']}/"
    for name in ("link-dest", "temp-dir", "backup-dir", "partial-dir", "log-file"):
        option = f"--{name}={outside}"
        for _ in range(2):
            rsync(sshd, "-r", "--backup", "-I", option, f"{source}/", target)
        assert list(outside.iterdir()) == [], option


def test_a_link_in_the_upload_leads_nowhere(
    remote: Mirror, sshd: Sshd, begun: dict[str, object], tmp_path: Path
) -> None:
    """A link is sent, then something through it."""
    (tmp_path / "way").symlink_to(remote.public)
    target = f"incoming@mirror:{begun['upload']}/"
    rsync(sshd, "-rl", f"{tmp_path}/", target)
    (tmp_path / "file").write_text("x")
    rsync(sshd, "-r", "--keep-dirlinks", tmp_path / "file", f"{target}way/")
    assert not (remote.public / "file").exists()
    message, code = refusal(remote.ctl, "promote", TWO)
    assert "symbolic link" in message
    assert code == 2


def test_a_published_build_cannot_be_reached(
    remote: Mirror, sshd: Sshd, begun: dict[str, object]
) -> None:
    """The receiving account owns nothing published, nor can it write there."""
    uid = remote.store.joinpath("incoming").stat().st_uid
    owned = [path for path in remote.public.rglob("*") if path.lstat().st_uid == uid]
    assert owned == []
    for path in (remote.public, remote.public / ONE, remote.public / ONE / "build.json"):
        assert path.stat().st_mode & 0o022 == 0
    for name in ("staging", "state"):
        assert (remote.store / name).stat().st_mode & 0o077 == 0


def test_a_sender_that_keeps_its_own_modes_can_still_publish(
    remote: Mirror, sshd: Sshd, tmp_path: Path
) -> None:
    directory = remote.make(ONE)
    directory.chmod(0o700)
    begun = remote.begin(directory, ONE)
    done = rsync(sshd, "-a", f"{directory}/", f"incoming@mirror:{begun['upload']}/")
    assert done.returncode == 0, done.stderr
    remote.ctl("promote", ONE)
    assert remote.builds() == {ONE}
    assert remote.leftovers() == []


def test_what_a_sender_closes_off_is_said_and_swept(remote: Mirror, sshd: Sshd) -> None:
    directory = remote.make(ONE)
    (directory / "outputs/CONTEXT").chmod(0)
    (directory / "outputs/logs").chmod(0)
    begun = remote.begin(directory, ONE)
    rsync(sshd, "-a", f"{directory}/", f"incoming@mirror:{begun['upload']}/")
    message, code = refusal(remote.ctl, "promote", ONE)
    assert "closed to the mirror" in message
    assert "--chmod=D755,F644" in message
    assert code == 2
    remote.edit_upload(began="2019-01-01T00:00:00Z")
    assert remote.admin("expire")["expired"] == [ONE]
    assert remote.leftovers() == []


def test_a_wrong_key_is_turned_away(remote: Mirror, sshd: Sshd, tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    ssh = ["ssh", "-F", f"{sshd.directory}/client", "-i", str(key), "incoming@mirror", "mirrorctl"]
    transport = backdated.Transport(ssh, [], "")
    message, code = refusal(lambda: backdated.mirrorctl(transport, "promote", ONE))
    assert "Permission denied" in message
    assert code == 255
