"""Ansible's events, turned into what a person wants to know: which part, since when, how long yet.

No input or output here: the caller feeds events and the time, and gets lines back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# The roles of playbooks/build.yml and publish.yml, by the word that a person sees. The stages of a
# profile come in between, under their own names.
PART_OF_ROLE = {
    "build_session": "open",
    "source_sync": "sync",
    "iso_sanity": "sanity",
    "collect": "collect",
    "publish": "publish",
    "report": "report",
}
STAGES_ROLE = "build_stages"
# The name of the one task of that role that runs a stage.
STAGE_TASK = re.compile(r"Run stage (\S+)$")
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
    part_began: float = 0.0
    part_failed: str | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    build_id: str | None = None
    first_error: str | None = None

    def __post_init__(self) -> None:
        """Begin with the run."""
        self.part_began = self.began

    def event(self, event: Mapping[str, Any], now: float) -> list[str]:
        """Take in one event of ansible-runner; return what there is to say about it."""
        data = event.get("event_data") or {}
        kind = event.get("event")
        if kind == "playbook_on_task_start":
            part = self._part_of(data)
            if part is not None and part != self.part:
                return [*self.finish_part(now), *self._start_part(part, now)]
        elif kind == "runner_on_ok":
            return self._note_result(data.get("res") or {}, now)
        elif kind in ("runner_on_failed", "runner_on_unreachable"):
            self._note_failure(data)
        elif kind == "runner_on_skipped" and self.part == self._part_of(data):
            self._skip_stage(data)
        return []

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

    def finish_part(self, now: float) -> list[str]:
        """Close the part that runs, if any."""
        if self.part is None:
            return []
        took = now - self.part_began
        self.seconds[self.part] = self.seconds.get(self.part, 0.0) + took
        known = self.expected.get(self.part)
        line = f"{self._stamp(now)} {self.part:<12} {self.part_failed or 'ok':<8} {clock(took)}"
        if known is not None:
            line += f" (last time {clock(known)})"
        self.part = self.part_failed = None
        return [line]

    def _start_part(self, part: str, now: float) -> list[str]:
        self.part, self.part_began, self.part_failed = part, now, None
        known = self.expected.get(part)
        if known is not None and known < ANNOUNCE_SECONDS:
            return []
        expected = f" (last time {clock(known)})" if known is not None else ""
        return [f"{self._stamp(now)} {part:<12} started{expected}"]

    def _part_of(self, data: Mapping[str, Any]) -> str | None:
        role = data.get("role")
        if role == STAGES_ROLE:
            stage = STAGE_TASK.search(str(data.get("task") or ""))
            return stage.group(1) if stage else None
        part = PART_OF_ROLE.get(role) if isinstance(role, str) else None
        # The session also closes the record at the end; that is no part of its own.
        if part == "open" and (self.part is not None or self.seconds):
            return None
        return part

    def _note_result(self, result: Mapping[str, Any], now: float) -> list[str]:
        facts = result.get("ansible_facts")
        found = facts.get("build_session_id") if isinstance(facts, Mapping) else None
        if found and found != self.build_id:
            self.build_id = str(found)
            return [f"{self._stamp(now)} build {self.build_id}"]
        # A stage that failed does not fail its task: what that means, the profile says.
        if result.get("result") in ("failed", "timeout") and "exit_code" in result:
            self.part_failed = str(result["result"])
        return []

    def _skip_stage(self, data: Mapping[str, Any]) -> None:
        if data.get("role") == STAGES_ROLE:
            self.part_failed = "skipped"

    def _note_failure(self, data: Mapping[str, Any]) -> None:
        if data.get("ignore_errors"):
            return
        # A task outside the roles only repeats what one of them has found.
        if data.get("role"):
            self.part_failed = "failed"
        if self.first_error is None:
            self.first_error = failure_text(data.get("res") or {})

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
