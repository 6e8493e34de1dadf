"""What the front page tells people to paste does what it says."""

from __future__ import annotations

import configparser
import contextlib
import hashlib
import html
import os
import re
import subprocess
import tempfile
import urllib.request
from pathlib import Path

import pytest


@contextlib.contextmanager
def key_ring():
    """An environment with an empty key ring of its own, whose agent ends with it."""
    # Not below pytest's own directories: a socket's path may not be longer than 107 bytes.
    with tempfile.TemporaryDirectory(prefix="gpg-", ignore_cleanup_errors=True) as home:
        environment = {**os.environ, "GNUPGHOME": home, "LC_ALL": "C"}
        yield environment
        subprocess.run(["gpgconf", "--kill", "all"], env=environment, check=True)


def blocks_of(address: str) -> list[str]:
    page = urllib.request.urlopen(address).read().decode()
    host = address.split("/")[2]
    found = re.findall(r"<pre[^>]*><code>(.*?)</code></pre>", page, re.DOTALL)
    return [html.unescape(block).replace("HOST", host) for block in found]


@pytest.fixture
def signed(served):
    """Sign the build that the front page offers, as a builder would."""
    root, address = served
    commands = blocks_of(address)[0]
    build = root / "mirror/starlingx" / re.search(r"BUILD=\$MIRROR/(\S+)", commands).group(1)
    files = [path for path in sorted(build.rglob("*")) if path.is_file()]
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(build)}\n"
        for path in files
        if not path.name.startswith("SHA256SUMS")
    ]
    (build / "SHA256SUMS").write_text("".join(lines))
    (build / "SHA256SUMS.asc").unlink()
    key = root / "mirror/starlingx/assets/signing-key.asc"
    with key_ring() as environment:
        for arguments in (
            ["--quick-generate-key", "Mirror <mirror@example.org>", "ed25519", "sign", "never"],
            ["--armor", "--detach-sign", build / "SHA256SUMS"],
            ["--armor", "--yes", "--output", key, "--export"],
        ):
            subprocess.run(
                ["gpg", "--batch", "--passphrase", "", *arguments],
                env=environment,
                check=True,
                capture_output=True,
            )
    return build, commands


def paste(commands: str, directory: Path) -> subprocess.CompletedProcess:
    """Run commands in an empty directory, as somebody who has never seen the mirror."""
    directory.mkdir()
    with key_ring() as environment:
        return subprocess.run(
            ["sh", "-e", "-c", commands],
            cwd=directory,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )


def test_the_commands_verify_a_good_iso_and_refuse_a_changed_one(signed, tmp_path):
    build, commands = signed
    good = paste(commands, tmp_path / "good")
    assert good.returncode == 0, good.stderr
    assert "outputs/iso/bootimage.iso: OK" in good.stdout
    assert "Good signature" in good.stderr
    (build / "outputs/iso/bootimage.iso").write_text("something else\n")
    changed = paste(commands, tmp_path / "changed")
    assert changed.returncode != 0
    assert "outputs/iso/bootimage.iso: FAILED" in changed.stdout
    sums = build / "SHA256SUMS"
    sums.write_text(sums.read_text() + "\n")
    forged = paste(commands, tmp_path / "forged")
    assert forged.returncode != 0
    assert "BAD signature" in forged.stderr


def test_the_repository_file_is_one(served):
    _, address = served
    file = configparser.ConfigParser()
    file.read_string(blocks_of(address)[1])
    (name,) = file.sections()
    assert file[name]["baseurl"].startswith(address)
    assert file[name]["baseurl"].endswith("/latest_build/outputs/RPMS/")
