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
import contextlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import mutants
from mutants import Mutant

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
SHARE = 0.95
SAMPLE = 100
# A mutant that loops is killed after so many times what the tests need, and some seconds.
SLOWER = 5
# Of each property: a mutant that needs more of them to be noticed needs a better test.
EXAMPLES = 60
GRACE = 20


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the mutants that the command line asks for; return the exit code."""
    parser = argparse.ArgumentParser(description="Sees whether the tests notice wrong code.")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--sample", type=int, default=SAMPLE, help="(%(default)s)")
    parser.add_argument("--all", action="store_true", help="every mutant, not a sample")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="(%(default)s)")
    parser.add_argument("module", nargs="*", help="only these, such as stxmirror/retention.py")
    given = parser.parse_args(arguments)
    os.chdir(PROJECT)
    tests_of = read_modules(HERE / "modules.txt")
    unknown = [name for name in given.module if name not in tests_of]
    if unknown:
        parser.error(f"tests/mutation/modules.txt does not have {', '.join(unknown)}: add a line")
    explained = read_explained(HERE / "explained.txt")
    chosen = [
        mutant
        for name in (given.module or tests_of)
        for mutant in mutants.mutants_of(name, Path(name).read_text(encoding="utf-8"))
    ]
    if not given.all and given.sample < len(chosen):
        chosen = random.Random(given.seed).sample(chosen, given.sample)  # noqa: S311 - a choice
    print(f"seed {given.seed}: {len(chosen)} mutants, {given.jobs} at a time", flush=True)
    survivors = run(chosen, tests_of, given.jobs)
    stale = (
        set(explained) - {m.name for m in survivors} if given.all and not given.module else set()
    )
    for name in sorted(stale):
        print(f"explained.txt explains what does not survive: {name}")
    return report(chosen, survivors, explained, by_module=given.all) or int(bool(stale))


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


def report(
    chosen: Sequence[Mutant],
    survivors: Sequence[Mutant],
    explained: dict[str, str],
    *,
    by_module: bool,
) -> int:
    """Print what survived and the share of what did not; return 1 if that is too small."""
    for mutant in survivors:
        note = "explained" if mutant.name in explained else "SURVIVED"
        print(f"{note} {shown(mutant)}")
    shares = []
    for name in dict.fromkeys(mutant.path for mutant in chosen):
        of_it = [mutant for mutant in chosen if mutant.path == name]
        shares.append(_share(name, of_it, survivors, explained))
    total = _share("all", chosen, survivors, explained)
    return int(min([total, *shares] if by_module else [total]) < SHARE)


def shown(mutant: Mutant) -> str:
    """Return where a mutant is wrong, and how."""
    place = f"{mutant.path}:{mutant.line}"
    return f"{place}: {mutant.scope}: {mutant.before} -> {mutant.after}"


def _share(
    name: str, of_it: Sequence[Mutant], survivors: Sequence[Mutant], explained: dict[str, str]
) -> float:
    lived = {id(mutant) for mutant in survivors}
    counted = [m for m in of_it if not (id(m) in lived and m.name in explained)]
    killed = sum(id(mutant) not in lived for mutant in counted)
    share = killed / len(counted) if counted else 1.0
    notes = len(of_it) - len(counted)
    print(f"{name}: {killed} of {len(counted)} killed, {share:.1%}; {notes} explained")
    return share


def run(chosen: Sequence[Mutant], tests_of: dict[str, list[str]], jobs: int) -> list[Mutant]:
    """Try every mutant; return those that the tests let pass, in the order given."""
    prepare()
    limits: dict[str, float] = {}
    for name in dict.fromkeys(mutant.path for mutant in chosen):
        began = time.monotonic()
        if wait(start(None, tests_of[name]), None) != 0:
            raise SystemExit(f"the tests of {name} fail as it is: {' '.join(tests_of[name])}")
        limits[name] = SLOWER * (time.monotonic() - began) + GRACE
    running: dict[int, tuple[Mutant, float]] = {}
    survivors: set[int] = set()
    for mutant in chosen:
        while len(running) >= jobs:
            survivors |= finish(running)
        running[start(mutant, tests_of[mutant.path])] = (
            mutant,
            time.monotonic() + limits[mutant.path],
        )
    while running:
        survivors |= finish(running)
    return [mutant for mutant in chosen if id(mutant) in survivors]


def finish(running: dict[int, tuple[Mutant, float]]) -> set[int]:
    """Take away the processes that have ended or must; return the mutants that survived."""
    survived = set()
    for pid, (mutant, deadline) in list(running.items()):
        code = wait(pid, deadline)
        if code is not None:
            del running[pid]
            if code == 0:
                survived.add(id(mutant))
                print(f"not noticed so far: {shown(mutant)}", flush=True)
    time.sleep(0.01)
    return survived


def wait(pid: int, deadline: float | None) -> int | None:
    """Return a process's exit code, ``None`` while it runs; kill it past its deadline."""
    ended, status = os.waitpid(pid, 0 if deadline is None else os.WNOHANG)
    if ended:
        return os.waitstatus_to_exitcode(status)
    if deadline is not None and time.monotonic() > deadline:
        os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        return -signal.SIGKILL
    return None


