#!/usr/bin/env python3
"""Do the tests notice wrong code? Make it wrong in one place after the other, and see.

Each mutant of a module meets the tests of that module alone (modules.txt). It is killed if one of
them fails or runs out of time. Survivors are listed; one that is no fault is explained in
explained.txt. Exit code 1 if less than 95 % of the others are killed: of the sample, and with
--all of each module.

mutmut would leave out what is no plain function (properties, context managers, the grammars at the
top of a module), and cosmic-ray starts an interpreter for every mutant; here it is a fork.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections.abc import Mapping, Sequence
from math import inf
from pathlib import Path

import mutants
import trials
from mutants import Mutant

HERE = Path(__file__).parent
SHARE = 0.95
# A sample is of so many mutants in so many modules: what costs time is to start with a module.
SAMPLE = 100
SAMPLE_MODULES = 8
# It begins with no further mutant after so long, and says so.
SAMPLE_SECONDS = 600


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the mutants that the command line asks for; return the exit code."""
    parser = argparse.ArgumentParser(description="Sees whether the tests notice wrong code.")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--sample", type=int, default=SAMPLE, help="(%(default)s)")
    parser.add_argument("--all", action="store_true", help="every mutant, not a sample")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="(%(default)s)")
    parser.add_argument("module", nargs="*", help="only these, such as stxmirror/retention.py")
    given = parser.parse_args(arguments)
    os.chdir(trials.PROJECT)
    tests_of = read_modules(HERE / "modules.txt")
    unknown = [name for name in given.module if name not in tests_of]
    if unknown:
        parser.error(f"tests/mutation/modules.txt does not have {', '.join(unknown)}: add a line")
    explained = read_explained(HERE / "explained.txt")
    chosen = {
        name: mutants.mutants_of(name, Path(name).read_text(encoding="utf-8"))
        for name in given.module or tests_of
    }
    if not given.all:
        chosen = sample(chosen, given.sample, random.Random(given.seed))  # noqa: S311 - a choice
    number = sum(map(len, chosen.values()))
    print(f"seed {given.seed}: {number} mutants, {given.jobs} at a time", flush=True)
    tally = Tally(explained, whole=given.all)
    until = inf if given.all else time.monotonic() + SAMPLE_SECONDS
    trials.prepare()
    for name, of_it in chosen.items():
        try:
            noticed = trials.verdicts(name, of_it, tests_of[name], given.jobs, until)
        except trials.TestsFail as problem:
            parser.error(str(problem))
        tally.add(name, of_it, noticed)
        if time.monotonic() > until:
            print(f"{SAMPLE_SECONDS // 60} minutes are over: what is left is not tried")
            break
    return tally.verdict()


def sample(
    chosen: Mapping[str, Sequence[Mutant]], size: int, choice: random.Random
) -> dict[str, list[Mutant]]:
    """Choose mutants of some modules, a module the more likely the more mutants it has."""
    modules: dict[str, list[Mutant]] = {}
    left = {name: of_it for name, of_it in chosen.items() if of_it}
    while left and len(modules) < SAMPLE_MODULES:
        name = choice.choices(list(left), [len(of_it) for of_it in left.values()])[0]
        modules[name] = list(left.pop(name))
    candidates = [mutant for of_it in modules.values() for mutant in of_it]
    taken = set(choice.sample(candidates, min(size, len(candidates))))
    return {name: [m for m in of_it if m in taken] for name, of_it in modules.items()}


def read_modules(path: Path) -> dict[str, list[str]]:
    """Return the tests of each module: a line is ``MODULE TEST...``."""
    lines = (line.split() for line in path.read_text(encoding="utf-8").split("\n"))
    return {words[0]: words[1:] for words in lines if words and not words[0].startswith("#")}


def read_explained(path: Path) -> dict[str, str]:
    """Return why survivors are no fault: the name of a mutant, then its reason, indented."""
    found: dict[str, str] = {}
    name = ""
    for line in path.read_text(encoding="utf-8").split("\n"):
        if line.startswith("    "):
            found[name] = f"{found.get(name, '')} {line.strip()}".strip()
        elif line and not line.startswith("#"):
            name = line
    return found


class Tally:
    """How many mutants were killed, of each module and of all."""

    def __init__(self, explained: Mapping[str, str], *, whole: bool) -> None:
        """Begin with none; ``whole`` says that every mutant of a module is tried."""
        self.explained, self.whole = explained, whole
        self.shares: list[float] = []
        self.tried: list[Mutant] = []
        self.lived: list[Mutant] = []
        self.stale = False

    def add(self, name: str, chosen: Sequence[Mutant], noticed: Mapping[int, bool]) -> None:
        """Print the survivors of a module, and the share of the others."""
        tried = [mutant for mutant in chosen if mutant.number in noticed]
        lived = [mutant for mutant in tried if not noticed[mutant.number]]
        for mutant in lived:
            note = "explained" if mutant.name in self.explained else "SURVIVED"
            print(f"{note} {shown(mutant)}")
        noted = {each for each in self.explained if each.startswith(f"{name}: ")}
        if not self.whole:
            noted &= {mutant.name for mutant in tried}
        for each in sorted(noted - {mutant.name for mutant in lived}):
            print(f"explained.txt explains what does not survive: {each}")
            self.stale = True
        self.shares.append(self._share(name, tried, lived))
        self.tried += tried
        self.lived += lived

    def verdict(self) -> int:
        """Print the share of all; return 1 if it is too small, or an explanation is stale.

        If every mutant was tried, each module must have the share.
        """
        total = self._share("all", self.tried, self.lived)
        least = min([total, *self.shares]) if self.whole else total
        return int(least < SHARE or self.stale)

    def _share(self, name: str, tried: Sequence[Mutant], lived: Sequence[Mutant]) -> float:
        notes = sum(mutant.name in self.explained for mutant in lived)
        counted = len(tried) - notes
        killed = len(tried) - len(lived)
        share = killed / counted if counted else 1.0
        print(f"{name}: {killed} of {counted} killed, {share:.1%}; {notes} explained", flush=True)
        return share


def shown(mutant: Mutant) -> str:
    """Return where a mutant is wrong, and how."""
    place = f"{mutant.path}:{mutant.line}"
    return f"{place}: {mutant.scope}: {mutant.before} -> {mutant.after}"


if __name__ == "__main__":
    sys.exit(main())
