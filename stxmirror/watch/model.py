"""A verdict, and what several of them come to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

# The exit codes that monitoring plugins share.
OK, WARNING, CRITICAL, UNKNOWN = range(4)
WORDS = ("ok", "warning", "critical", "unknown")

# What is not known may be as bad as it gets: only what is known to be critical comes before it.
_SEVERITY = {OK: 0, WARNING: 1, UNKNOWN: 2, CRITICAL: 3}


@dataclass(frozen=True)
class Verdict:
    """What one check says of one thing."""

    check: str
    subject: str
    state: int
    text: str
    details: tuple[str, ...] = ()
    value: float | None = None
    unit: str = ""

    @property
    def key(self) -> str:
        """What it is about, in one word or two."""
        return f"{self.check} {self.subject}".rstrip()


def worst(verdicts: Iterable[Verdict]) -> int:
    """Return the most severe state; nothing checked is nothing known."""
    return max((verdict.state for verdict in verdicts), key=_SEVERITY.__getitem__, default=UNKNOWN)


def severity(state: int) -> int:
    """Return a number that grows with what a state means."""
    return _SEVERITY[state]


def above(value: float, warning: float, critical: float) -> int:
    """Judge a value that is bad when it is large."""
    return CRITICAL if value >= critical else WARNING if value >= warning else OK


def below(value: float, warning: float, critical: float) -> int:
    """Judge a value that is bad when it is small."""
    return CRITICAL if value <= critical else WARNING if value <= warning else OK


def age(seconds: float) -> str:
    """Return a length of time for people."""
    seconds = max(0.0, seconds)
    if seconds < 3600:
        return f"{int(seconds // 60)} min"
    if seconds < 48 * 3600:
        return f"{int(seconds // 3600)} h"
    return f"{int(seconds // 86400)} days"
