"""The lines of a log that say why something failed. No input or output here."""

from __future__ import annotations

import re

EXCERPT_LINES = 30
LINE_CHARACTERS = 500
# Of the lines that name an error, so many go before the last lines of a log.
ERROR_LINES = 10

# Colours and cursor movements of tools that think they write to a terminal.
_CONTROL = re.compile(
    r"\x1b(?:\[[0-9;?=]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()][A-Z0-9]|.)"
)
# As compilers, linkers, make, rpmbuild, mock, Python and git write them.
_ERROR = re.compile(
    r"(?:(?<![\w-])(?:fatal )?error:|\bundefined reference\b|\bNo matching package\b"
    r"|\*\*\* .*Error |^E:|^FAILED\b|^Traceback |\bBad exit status\b|^ModuleNotFoundError"
    r"|^fatal:|\bnothing provides\b|\bNo space left on device\b)",
    re.IGNORECASE,
)


def lines_of(text: str) -> list[str]:
    """Return the lines of a log as a person would have seen them, without empty ones at its end."""
    clean = _CONTROL.sub("", text.replace("\r\n", "\n"))
    lines = [line.rpartition("\r")[2].rstrip() for line in clean.split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    return [_printable(line) for line in lines]


def _printable(line: str) -> str:
    return "".join(c if c.isprintable() else " " for c in line)[:LINE_CHARACTERS]


def last_lines(text: str) -> list[str]:
    """Return the last lines of a log."""
    return lines_of(text)[-EXCERPT_LINES:]


def first_error(text: str) -> str:
    """Return the first line that names an error, or nothing."""
    return next((line.strip() for line in lines_of(text) if _ERROR.search(line)), "")


def with_errors(errors: list[str], tail: list[str]) -> list[str]:
    """Return the lines that name errors, then the last lines of the log, as many as fit."""
    shown = [line for line in errors if line not in tail][:ERROR_LINES]
    return [*shown, *tail[-(EXCERPT_LINES - len(shown)) :]]