def prepare() -> None:
    """Import what every test needs, once: each mutant is a fork of this process."""
    sys.path[:0] = [str(PROJECT)]
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    for name in ("_hypothesis_pytestplugin", "pytest", "hypothesis.strategies", "yaml"):
        importlib.import_module(name)


def start(mutant: Mutant | None, tests: Sequence[str]) -> int:
    """Run tests against a mutant in a process of its own; return its id."""
    pid = os.fork()
    if pid:
        return pid
    code = 70
    with contextlib.suppress(BaseException):
        os.setpgid(0, 0)
        nothing = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(nothing, fd)
        if mutant is not None:
            sys.meta_path.insert(0, Finder(mutant))
        code = run_tests(tests)
    os._exit(code)


def run_tests(tests: Iterable[str]) -> int:
    """Run tests in this process, the same way each time; return pytest's exit code."""
    import pytest

    with tempfile.TemporaryDirectory(prefix="mutation-") as home:
        options = ["-x", "-q", "--tb=no", f"--basetemp={home}", "--hypothesis-seed=0"]
        options += ["-p", "no:cacheprovider", "-p", "_hypothesis_pytestplugin"]
        return int(pytest.main([*options, *tests], plugins=[Plugin()]))


class Plugin:
    """Lets pytest come to a verdict soon."""

    def pytest_sessionstart(self) -> None:
        """Once conftest.py has made its own settings: look for a failure, not for a small one."""
        from hypothesis import Phase, settings

        phases = (Phase.explicit, Phase.generate)
        settings.register_profile(
            "mutation", settings(), phases=phases, database=None, max_examples=EXAMPLES
        )
        settings.load_profile("mutation")

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Run first what is quick."""
        items.sort(key=lambda item: ("template" in item.fixturenames, _is_property(item)))


def _is_property(item: Any) -> bool:
    return bool(getattr(item.obj, "is_hypothesis_test", False))


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives the mutant to whoever imports its module."""

    def __init__(self, mutant: Mutant) -> None:
        """Keep the mutant."""
        self.mutant = mutant
        self.name = mutant.path.removesuffix(".py").replace("/", ".")

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Answer for the one module."""
        if fullname != self.name:
            return None
        place = str(PROJECT / self.mutant.path)
        return importlib.util.spec_from_file_location(fullname, place, loader=self)

    def exec_module(self, module: ModuleType) -> None:
        """Run the mutant as the module."""
        code = compile(self.mutant.tree, str(PROJECT / self.mutant.path), "exec")
        exec(code, module.__dict__)  # noqa: S102 - the project's own code, with one change


if __name__ == "__main__":
    sys.exit(main())
