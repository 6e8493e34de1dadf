"""When something is mailed, and what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stxmirror.watch import render
from stxmirror.watch.model import CRITICAL, WORDS, Verdict, worst


def mail_due(
    verdicts: Sequence[Verdict], mailed: Mapping[str, Any], repeat_hours: float, now: float
) -> bool:
    """Say whether people must hear of it.

    ``mailed`` is what they heard last: ``problems`` (what is not fine, with its state) and ``at``.
    """
    current = states(verdicts)
    if current != mailed.get("problems", {}):
        return True
    critical = CRITICAL in current.values()
    return critical and now - mailed.get("at", 0) >= repeat_hours * 3600


def states(verdicts: Sequence[Verdict]) -> dict[str, int]:
    """Return what is not fine, with its state."""
    return {verdict.key: verdict.state for verdict in render.problems(verdicts)}


def message(verdicts: Sequence[Verdict], mailed: Mapping[str, Any], host: str, to: str) -> str:
    """Return the whole mail."""
    before = mailed.get("problems", {})
    current = states(verdicts)
    word = WORDS[worst(verdicts)]
    gone = sorted(set(before) - set(current))
    new = [key for key in current if before.get(key) != current[key]]
    lines = [f"To: {to}", f"Subject: {_subject(host, word, current, new)}"]
    lines += ["Auto-Submitted: auto-generated", "Content-Type: text/plain; charset=utf-8"]
    lines += ["Content-Transfer-Encoding: 8bit", ""]
    lines.append(render.text(render.problems(verdicts)) if current else "Everything is fine.\n")
    if gone:
        lines.append("Fine again: " + ", ".join(gone) + "\n")
    lines.append(f"Look again on {host}: sudo stx-watch")
    return "\n".join(lines) + "\n"


def _subject(host: str, word: str, current: Mapping[str, int], new: Sequence[str]) -> str:
    about = ", ".join((new or list(current))[:3])
    subject = f"[stx-watch] {host}: {word}" + (f" ({about})" if about else "")
    return "".join(sign if sign.isascii() and sign.isprintable() else "?" for sign in subject)[:200]
