"""What RPM files provide and require, and rpm's rules to compare it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import NamedTuple

from pkgbuild import BuildError

_LESS, _GREATER, _EQUAL = 2, 4, 8
_SIGNS = {"<": _LESS, ">": _GREATER, "=": _EQUAL}
_FORMAT = (
    r"@\t%{NAME}\t%{EPOCHNUM}:%{VERSION}-%{RELEASE}\t%{SOURCERPM}\n"
    r"[P\t%{PROVIDENAME}\t%{PROVIDEFLAGS}\t%{PROVIDEVERSION}\n]"
    r"[R\t%{REQUIRENAME}\t%{REQUIREFLAGS}\t%{REQUIREVERSION}\n]"
    r"[F\t%{FILENAMES}\n]"
)
_PARTS = re.compile(r"[0-9]+|[A-Za-z]+|~|\^")


class Dep(NamedTuple):
    """A name, with a version and how it compares (bits of rpm's flags) or without."""

    name: str
    flags: int = 0
    version: str = ""

    def __str__(self) -> str:
        signs = "".join(sign for sign, bit in _SIGNS.items() if self.flags & bit)
        return f"{self.name} {signs} {self.version}" if signs else self.name


class Rpm(NamedTuple):
    """One binary RPM."""

    path: Path
    name: str
    evr: str
    source: str
    provides: tuple[Dep, ...]
    requires: tuple[Dep, ...]
    files: frozenset[str]


def parse(text: str) -> Dep:
    """``name``, or ``name >= version`` as rpm prints it."""
    words = text.split()
    if len(words) != 3:
        return Dep(text.strip())
    return Dep(words[0], sum(_SIGNS[c] for c in words[1]), words[2])


def read(paths: list[Path]) -> list[Rpm]:
    """Reads RPM files, all at once."""
    if not paths:
        return []
    done = subprocess.run(
        ["rpm", "-qp", "--nosignature", "--queryformat", _FORMAT, *map(str, paths)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    blocks = done.stdout.split("@\t")[1:]
    if done.returncode or len(blocks) != len(paths):
        raise BuildError(f"RPMs cannot be read: {done.stderr.strip()}")
    return [_rpm(path, block) for path, block in zip(paths, blocks)]


def _rpm(path: Path, block: str) -> Rpm:
    # A name may hold what Python takes for the end of a line, such as U+0085.
    head, *lines = block.rstrip("\n").split("\n")
    name, evr, source = head.split("\t")
    found: dict[str, list[Dep]] = {"P": [], "R": []}
    files = set()
    for line in lines:
        kind, *rest = line.split("\t")
        if kind == "F":
            files.add(rest[0])
        elif not rest[0].startswith("rpmlib("):
            found[kind].append(Dep(rest[0], int(rest[1]) & 14, rest[2]))
    return Rpm(path, name, evr, source, tuple(found["P"]), tuple(found["R"]), frozenset(files))


def _compare_part(a: str, b: str) -> int:
    """rpmvercmp: -1, 0 or 1."""
    ours, theirs = _PARTS.findall(a), _PARTS.findall(b)
    for x, y in zip(ours, theirs):
        if x == y:
            continue
        for mark in "~^":
            # Both are older than a further number or word; at the end of the other only ~ is.
            if mark in {x, y}:
                return -1 if x == mark else 1
        if x.isdigit() != y.isdigit():
            return 1 if x.isdigit() else -1
        if x.isdigit():
            if int(x) == int(y):
                continue
            return 1 if int(x) > int(y) else -1
        return 1 if x > y else -1
    if len(ours) == len(theirs):
        return 0
    longer, sign = (ours, 1) if len(ours) > len(theirs) else (theirs, -1)
    return -sign if longer[min(len(ours), len(theirs))] == "~" else sign


def compare(a: str, b: str) -> int:
    """Compares ``[epoch:]version[-release]``: -1, 0 or 1; what one side lacks does not count."""
    (epoch_a, version_a, release_a), (epoch_b, version_b, release_b) = _split(a), _split(b)
    found = (epoch_a > epoch_b) - (epoch_a < epoch_b) or _compare_part(version_a, version_b)
    if found or not (release_a and release_b):
        return found
    return _compare_part(release_a, release_b)


def _split(evr: str) -> tuple[int, str, str]:
    epoch, colon, rest = evr.partition(":")
    if not colon:
        epoch, rest = "0", evr
    version, _, release = rest.partition("-")
    return int(epoch or 0), version, release


def satisfies(provided: Dep, wanted: Dep) -> bool:
    """Whether ``provided`` is enough for ``wanted``; both have the same name."""
    if not (wanted.flags and provided.flags):
        return True
    order = compare(provided.version, wanted.version)
    if order < 0:
        return bool(wanted.flags & _LESS or provided.flags & _GREATER)
    if order > 0:
        return bool(wanted.flags & _GREATER or provided.flags & _LESS)
    return bool(wanted.flags & provided.flags)
