"""A mirror to publish on: a local path, and one behind a real sshd with the real accounts' jail."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from mirrors import InProcess, Mirror, backdated
from readers import ONE, Site, served, signed_mirror
from sshd import Sshd
from test_signed import Signer

from stxmirror.mirror import identity, zipapp


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zip application, as a mirror gets it."""
    path = tmp_path_factory.mktemp("program") / "mirrorctl"
    path.write_bytes(zipapp.pack())
    path.chmod(0o755)
    return path


@pytest.fixture
def root() -> Iterator[Path]:
    """A directory that other accounts can reach, unlike pytest's own."""
    path = Path(tempfile.mkdtemp(prefix="stx-mirror-test-", dir="/var/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def local(root: Path, program: Path) -> Mirror:
    """A mirror that is a local path, all of it one account's."""
    return Mirror(root, program)


@pytest.fixture(scope="session")
def sshd(program: Path) -> Iterator[Sshd]:
    """An sshd on a loopback port, with the accounts and keys of a real mirror."""
    if os.geteuid() != 0 or not shutil.which("sshd") or not shutil.which("sudo"):
        pytest.skip("needs root, sshd and sudo")
    directory = Path(tempfile.mkdtemp(prefix="stx-mirror-sshd-", dir="/var/tmp"))
    directory.chmod(0o755)
    server = Sshd(directory, program)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(directory)


@pytest.fixture
def remote(root: Path, program: Path, sshd: Sshd) -> Mirror:
    """A mirror behind SSH: one key that publishes, another that prunes, two accounts."""
    mirror = Mirror(root, program)
    sshd.take_over(mirror.store, mirror.config)
    ssh = sshd.client("publish")
    mirror.transport = backdated.Transport(
        [*ssh, "incoming@mirror", "mirrorctl"],
        ["rsync", "-e", " ".join(ssh)],
        "incoming@mirror:{upload}/",
    )
    mirror.pruner = backdated.Transport(
        [*sshd.client("prune"), "mirror@mirror", "mirrorctl"], [], ""
    )
    mirror.person = backdated.Transport(sshd.inside("/usr/local/bin/mirrorctl"), [], "")
    return mirror


@pytest.fixture(params=["local", "ssh"])
def mirror(request: pytest.FixtureRequest) -> Mirror:
    """Either of the two: what holds for one holds for the other."""
    return request.getfixturevalue("local" if request.param == "local" else "remote")


@pytest.fixture(scope="module")
def signer() -> Iterator[Signer]:
    with tempfile.TemporaryDirectory(prefix="gpg-", ignore_cleanup_errors=True) as home:
        yield Signer(home)
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=True)


@pytest.fixture
def growing(root: Path, program: Path, signer: Signer) -> InProcess:
    """A mirror with one build, for tests that publish another."""
    return signed_mirror(root, program, signer)


@pytest.fixture(scope="module")
def published(program: Path, signer: Signer) -> Iterator[Path]:
    """What such a mirror offers, made once."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as directory:
        yield signed_mirror(Path(directory), program, signer).public


@pytest.fixture
def public(published: Path, tmp_path: Path) -> Path:
    """That, for a test to change."""
    return shutil.copytree(published, tmp_path / "public", symlinks=True)


@pytest.fixture
def site(public: Path) -> Iterator[Site]:
    with served(public) as site:
        yield site


@pytest.fixture
def live(growing: InProcess) -> Iterator[Site]:
    """The same over a mirror that goes on publishing."""
    with served(growing.public) as site:
        yield site


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture
def key(published: Path) -> Path:
    return published / "assets/signing-key.asc"


@pytest.fixture
def saved(published: Path, here: Path) -> Path:
    """A reader's copy of a whole build, as HTTP gives it: links have become files."""
    return shutil.copytree(published / ONE, here / "saved")


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
