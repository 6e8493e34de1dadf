"""Where the rules of the scans come from: pinned, checked, fetched once."""

from __future__ import annotations

import hashlib
import os
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
CACHE = HERE.parents[2] / ".cache" / "scap"
PIN = yaml.safe_load((HERE / "content.yml").read_text())


class NoContent(Exception):
    """There is nothing to scan with; the text says what to do."""


def mirror() -> str:
    """Return the Debian mirror that this machine's apt is set up with."""
    told = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(ORIGIN) $(LABEL)"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    for line in told.splitlines():
        address, _, rest = line.partition(" ")
        if rest == "Debian Debian":
            return address.rstrip("/") + "/"
    raise NoContent("apt knows no mirror of Debian: name the package in SCAP_CONTENT")


def checked(data: bytes, where: str) -> bytes:
    """Return the package if it is the one that was pinned."""
    digest = hashlib.sha256(data).hexdigest()
    if digest != PIN["sha256"]:
        raise NoContent(
            f"{where} is not ssg-debian {PIN['version']}: SHA-256 {digest}, not {PIN['sha256']}"
        )
    return data


def package() -> bytes:
    """Return the package: from SCAP_CONTENT, from the cache, or from the mirror."""
    local = os.environ.get("SCAP_CONTENT")
    if local:
        return checked(Path(local).read_bytes(), local)
    cached = CACHE / Path(PIN["path"]).name
    if cached.exists():
        return checked(cached.read_bytes(), str(cached))
    address = mirror() + PIN["path"]
    try:
        with urllib.request.urlopen(address, timeout=120) as answer:
            data = checked(answer.read(), address)
    except urllib.error.URLError as error:
        raise NoContent(
            f"{address}: {error}. The mirror may have gone on to a newer version: name a file of "
            f"ssg-debian {PIN['version']} in SCAP_CONTENT, or pin the newer one in "
            f"{HERE / 'content.yml'} and look at the waivers again."
        ) from error
    CACHE.mkdir(parents=True, exist_ok=True)
    cached.write_bytes(data)
    return data


def data_stream(release: str) -> Path:
    """Return the rules for a release of Debian ("12")."""
    root = CACHE / PIN["version"]
    stream = root / f"usr/share/xml/scap/ssg/content/ssg-debian{release}-ds.xml"
    if not stream.exists():
        data = package()
        root.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ["dpkg-deb", "--fsys-tarfile", "/dev/stdin"],
            input=data,
            check=True,
            stdout=(root / "data.tar").open("wb"),
        )
        subprocess.run(["tar", "-xf", root / "data.tar", "-C", root], check=True)
        (root / "data.tar").unlink()
    if not stream.exists():
        raise NoContent(f"ssg-debian {PIN['version']} has nothing for Debian {release}")
    return stream
