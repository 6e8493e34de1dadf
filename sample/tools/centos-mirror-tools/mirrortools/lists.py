"""The lst files: what to download, and what the build root answers to (pure)."""

from __future__ import annotations

import re
from typing import NamedTuple

from mirrortools import MirrorToolsError

_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+\Z")


class RootPackage(NamedTuple):
    """One line of buildroot.lst: a package, and the EL names it answers to."""

    name: str
    provides: tuple[str, ...]


class Wanted(NamedTuple):
    """One line of deb-dl.lst: a package, or what a metapackage depends on."""

    name: str
    depends: str | None


def _lines(text: str) -> list[tuple[int, list[str]]]:
    """The words of each line that has any, with its number; ``#`` starts a comment."""
    numbered = ((n, line.split("#", 1)[0].split()) for n, line in enumerate(text.split("\n"), 1))
    return [(n, words) for n, words in numbered if words]


def _name(word: str, where: str) -> str:
    if not _NAME.match(word):
        raise MirrorToolsError(f"{where}: {word!r} is no package name")
    return word


def read_buildroot(text: str, source: str) -> list[RootPackage]:
    """The packages of the build root; ``source`` names the file in errors."""
    return [
        RootPackage(_name(words[0], f"{source}:{n}"), tuple(words[1:])) for n, words in _lines(text)
    ]


def read_downloads(text: str, source: str) -> list[Wanted]:
    """The packages to download; ``source`` names the file in errors."""
    wanted = []
    for n, words in _lines(text):
        where = f"{source}:{n}"
        depends = None
        for word in words[1:]:
            key, _, value = word.partition(":")
            if key != "depends" or not value:
                raise MirrorToolsError(
                    f"{where}: {word!r} is not understood; a line is '<package>' or "
                    "'<metapackage> depends:<glob>'"
                )
            depends = value
        wanted.append(Wanted(_name(words[0], where), depends))
    return wanted
