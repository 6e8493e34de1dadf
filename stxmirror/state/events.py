"""What a build reports while it runs: one JSON object a line, in the order of happening.

The building modules write (:class:`Reporter`), the controller reads (:class:`Events`). Events are
for people who follow a build; the record, not an event, says how it ended.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from stxmirror.state.paths import Paths

# How a part ended.
PartResult = Literal["ok", "failed", "timeout", "skipped", "degraded"]


class Reporter:
    """Writes the events of one branch's run."""

    def __init__(self, file: Path) -> None:
        """``file`` is :meth:`stxmirror.state.paths.Paths.events`; it is made if it is missing."""
        self.file = file

    @classmethod
    def of(cls, paths: Paths, project: str) -> Reporter:
        """Return the reporter of one branch."""
        return cls(paths.events(project))

    def build(self, build_id: str) -> None:
        """Say which build this run has become."""
        self._write({"event": "build", "id": build_id})

    def begin(self, part: str) -> None:
        """Say that a part begins."""
        self._write({"event": "begin", "part": part})

    def end(self, part: str, result: PartResult = "ok") -> None:
        """Say how a part ended."""
        self._write({"event": "end", "part": part, "result": result})

    def note(self, text: str) -> None:
        """Say something that whoever follows the build should know now."""
        self._write({"event": "note", "text": text})

    @contextmanager
    def part(self, word: str) -> Iterator[None]:
        """Report a part around a block; an exception is its failure."""
        self.begin(word)
        try:
            yield
        except BaseException:
            self.end(word, "failed")
            raise
        self.end(word)

    def _write(self, event: dict[str, Any]) -> None:
        line = json.dumps(event) + "\n"
        self.file.parent.mkdir(parents=True, exist_ok=True)
        # One write with O_APPEND: a reader never meets half a line of a module that was killed.
        handle = os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
        try:
            os.write(handle, line.encode())
        finally:
            os.close(handle)


class Events:
    """Reads what was reported since the last look."""

    def __init__(self, file: Path) -> None:
        """Begin with an empty file: what an earlier run reported is over."""
        self.file = file
        self.position = 0
        file.unlink(missing_ok=True)

    def new(self) -> list[dict[str, Any]]:
        """Return the events since the last call, oldest first."""
        try:
            with self.file.open("rb") as stream:
                stream.seek(self.position)
                text = stream.read()
        except FileNotFoundError:
            return []
        whole, end, _ = text.rpartition(b"\n")
        self.position += len(whole) + len(end)
        return [json.loads(line) for line in whole.split(b"\n") if line]
