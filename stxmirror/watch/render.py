"""The outcome for people and for Prometheus."""

from __future__ import annotations

from collections.abc import Sequence

from stxmirror.watch.model import OK, WORDS, Verdict, severity, worst


def text(verdicts: Sequence[Verdict]) -> str:
    """Return a line for each verdict, the most severe first, with what to look at below it."""
    counts = [sum(verdict.state == state for verdict in verdicts) for state in range(len(WORDS))]
    summary = ", ".join(f"{count} {word}" for count, word in zip(counts, WORDS) if count)
    lines = [f"{WORDS[worst(verdicts)].upper()}: {summary or 'nothing was checked'}"]
    for verdict in sorted(verdicts, key=lambda v: -severity(v.state)):
        lines.append(f"{WORDS[verdict.state]:<8}  {verdict.key}: {_line(verdict.text)}")
        lines += [f"{'':10}{_line(detail)}" for detail in verdict.details]
    return "\n".join(lines) + "\n"


def problems(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Return what is not fine."""
    return [verdict for verdict in verdicts if verdict.state != OK]


def prometheus(verdicts: Sequence[Verdict], now: float) -> str:
    """Return the text format; two verdicts on one thing become the more severe one."""
    by_key: dict[tuple[str, str], Verdict] = {}
    for verdict in verdicts:
        key = (verdict.check, verdict.subject)
        if key not in by_key or severity(verdict.state) > severity(by_key[key].state):
            by_key[key] = verdict
    lines = [
        "# HELP stx_watch_state What a check says: 0 ok, 1 warning, 2 critical, 3 unknown.",
        "# TYPE stx_watch_state gauge",
    ]
    lines += [f"stx_watch_state{_labels(v)} {v.state}" for v in by_key.values()]
    lines += [
        "# HELP stx_watch_value What a check measured, in its unit.",
        "# TYPE stx_watch_value gauge",
    ]
    lines += [
        f"stx_watch_value{_labels(v, unit=v.unit)} {v.value:.6g}"
        for v in by_key.values()
        if v.value is not None
    ]
    lines += [
        "# HELP stx_watch_worst_state The most severe of all states.",
        "# TYPE stx_watch_worst_state gauge",
        f"stx_watch_worst_state {worst(verdicts)}",
        "# HELP stx_watch_last_run_timestamp_seconds When this was written.",
        "# TYPE stx_watch_last_run_timestamp_seconds gauge",
        f"stx_watch_last_run_timestamp_seconds {int(now)}",
    ]
    return "\n".join(lines) + "\n"


def _labels(verdict: Verdict, **more: str) -> str:
    labels = {"check": verdict.check, "subject": verdict.subject, **more}
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    value = value.encode("utf-8", "replace").decode("utf-8")
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _line(words: str) -> str:
    # Part of it may come from a build: it stays one line, and moves no cursor.
    return "".join(sign if sign.isprintable() else " " for sign in words)[:1000]
