"""The parts of a build: their words, their roles, and where a failed build can be resumed.

This is the one list. Progress, resuming, the verdict of a failure, the check of profiles and the
documentation read it; a part is an event that the building modules report (``state.events``).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """A part of a build that is no stage of a profile.

    ``word`` is what a person sees, ``role`` does it. ``resume`` is where a build that failed in
    this part can be resumed; ``None`` means that it has to be built anew or published again.
    """

    word: str
    role: str
    resume: str | None = None


OPEN = Part("open", "build_session")
SYNC = Part("sync", "source_sync")
# The stages of a profile come in between, each a part under its own name.
STAGES_ROLE = "build_stages"
SANITY = Part("sanity", "iso_sanity", resume="sanity")
COLLECT = Part("collect", "collect", resume="sanity")
PUBLISH = Part("publish", "publish")
REPORT = Part("report", "report")

PARTS = (OPEN, SYNC, SANITY, COLLECT, PUBLISH, REPORT)
WORDS = tuple(part.word for part in PARTS)
# Where a build can be resumed besides the stages of its profile.
AFTER_STAGES = SANITY.word

_BY_WORD = {part.word: part for part in PARTS}


def resume_from(part: str | None) -> str | None:
    """Return where a build that failed in ``part`` (or a stage) can be resumed, or ``None``."""
    return _BY_WORD[part].resume if part in _BY_WORD else part


def resumable(stages: list[str]) -> list[str]:
    """Return the names that a build of these stages can be resumed from, in order."""
    return [*stages, AFTER_STAGES]
