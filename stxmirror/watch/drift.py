"""Verdict on what differs between this host and the code, as the last comparison found it."""

from __future__ import annotations

from stxmirror.times import parse_time
from stxmirror.watch import facts, settings
from stxmirror.watch.model import OK, UNKNOWN, WARNING, Verdict, age

DAY = 86400
SHOWN = 20


def drift(found: facts.Drift | None, wanted: settings.Drift, now: float) -> list[Verdict]:
    """Judge the result of the last comparison, and its age."""
    if found is None:
        text = "this host was never compared with the code: run script/drift"
        return [Verdict("drift", "", UNKNOWN, text)]
    seconds = now - parse_time(found.checked).timestamp()
    when = f"compared {age(seconds)} ago"
    if found.failed:
        names = found.failed[:SHOWN]
        return [Verdict("drift", "", UNKNOWN, f"the comparison failed; {when}", names)]
    count = len(found.changes)
    state, text = OK, f"nothing differs from the code; {when}"
    details: tuple[str, ...] = ()
    if count:
        state = WARNING
        text = f"{count} task{'s' if count > 1 else ''} would change this host; {when}"
        details = found.changes[:SHOWN]
        if count > SHOWN:
            details += (f"and {count - SHOWN} more",)
    if seconds > wanted.max_age_days * DAY:
        state = max(state, WARNING)
        text += f"; no comparison for more than {wanted.max_age_days} days"
    return [Verdict("drift", "", state, text, details, value=count, unit="tasks")]
