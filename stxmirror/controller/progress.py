"""What a build reports, turned into what a person wants to know: which part, since when, how long.

No input or output here: the caller feeds events and the time, and gets lines back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# Below this a part is over before anybody wonders.
ANNOUNCE_SECONDS = 5.0
# A part that has just begun needs no word that it still runs.
QUIET_SECONDS = 30.0


def clock(seconds: float) -> str:
    """Return a length of time as ``0:07``, ``12:34`` or ``3:02:01``."""
    whole = max(0, round(seconds))
    hours, minutes = divmod(whole // 60, 60)
    if hours:
        return f"{hours}:{minutes:02}:{whole % 60:02}"
    return f"{minutes}:{whole % 60:02}"


@dataclass
class Progress:
    """Where one run stands.

    ``expected`` is how many seconds each part took in the last good run, in their order. Every
    ``now`` is in seconds on one steady clock, ``began`` on the same.
    """

    began: float
    expected: Mapping[str, float] = field(default_factory=dict)
    part: str | None = None
    # Of the part that runs; of the run itself before there is one.
    part_began: float = field(init=False)
    seconds: dict[str, float] = field(default_factory=dict)
    build_id: str | None = None
    first_error: str | None = None

    def __post_init__(self) -> None:
        """Begin with the run."""
        self.part_began = self.began

    def event(self, event: Mapping[str, Any], now: float) -> list[str]:
        """Take in an event of a build (:mod:`stxmirror.state.events`); return what to say."""
        kind = event["event"]
        if kind == "begin":
            # Parts follow each other: one that did not say how it ended was killed.
            ended = self.finish_part(now, "failed")
            return [*ended, *self._start_part(str(event["part"]), now)]
        if kind == "end":
            if event["part"] != self.part:
                return []
            return self.finish_part(now, str(event["result"]))
        if kind == "build":
            self.build_id = str(event["id"])
            return [f"{self._stamp(now)} build {self.build_id}"]
        return [f"{self._stamp(now)} {event['text']}"]

    def task_failed(self, event: Mapping[str, Any]) -> None:
        """Take in ansible-runner's event of a failed task: why, should no part have said it."""
        data = event.get("event_data") or {}
        if not data.get("ignore_errors") and self.first_error is None:
            self.first_error = failure_text(data.get("res") or {})

    def tick(self, now: float) -> list[str]:
        """Return a line about a part that goes on for long."""
        if self.part is None or now - self.part_began < QUIET_SECONDS:
            return []
        words = f"{self._stamp(now)} {self.part:<12} running {clock(now - self.part_began)}"
        known = self.expected.get(self.part)
        if known:
            words += f" of about {clock(known)}"
        left = self.remaining(now)
        return [words + (f"; about {clock(left)} to the end" if left else "")]

    def remaining(self, now: float) -> float | None:
        """Return the seconds to the end by the last good run; None if there was none."""
        if not self.expected:
            return None
        rest = sum(
            seconds
            for part, seconds in self.expected.items()
            if part not in self.seconds and part != self.part
        )
        if self.part is not None:
            rest += max(0.0, self.expected.get(self.part, 0.0) - (now - self.part_began))
        return rest

    def finish_part(self, now: float, result: str = "ok") -> list[str]:
        """Close the part that runs, if any."""
        if self.part is None:
            return []
        took = now - self.part_began
        self.seconds[self.part] = self.seconds.get(self.part, 0.0) + took
        known = self.expected.get(self.part)
        line = f"{self._stamp(now)} {self.part:<12} {result:<8} {clock(took)}"
        if known is not None:
            line += f" (last time {clock(known)})"
        self.part = None
        return [line]

    def _start_part(self, part: str, now: float) -> list[str]:
        self.part, self.part_began = part, now
        known = self.expected.get(part)
        if known is not None and known < ANNOUNCE_SECONDS:
            return []
        expected = f" (last time {clock(known)})" if known is not None else ""
        return [f"{self._stamp(now)} {part:<12} started{expected}"]

    def _stamp(self, now: float) -> str:
        return f"[{clock(now - self.began):>7}]"


def failure_text(result: Mapping[str, Any]) -> str:
    """Return one line that says why a task failed; of a loop, why its first bad item did."""
    items = result.get("results")
    if isinstance(items, Sequence) and not isinstance(items, str):
        result = next((item for item in items if item.get("failed")), result)
    for key in ("msg", "stderr", "stdout", "exception"):
        value = result.get(key)
        if isinstance(value, Sequence) and not isinstance(value, str):
            value = "; ".join(map(str, value))
        # Of a command that is all that Ansible itself has to say.
        if value and str(value).strip() not in ("", "non-zero return code"):
            return " ".join(str(value).split())[:1000]
    return "a task failed without saying why"
