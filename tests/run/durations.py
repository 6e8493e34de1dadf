# SPDX-License-Identifier: Apache-2.0
"""How long each job took, and how many tests it ran, beside what the repository has."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).with_name("durations.tsv")
WHOLE = "all of it"
_HEAD = """\
# How long the tests took on an idle machine with two cores, and how many each part ran.
# Written by `script/test --record`; `script/test` shows its own beside these.
"""
# The last line of pytest: "12 passed, 1 skipped in 3.21s".
_COLOUR = re.compile(r"\x1b\[[\d;]*m")
_PASSED = re.compile(r"(?<![\w.])(\d+) passed\b[^\n]* in \d[\d.]*s\b")


@dataclass(frozen=True)
class Measured:
    """Wall-clock seconds, and tests that passed (0 if the job has none to count)."""

    seconds: int
    tests: int = 0


def read(path: Path | None = None) -> dict[str, Measured]:
    """What the repository has, by the name of the job; nothing if there is no file yet."""
    path = path or FILE
    if not path.exists():
        return {}
    rows = [line.split("\t") for line in path.read_text().splitlines() if line and line[0] != "#"]
    return {name: Measured(int(seconds), int(tests)) for name, seconds, tests in rows}


def write(measured: Mapping[str, Measured], path: Path | None = None) -> None:
    """Keep what was measured; jobs that were not run keep what they had."""
    path = path or FILE
    merged = {**read(path), **measured}
    rows = [f"{name}\t{m.seconds}\t{m.tests}\n" for name, m in sorted(merged.items())]
    path.write_text(_HEAD + "".join(rows))


def tests_in(log: str) -> int:
    """How many tests passed, as the last lines of each pytest in a log say."""
    return sum(int(number) for number in _PASSED.findall(_COLOUR.sub("", log)))


def table(now: Mapping[str, Measured], before: Mapping[str, Measured]) -> str:
    """Both, side by side, in the order of ``now``."""
    width = max(map(len, [*now, "part"]))
    lines = [f"{'part':{width}}  seconds  before  tests  before"]
    for name, m in now.items():
        old = before.get(name, Measured(0))
        lines.append(
            f"{name:{width}}  {m.seconds:7}  {_shown(old.seconds):>6}"
            f"  {_shown(m.tests):>5}  {_shown(old.tests):>6}"
        )
    return "\n".join(lines)


def fewer(now: Mapping[str, Measured], before: Mapping[str, Measured]) -> Iterable[str]:
    """A sentence for each job that ran fewer tests than the repository says."""
    for name, m in now.items():
        if name in before and m.tests < before[name].tests:
            yield f"{name} ran {m.tests} tests, and {before[name].tests} before"


def _shown(number: int) -> str:
    return str(number) if number else "-"
