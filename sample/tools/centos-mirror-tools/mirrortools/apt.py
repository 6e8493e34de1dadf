"""apt with a state of its own, so that neither root nor the host's package lists are needed.

The host's configured sources, keys and proxies are used; lists and downloads lie in a
directory of ours. The host's dpkg status is never read: what is installed here must not
change what a build is made from.
"""

from __future__ import annotations

import fnmatch
import hashlib
import re
import shutil
import subprocess
import urllib.parse
from pathlib import Path
from typing import NamedTuple

from mirrortools import MirrorToolsError
from mirrortools.lists import Wanted

_URI_LINE = re.compile(r"'(?P<uri>[^']+)' (?P<file>\S+) (?P<size>\d+) SHA256:(?P<sha>[0-9a-f]{64})")


class Deb(NamedTuple):
    """One file on the package mirror."""

    package: str
    version: str
    file: str  # true name, without the epoch, so that no % gets into a file's name
    size: int
    sha256: str


class Apt:
    """Asks and downloads, with lists and cache under ``state``."""

    def __init__(self, state: Path) -> None:
        self.state = state
        for name in ("lists/partial", "cache/archives/partial"):
            (state / name).mkdir(parents=True, exist_ok=True)
        self._empty = state / "status"
        self._empty.touch()

    def _run(self, *words: str, cwd: Path | None = None) -> str:
        command = [
            words[0],
            "-o", f"Dir::State={self.state}",
            "-o", f"Dir::State::status={self._empty}",
            "-o", f"Dir::Cache={self.state / 'cache'}",
            "-o", f"Dir::Log={self.state}",
            "-o", "Acquire::Languages=none",
            "-o", "Acquire::Retries=3",
            "-o", "APT::Sandbox::User=",
            "-o", "Acquire::ForceHash=SHA256",
            *words[1:],
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)
        if done.returncode:
            errors = [x for x in done.stderr.splitlines() if x.startswith("E:")]
            raise MirrorToolsError("; ".join(errors) or f"{' '.join(words)} failed: {done.stderr}")
        return done.stdout

    def update(self) -> None:
        """Brings the package lists up to date."""
        try:
            self._run("apt-get", "-qq", "-o", "APT::Update::Error-Mode=any", "update")
        except FileNotFoundError:
            raise MirrorToolsError(
                "apt-get is not installed: the sample's inputs come from a Debian or Ubuntu "
                "package mirror, so build it on such a host"
            ) from None
        except MirrorToolsError as error:
            raise MirrorToolsError(
                f"the package mirror's lists cannot be read ({error}); look at the host's apt "
                "sources and whether the mirror answers, then run this again"
            ) from error

    def closure(self, names: list[str]) -> list[Deb]:
        """``names`` and all they depend on, as candidates of the mirror, sorted by name."""
        out = self._run(
            "apt-get", "-qq", "-y", "--no-install-recommends", "--print-uris", "install", *names
        )
        return _debs(out)

    def exactly(self, wanted: list[Wanted]) -> list[Deb]:
        """The candidates of ``wanted`` themselves, without what they depend on."""
        names = [self._resolved(w) for w in wanted]
        return (
            _debs(self._run("apt-get", "-qq", "--print-uris", "download", *names)) if names else []
        )

    def _resolved(self, wanted: Wanted) -> str:
        if wanted.depends is None:
            return wanted.name
        out = self._run("apt-cache", "depends", "--important", wanted.name)
        found = {line.split()[-1] for line in out.splitlines() if "Depends:" in line}
        matching = sorted(n for n in found if fnmatch.fnmatchcase(n, wanted.depends))
        if len(matching) != 1:
            raise MirrorToolsError(
                f"deb-dl.lst: {wanted.name} depends on {len(matching)} packages matching "
                f"{wanted.depends!r}, and exactly one is needed"
            )
        return matching[0]

    def fetch(self, debs: list[Deb], to: Path) -> list[Deb]:
        """Downloads those of ``debs`` that ``to`` lacks or has damaged; returns these.

        A file appears under its name only when its sha256 is right.
        """
        lacking = [d for d in debs if not _intact(to / d.file, d)]
        if not lacking:
            return []
        partial = to / ".partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            self._run(
                "apt-get", "-qq", "download", *(f"{d.package}={d.version}" for d in lacking),
                cwd=partial,
            )  # fmt: skip
            trouble = ""
        except MirrorToolsError as error:
            trouble = str(error)
        arrived = {_plain(p.name): p for p in partial.iterdir()}
        missing = []
        for deb in lacking:
            path = arrived.get(deb.file)
            if path is not None and _intact(path, deb):
                path.replace(to / deb.file)
            else:
                missing.append(deb.file)
        shutil.rmtree(partial)
        if missing:
            raise MirrorToolsError(f"not downloaded: {' '.join(missing)} ({trouble})")
        return lacking


def _plain(name: str) -> str:
    """``a_1%3a2.0_all.deb`` -> ``a_2.0_all.deb``."""
    package, _, rest = urllib.parse.unquote(name).partition("_")
    return f"{package}_{re.sub(r'^[0-9]+:', '', rest)}"


def _debs(output: str) -> list[Deb]:
    debs = []
    for line in output.splitlines():
        match = _URI_LINE.match(line)
        if not match:
            raise MirrorToolsError(f"apt-get named a file without a sha256: {line}")
        package, version, _ = urllib.parse.unquote(match["file"]).split("_")
        debs.append(Deb(package, version, _plain(match["file"]), int(match["size"]), match["sha"]))
    return sorted(debs)


def _intact(path: Path, deb: Deb) -> bool:
    if not path.is_file() or path.stat().st_size != deb.size:
        return False
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest() == deb.sha256
