"""When something is mailed, and what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from stxmirror import fields
from stxmirror.watch import render
from stxmirror.watch.model import CRITICAL, UNKNOWN, WORDS, Verdict, worst


@dataclass(frozen=True)
class Mailed:
    """What people were told last: what was not fine, with its state, and when (seconds)."""

    problems: Mapping[str, int] = field(default_factory=dict)
    at: float = 0

    @classmethod
    def parse(cls, raw: object) -> Mailed:
        """Read what :meth:`to_json` made, or raise."""
        what = "what was mailed last"
        entry = fields.mapping(raw, what)
        problems = fields.required(entry, "problems", dict, what)
        return cls(
            {key: fields.required(problems, key, int, what) for key in problems},
            fields.number(entry, "at", what),
        )

    def to_json(self) -> dict[str, object]:
        """Return it as the host remembers it."""
        return {"problems": dict(self.problems), "at": self.at}


def mail_due(verdicts: Sequence[Verdict], mailed: Mailed, repeat_hours: float, now: float) -> bool:
    """Say whether people must hear of it."""
    current = states(verdicts)
    if current != mailed.problems:
        return True
    critical = CRITICAL in current.values()
    return critical and now - mailed.at >= repeat_hours * 3600


def states(verdicts: Sequence[Verdict]) -> dict[str, int]:
    """Return what is not fine, with its state."""
    return {verdict.key: verdict.state for verdict in render.problems(verdicts)}


def message(verdicts: Sequence[Verdict], mailed: Mailed, host: str, to: str) -> str:
    """Return the whole mail."""
    before = mailed.problems
    current = states(verdicts)
    gone = sorted(set(before) - set(current))
    new = [key for key in current if before.get(key) != current[key]]
    named = new or list(current)
    word = WORDS[_headline([verdict for verdict in verdicts if verdict.key in named] or verdicts)]
    lines = [f"To: {to}", f"Subject: {_subject(host, word, named)}"]
    lines += ["Auto-Submitted: auto-generated", "Content-Type: text/plain; charset=utf-8"]
    lines += ["Content-Transfer-Encoding: 8bit", ""]
    lines.append(render.text(render.problems(verdicts)) if current else "Everything is fine.\n")
    if gone:
        lines.append("Fine again: " + ", ".join(gone) + "\n")
    lines.append(f"Look again on {host}: sudo stx-watch")
    return "\n".join(lines) + "\n"


def _headline(verdicts: Sequence[Verdict]) -> int:
    """Return the state that the subject names: a failed build before a check without an answer."""
    return worst([verdict for verdict in verdicts if verdict.state != UNKNOWN] or verdicts)


def _subject(host: str, word: str, named: Sequence[str]) -> str:
    about = ", ".join(named[:3])
    subject = f"[stx-watch] {host}: {word}" + (f" ({about})" if about else "")
    return "".join(sign if sign.isascii() and sign.isprintable() else "?" for sign in subject)[:200]
