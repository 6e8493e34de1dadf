"""Lines of text as the tools that write them mean it: one ends at a line feed, and nowhere else."""

from __future__ import annotations


def split(text: str) -> list[str]:
    """Return the lines of ``text`` without their line feeds.

    ``str.splitlines`` also ends a line at form feeds, U+0085, U+2028 and others, which names,
    subjects and comments may hold.
    """
    found = text.split("\n")
    if found[-1] == "":
        found.pop()
    return found
