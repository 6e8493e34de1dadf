"""What the front page tells people to paste does what it says."""

from __future__ import annotations

import hashlib
import html
import os
import re
import shutil
import subprocess
import urllib.request
from pathlib import Path

import pytest


@pytest.fixture
def gnupg(tmp_path_factory):
    """An environment with an empty key ring; its agent ends with the test."""
    # Not below the test's own directory: a socket's path may not be longer than 107 bytes.
    home = Path(subprocess.check_output(["mktemp", "-d", "/tmp/gpgXXXXXX"], text=True).strip())
    yield {**os.environ, "GNUPGHOME": str(home)}
    subprocess.run(["gpgconf", "--kill", "all"], env={**os.environ, "GNUPGHOME": str(home)})
    shutil.rmtree(home)


def blocks_of(address: str) -> list[str]:
    page = urllib.request.urlopen(address).read().decode()
    host = address.split("/")[2]
    found = re.findall(r"<pre[^>]*><code>(.*?)</code></pre>", page, re.DOTALL)
    return [html.unescape(block).replace("HOST", host) for block in found]


@pytest.fixture
def signed(served, gnupg):
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
    name = "Mirror <mirror@example.org>"
    for arguments in (
        ["--quick-generate-key", name, "ed25519", "sign", "never"],
        ["--armor", "--output", build / "SHA256SUMS.asc", "--detach-sign", build / "SHA256SUMS"],
        [
            "--armor",
            "--yes",
            "--output",
            root / "mirror/starlingx/assets/signing-key.asc",
            "--export",
        ],
    ):
        subprocess.run(
            ["gpg", "--batch", "--passphrase", "", *arguments],
            env=gnupg,
            check=True,
            capture_output=True,
        )
    return build, commands


def run(commands: str, directory: Path, gnupg) -> subprocess.CompletedProcess:
    reader = directory / "reader"
    reader.mkdir(mode=0o700)
    short = Path(gnupg["GNUPGHOME"]) / f"r{directory.name[-1]}"
    short.mkdir(mode=0o700)
    try:
        return subprocess.run(
            ["sh", "-e", "-c", commands],
            cwd=reader,
            env={**os.environ, "GNUPGHOME": str(short), "LC_ALL": "C"},
            capture_output=True,
            text=True,
        )
    finally:
        subprocess.run(["gpgconf", "--kill", "all"], env={**os.environ, "GNUPGHOME": str(short)})


def test_the_commands_verify_a_good_iso_and_refuse_a_changed_one(signed, gnupg, tmp_path):
    build, commands = signed
    (tmp_path / "a").mkdir()
    good = run(commands, tmp_path / "a", gnupg)
    assert good.returncode == 0, good.stderr
    assert "outputs/iso/bootimage.iso: OK" in good.stdout
    assert "Good signature" in good.stderr
    (build / "outputs/iso/bootimage.iso").write_text("something else\n")
    (tmp_path / "b").mkdir()
    changed = run(commands, tmp_path / "b", gnupg)
    assert changed.returncode != 0
    assert "outputs/iso/bootimage.iso: FAILED" in changed.stdout
    sums = build / "SHA256SUMS"
    sums.write_text(sums.read_text() + "\n")
    (tmp_path / "c").mkdir()
    assert "BAD signature" in run(commands, tmp_path / "c", gnupg).stderr


def test_the_repository_file_is_one(served):
    import configparser

    _, address = served
    file = configparser.ConfigParser()
    file.read_string(blocks_of(address)[1])
    (name,) = file.sections()
    assert file[name]["baseurl"].startswith(address)
    assert file[name]["baseurl"].endswith("/latest_build/outputs/RPMS/")
