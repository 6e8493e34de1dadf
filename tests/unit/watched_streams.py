"""What the tests of the watch say of streams."""

from __future__ import annotations

from stxmirror.watch import settings

STREAMS = settings.Streams(
    state="/s",
    known_since="/k",
    schedules={},
    retired=(),
    grace_minutes=60,
    days=settings.Days(warning=2, critical=7),
)
