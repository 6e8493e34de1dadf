"""What no name on the mirror may be, and what each has to be."""

from __future__ import annotations

import posixpath
import re

TRICKS = re.compile(r"[\s$`;|&<>*?\\'\"(){}\[\]!#\0]")


def assert_safe(path: str) -> None:
    """A path that stays below where it is put, and is one plain word to a shell."""
    assert not path.startswith(("/", "-", "~"))
    assert posixpath.normpath(path) == path
    assert not path.startswith("..")
    assert all(part not in ("", ".", "..") and part[0] not in ".-~" for part in path.split("/"))
    assert not TRICKS.search(path)
    assert path.isascii()
    assert path.isprintable()
