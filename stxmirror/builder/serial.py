"""What a machine writes to its serial line, as a person would have seen it.

Pure: bytes go in as they come, markers and lines come out. Two things keep a plain search from
finding a marker. Boot menus and shells write control sequences between the letters. And the kernel
writes its messages whenever it likes, also into the middle of another program's line::

    SAMPLE: instal[    5.123456] usb 1-1: new high-speed USB device
    ler master ready

The kernel's message ends with its line, so the other program's line goes on in the next one.
"""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence

LAST_LINES = 15
_SHOWN_CHARACTERS = 200
# A line that is still longer is cut: a guest that writes without end must not fill the memory.
_LONGEST_LINE = 65536

# ECMA-48 and xterm. A string (OSC, DCS, ...) ends with BEL or ST; one that lacks its end must not
# swallow the lines after it. A sequence at the very end may still lack its last bytes.
_STRING = r"\x1b[\]PX^_][^\x07\x1b\n\r]*(?:\x07|\x1b\\)?"
_CURSOR = r"\x1b\[[0-9;]*[ABEFHdf]|\x1b[DEM78c]"
_COLUMN = r"\x1b\[[0-9;]*[CG]|\t"
_CSI = r"\x1b\[[0-?]*[ -/]*(?:[@-~]|$)"
_ESCAPE = r"\x1b[ -/]*(?:[0-~]|$)|\x1b"
_CONTROLS = re.compile(
    rf"(?P<end>\r+\n)|(?P<moved>{_CURSOR}|\r)|(?P<space>{_COLUMN})|{_STRING}|{_CSI}|{_ESCAPE}"
)
# Stands for "the cursor went elsewhere": what follows begins a line, or draws one anew.
_MOVED = "\v"
_NUMBER = re.compile(r"\d+")

# With printk.time; the caller's id follows with CONFIG_PRINTK_CALLER.
_KERNEL = re.compile(r"(?:<\d{1,3}>)?\[ *\d+\.\d+\](?:\[ *[TC]\d+\])? ")


def plain_text(data: bytes) -> str:
    """Return ``data`` without control characters and sequences.

    Lines end with a newline; a vertical tab stands where the cursor was moved or sent back to the
    line's beginning.
    """

    def replace(found: re.Match[str]) -> str:
        kind = found.lastgroup
        return {"end": "\n", "moved": _MOVED, "space": " "}.get(kind or "", "")

    text = data.decode("utf-8", "ignore").replace(_MOVED, "")
    shown: list[str] = []
    for letter in _CONTROLS.sub(replace, text):
        if letter == "\b":
            if shown and shown[-1] not in "\n\v":
                shown.pop()
        elif letter.isprintable() or letter in "\n\v":
            shown.append(letter)
    return "".join(shown)


class SerialLine:
    """Reads a serial line as it comes, and looks for markers in their order.

    ``markers`` are texts of one line each; runs of white space count as one space. A line that
    holds one of ``failure_markers`` ends the search.
    """

    def __init__(self, markers: Sequence[str], failure_markers: Sequence[str] = ()) -> None:
        self._markers = [_squeezed(marker) for marker in markers]
        self._failure_markers = [_squeezed(marker) for marker in failure_markers]
        #: How many of the markers were seen.
        self.seen = 0
        #: The line that says that the machine failed.
        self.failure: str | None = None
        self._unfinished = b""
        # What a program wrote of a line that the kernel wrote into.
        self._interrupted = ""
        self._last: deque[str] = deque(maxlen=LAST_LINES)

    def feed(self, data: bytes) -> None:
        """Take what the machine wrote since the last call, which may be nothing."""
        *lines, rest = (self._unfinished + data).split(b"\n")
        if len(rest) > _LONGEST_LINE:
            lines, rest = [*lines, rest], b""
        for line in lines:
            self._take(plain_text(line.rstrip(b"\r")))
        self._unfinished = rest
        if rest:
            # A marker counts at once. A failure is quoted, so its line has to stand still first.
            self._search(plain_text(rest.rstrip(b"\r")), with_failures=not data)

    def last_lines(self) -> list[str]:
        """Return the last lines, without those that were drawn over; at most ``LAST_LINES``."""
        lines = self._last.copy()
        _show(lines, plain_text(self._unfinished.rstrip(b"\r")))
        return list(lines)

    def _take(self, line: str) -> None:
        _show(self._last, line)
        self._search(line, with_failures=True)
        kernel = _KERNEL.search(line)
        begun = self._interrupted + line[: kernel.start()] if kernel else ""
        self._interrupted = begun[-_LONGEST_LINE:]

    def _search(self, line: str, *, with_failures: bool) -> None:
        kernel = _KERNEL.search(line)
        whole = self._interrupted + (line[: kernel.start()] if kernel else line)
        # The line as it came, because a program may write to the kernel's log, and without the
        # kernel's words.
        parts = [_squeezed(part) for part in (*line.split(_MOVED), *whole.split(_MOVED))]
        while self._wanted() and any(self._markers[self.seen] in part for part in parts):
            self.seen += 1
        if with_failures and self._wanted():
            self.failure = next(
                (part for part in parts if any(bad in part for bad in self._failure_markers)), None
            )

    def _wanted(self) -> bool:
        return self.failure is None and self.seen < len(self._markers)


def _squeezed(text: str) -> str:
    return " ".join(text.split())


def _show(lines: deque[str], line: str) -> None:
    """Add what a person would have seen of a line; what was drawn anew replaces what it was."""
    before = None
    for part in map(_squeezed, line.split(_MOVED)):
        if not any(map(str.isalnum, part)):
            continue
        shape = _NUMBER.sub("0", part)
        if shape == before:
            lines.pop()
        lines.append(part[:_SHOWN_CHARACTERS])
        before = shape
