"""What a build made, gathered into the tree that will be published.

The workspace is hostile, because an RPM's ``%build`` ran in it: only regular files that really lie
under the build's own directories are read, whatever links lead there, and they are copied. Each is
read once: it is copied, hashed and judged in one go.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from stxmirror.builder import rpm_header
from stxmirror.builder.secret_terms import Terms
from stxmirror.builder.untrusted_files import BLOCK, Unusable, check_name, expand, open_inside
from stxmirror.names import ISO, ISO_NAME, ISO_PLACE, LOGS
from stxmirror.records import Iso, Total

REPORT_MAX = 20
# How many packages the metadata names, at the start of primary.xml (createrepo_c's own format).
_PACKAGES = re.compile(rb'<metadata [^>]*packages="([0-9]+)"')


@dataclass(frozen=True)
class Wanted:
    """What one glob matches, and where that goes: an artifact type such as ``outputs/RPMS/std``.

    A ``required`` glob that matches nothing is a problem.
    """

    source: str
    place: str
    required: bool


@dataclass
class Gathered:
    """What a tree was filled with."""

    totals: dict[str, Total] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    iso: Iso | None = None
    # Why this must not be published as a success, a sentence each.
    problems: list[str] = field(default_factory=list)
    # Logs that were left out, and why.
    left_out: list[str] = field(default_factory=list)


class Collector:
    """Fills one tree and keeps account of it."""

    def __init__(
        self,
        tree: Path,
        *,
        workspace: Path,
        roots: Sequence[Path],
        view: Mapping[str, str],
        terms: Terms,
        log_terms: Terms,
    ) -> None:
        """``view`` says what paths that a stage saw are called outside of its sandbox.

        ``terms`` must not be published; ``log_terms`` are cut out of logs.
        """
        self.tree = tree
        self.workspace = str(workspace)
        self.roots = [str(root) for root in roots]
        self.view = view
        self.terms = terms
        self.log_terms = log_terms
        self.sources: dict[str, str] = {}  # path in the tree: where it came from
        self.build_times: dict[str, int] = {}  # RPM's path in the tree: seconds
        self.found = Gathered()

    def collect(self, wanted: Wanted) -> None:
        """Copy all that one glob matches."""
        paths = self._expand(wanted.source)
        if not paths and wanted.required:
            self.found.problems.append(
                f"nothing matches {wanted.source}, which should yield {wanted.place}"
            )
        for path in paths:
            name = Path(path).name
            if wanted.place == ISO_PLACE and name.endswith(".iso"):
                name = ISO_NAME
            try:
                self._take(path, wanted.place, name)
            except (Unusable, rpm_header.NotAnRpm) as error:
                self.found.problems.append(f"{self._shown(path)} cannot be published: {error}")

    def _expand(self, pattern: str) -> list[str]:
        return expand(self._outside(pattern), self.workspace)

    def _outside(self, path: str) -> str:
        for inside, outside in self.view.items():
            if path.startswith(inside + "/"):
                return outside + path[len(inside) :]
        return path

    def _real(self, path: str) -> str:
        """Return where a link leads that a stage made in its own view."""
        for _ in range(5):
            if not os.path.islink(path):  # noqa: PTH114 - the kernel's own word, no Path
                break
            target = os.readlink(path)  # noqa: PTH115
            path = self._outside(os.path.normpath(os.path.join(os.path.dirname(path), target)))  # noqa: PTH118, PTH120
        return path

    def _take(self, path: str, place: str, name: str) -> None:
        check_name(name)
        target = f"{place}/{name}"
        term = self.terms.find(name.encode("utf-8", "surrogateescape"))
        if term:
            raise Unusable(f"its name has {term!r}, which is the build server's own")
        with open_inside(self._real(path), self.roots) as source:
            if target in self.sources:
                if self.sources[target] == path or _digest(source) == self.found.digests[target]:
                    return
                raise Unusable(f"{self._shown(self.sources[target])} is {target} already")
            is_rpm = name.endswith(".rpm")
            header, digest, size = self._write(target, source, is_rpm=is_rpm)
        self.sources[target] = path
        if header is not None:
            self._judge_rpm(target, header)
        if target == ISO:
            self.found.iso = {"path": target, "size": size, "sha256": digest}
        self._count(place, size)

    def _judge_rpm(self, target: str, header: rpm_header.Header) -> None:
        for name, content in header.texts:
            term = self.terms.find(content)
            if term:
                self.found.problems.append(
                    f"{target} has {term!r} in its header field {name}: clamp that field where "
                    "the package is built"
                )
        # Metadata holds the file's time: from the header, it is the same for the same RPM.
        self.build_times[target] = header.build_time
        os.utime(self.tree / target, (header.build_time, header.build_time))

    def collect_logs(self, pattern: str, base: str) -> None:
        """Copy all text logs that one glob matches below ``base``, redacted."""
        for path in expand(self._outside(pattern), base):
            inside = path[len(base) + 1 :] if path.startswith(base + "/") else self._shown(path)
            try:
                self._take_log(path, inside)
            except Unusable as error:
                self.found.left_out.append(f"{self._shown(path)}: {error}")

    def _take_log(self, path: str, inside: str) -> None:
        for part in inside.split("/"):
            check_name(part)
        target = f"{LOGS}/{inside}"
        if self.log_terms.find(target.encode()):
            raise Unusable("its path names the build server or its people")
        if self.sources.get(target, path) != path:
            raise Unusable(f"{self._shown(self.sources[target])} is {target} already")
        if target in self.sources:
            return
        with open_inside(self._real(path), self.roots) as source:
            if b"\0" in source.read(8192):
                raise Unusable("it is not text")
            source.seek(0)
            self.sources[target] = path
            size = self._place(target, lambda out: self._redact(source, out))
        self._count(LOGS, size)

    def _redact(self, source: BinaryIO, out: _Hashing) -> None:
        rest = b""
        while block := source.read(BLOCK):
            # A word must not be cut in two: hold back what follows the last line's end.
            head, end, tail = (rest + block).rpartition(b"\n")
            if not end and len(tail) < 64 * BLOCK:
                rest = tail
                continue
            out.write(self.log_terms.redact(head + end if end else tail))
            rest = tail if end else b""
        out.write(self.log_terms.redact(rest))

    def _shown(self, path: str) -> str:
        """Return a path as a person wants it: below the workspace, or below its root."""
        for root in self.roots:
            if path.startswith(root.rstrip("/") + "/"):
                return path[len(root.rstrip("/")) + 1 :]
        return path.lstrip("/")

    def _write(
        self, target: str, source: BinaryIO, *, is_rpm: bool
    ) -> tuple[rpm_header.Header | None, str, int]:
        """Copy an open file into the tree; return an RPM's header, the digest, the size."""
        header: list[rpm_header.Header] = []

        def fill(out: _Hashing) -> None:
            check = None
            if is_rpm:
                header.append(rpm_header.read_header(_Copying(source, out)))
                check = rpm_header.PayloadCheck(header[0])
            while block := source.read(BLOCK):
                out.write(block)
                if check:
                    check.update(block)
            if check:
                check.finish()

        size = self._place(target, fill)
        return (header[0] if header else None), self.found.digests[target], size

    def _place(self, target: str, fill: Callable[[_Hashing], None]) -> int:
        """Write a file of the tree under a passing name, then give it its own; return its size."""
        path = self.tree / target
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(".part")
        try:
            with part.open("wb") as stream:
                out = _Hashing(stream)
                fill(out)
            part.chmod(0o644)
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        self.found.digests[target] = out.total.hexdigest()
        return out.size

    def _count(self, place: str, size: int) -> None:
        total = self.found.totals.setdefault(place, {"files": 0, "bytes": 0})
        total["files"] += 1
        total["bytes"] += size

    def make_metadata(self) -> None:
        """Make every RPM directory a repository, and outputs/RPMS as a whole."""
        places = {target.rpartition("/")[0] for target in self.build_times}
        if any(place.startswith("outputs/RPMS/") for place in places):
            places.add("outputs/RPMS")
        with ThreadPoolExecutor(max_workers=len(os.sched_getaffinity(0))) as pool:
            made = list(pool.map(self._make_repository, sorted(places)))
        for digests in made:
            self.found.digests.update(digests)

    def _make_repository(self, place: str) -> dict[str, str]:
        """Make the metadata of one directory; return the digests of its files."""
        inside = [
            when for target, when in self.build_times.items() if target.startswith(place + "/")
        ]
        final = self.tree / place / "repodata"
        with tempfile.TemporaryDirectory(dir=self.tree.parent, prefix=".metadata-") as scratch:
            done = subprocess.run(
                [
                    *("createrepo_c", "--quiet", "--no-database", "--outputdir", scratch),
                    # A package that it cannot read is no warning.
                    "--error-exit-val",
                    # Old clients (CentOS 7's yum) read no other compression.
                    *("--general-compress-type", "gz"),
                    # The same packages give the same metadata, byte for byte.
                    *("--revision", str(max(inside)), "--set-timestamp-to-revision"),
                    str(self.tree / place),
                ],
                capture_output=True,
                check=False,
            )
            output = " ".join((done.stderr + done.stdout).decode("utf-8", "replace").split())
            if done.returncode != 0:
                raise Unusable(f"createrepo_c cannot read a package of {place}: {output[-500:]}")
            made = Path(scratch) / "repodata"
            self._check_count(made, place, len(inside), output)
            if final.exists():
                shutil.rmtree(final)
            made.chmod(0o755)
            made.replace(final)
        digests = {}
        for file in sorted(final.iterdir()):
            file.chmod(0o644)
            with file.open("rb") as stream:
                digests[f"{place}/repodata/{file.name}"] = _digest(stream)
        return digests

    def _check_count(self, repodata: Path, place: str, wanted: int, output: str) -> None:
        primary = next(iter(repodata.glob("*primary.xml.gz")))
        with gzip.open(primary) as stream:
            found = _PACKAGES.search(stream.read(4096))
        named = int(found.group(1)) if found else 0
        if named != wanted:
            raise Unusable(
                f"the metadata of {place} names {named} packages, and it has {wanted}: "
                f"{output[-500:] or 'createrepo_c does not say which'}"
            )

    def tidy(self, directories: Sequence[str], keep: Sequence[str]) -> None:
        """Remove what the tree has beside what was gathered and ``keep``; make ``directories``."""
        planned = {*self.found.digests, *keep}
        wanted = set(directories)
        for path in [*planned, *directories]:
            wanted.update(str(parent) for parent in Path(path).parents)
        for directory, names, files in os.walk(self.tree, topdown=False):
            inside = os.path.relpath(directory, self.tree)
            for name in [*files, *names]:
                path = os.path.normpath(f"{inside}/{name}")
                full = Path(directory) / name
                if full.is_dir() and not full.is_symlink():
                    if path not in wanted:
                        full.rmdir()
                elif path not in planned:
                    full.unlink()
        for path in directories:
            (self.tree / path).mkdir(parents=True, exist_ok=True)


class _Hashing:
    """A file that is written and hashed at once."""

    def __init__(self, stream: BinaryIO | io.BufferedWriter) -> None:
        self.stream = stream
        self.total = hashlib.sha256()
        self.size = 0

    def write(self, block: bytes) -> None:
        self.stream.write(block)
        self.total.update(block)
        self.size += len(block)


class _Copying:
    """A file that is copied while it is read."""

    def __init__(self, source: BinaryIO, out: _Hashing) -> None:
        self.source = source
        self.out = out

    def read(self, size: int, /) -> bytes:
        block = self.source.read(size)
        self.out.write(block)
        return block


def _digest(file: BinaryIO) -> str:
    file.seek(0)
    total = hashlib.sha256()
    while block := file.read(BLOCK):
        total.update(block)
    return total.hexdigest()
