"""Verdict on what differs between this host and the code, as the last comparison found it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stxmirror.times import parse_time
from stxmirror.watch.model import OK, UNKNOWN, WARNING, Verdict, age

DAY = 86400
SHOWN = 20


def drift(facts: Mapping[str, Any] | None, limits: Mapping[str, Any], now: float) -> list[Verdict]:
    """Judge the result of the last comparison, and its age."""
    if facts is None:
        text = "this host was never compared with the code: run script/drift"
        return [Verdict("drift", "", UNKNOWN, text)]
    seconds = now - parse_time(facts["checked"]).timestamp()
    when = f"compared {age(seconds)} ago"
    if facts["failed"]:
        names = tuple(facts["failed"][:SHOWN])
        return [Verdict("drift", "", UNKNOWN, f"the comparison failed; {when}", names)]
    count = len(facts["changes"])
    state, text, details = OK, f"nothing differs from the code; {when}", ()
    if count:
        state = WARNING
        text = f"{count} task{'s' if count > 1 else ''} would change this host; {when}"
        details = tuple(facts["changes"][:SHOWN])
        if count > SHOWN:
            details += (f"and {count - SHOWN} more",)
    if seconds > limits["max_age_days"] * DAY:
        state = max(state, WARNING)
        text += f"; no comparison for more than {limits['max_age_days']} days"
    return [Verdict("drift", "", state, text, details, value=count, unit="tasks")]
