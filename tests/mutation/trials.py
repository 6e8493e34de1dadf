"""Tries mutants against the tests of their module, each in a process of its own.

A change inside a function meets the tests that run its lines, in a fork of a pytest that has
already imported and collected everything: the function there gets the wrong code. What these let
pass, and what is wrong where a module is imported, meets all tests of the module in a pytest that
starts afresh.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import inspect
import json
import os
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any

from forks import UNDECIDED, Item, Limits, Slots, fork
from mutants import Mutant

PROJECT = Path(__file__).resolve().parents[2]
# A mutant that loops or waits is killed after so many times what its tests need, and some seconds.
SLOWER = 5
GRACE_CPU = 5
GRACE = 30
# Of each property: a mutant that needs more of them to be noticed needs a better test.
EXAMPLES = 60
PASSED, FAILED = 0, 1


@dataclass(frozen=True)
class Baseline:
    """What the tests of a module do while it is right."""

    seconds: dict[str, float]  # of each test, by pytest's name of it
    tests: dict[int, list[str]]  # those that run a line of the module
    imports: list[str]  # what they import that is not the project's own

    @classmethod
    def of_json(cls, found: Mapping[str, Any]) -> Baseline:
        """Return what was written as JSON, which has no numbers for keys."""
        tests = {int(line): names for line, names in found["tests"].items()}
        return cls(found["seconds"], tests, found["imports"])

    def limits(self, tests: Iterable[str]) -> Limits:
        """Return how long a mutant may take in these tests."""
        needed = sum(self.seconds[test] for test in tests)
        return Limits(round(SLOWER * needed) + GRACE_CPU, SLOWER * needed + GRACE)


class TestsFail(Exception):
    """The tests of a module fail while it is right."""


def verdicts(
    path: str, mutants: Sequence[Mutant], tests: Sequence[str], jobs: int, until: float = inf
) -> dict[int, bool]:
    """Return of each mutant of one module, by its number, whether a test notices it.

    Mutants that are not yet begun at ``until`` (``time.monotonic()``) are left out.
    Raises ``TestsFail``, and ``ValueError`` for a mutant that is no Python.
    """
    with tempfile.TemporaryDirectory(prefix="m-") as home:
        baseline, found = in_place(path, mutants, tests, Slots(jobs, until), Path(home))
        preload(baseline.imports)
        everything = baseline.limits(baseline.seconds)
        left = [mutant for mutant in mutants if found.get(mutant.number) == UNDECIDED]

        def run(mutant: Mutant) -> int:
            return afresh(mutant, tests, baseline, Path(home))

        for mutant in left:
            del found[mutant.number]
        for mutant, code in Slots(jobs, until).run(left, run, lambda _: everything):
            if code == UNDECIDED:
                raise ValueError(f"cannot be tried: {mutant.name}")
            found[mutant.number] = code
    return {number: code != PASSED for number, code in found.items()}


# -- in a pytest that has collected everything ---------------------------------------------------


def in_place(
    path: str, mutants: Sequence[Mutant], tests: Sequence[str], slots: Slots, home: Path
) -> tuple[Baseline, dict[int, int]]:
    """Return what the right module's tests do, and the exit code of each mutant tried."""
    result = home / "in-place.json"
    pid = fork(lambda: run_pytest(tests, [InPlace(path, mutants, slots, result)]))
    os.waitpid(pid, 0)
    if not result.exists():
        raise TestsFail(f"the tests of {path} fail as it is: {' '.join(tests)}")
    found = json.loads(result.read_text())
    return Baseline.of_json(found), {int(number): code for number, code in found["codes"].items()}


def run_pytest(tests: Iterable[str], plugins: Sequence[object]) -> int:
    """Run tests in this process, the same way each time; return pytest's exit code."""
    import pytest

    options = ["-x", "-q", "--tb=no", "--hypothesis-seed=0"]
    options += ["-p", "no:cacheprovider", "-p", "_hypothesis_pytestplugin"]
    return int(pytest.main([*options, *tests], plugins=[Examples(), *plugins]))


class Examples:
    """Looks for a failure, not for a small one, and for each property the same way."""

    def pytest_sessionstart(self) -> None:
        """Come after conftest.py, which makes its own settings."""
        from hypothesis import Phase, settings

        phases = (Phase.explicit, Phase.generate)
        settings.register_profile(
            "mutation", settings(), phases=phases, database=None, max_examples=EXAMPLES
        )
        settings.load_profile("mutation")


class InPlace:
    """Takes pytest's loop over the tests: once over all with a tracer, then for each mutant."""

    def __init__(self, path: str, mutants: Sequence[Mutant], slots: Slots, result: Path) -> None:
        """Keep what to try, and the file that gets the result."""
        self.path, self.mutants, self.slots, self.result = path, mutants, slots, result
        self.file = str(PROJECT / path)

    def pytest_runtestloop(self, session: Any) -> bool:
        """Write the result, or nothing if the tests fail."""
        if session.testsfailed:
            return True
        importlib.import_module(module_name(self.path))
        source = Path(self.file).read_text(encoding="utf-8")
        right = compile(source, self.file, "exec", dont_inherit=True)
        live: dict[CodeType, list[FunctionType]] = {}
        for it in gc.get_objects():
            if isinstance(it, FunctionType) and it.__code__.co_filename == self.file:
                live.setdefault(it.__code__, []).append(it)
        gc.freeze()  # so that the forks share it
        baseline = self._baseline(session)
        if baseline is None:
            return True

        def run(mutant: Mutant) -> int:
            wrong = compile(mutant.tree(source), self.file, "exec", dont_inherit=True)
            change = changed_function(right, wrong)
            if change is None or change[0] not in live:
                return UNDECIDED
            for function in live[change[0]]:
                function.__code__ = change[1]
            return run_items(session, chosen(mutant), self.result.parent)

        def chosen(mutant: Mutant) -> list[str]:
            first, last = mutant.lines
            names = {n for line in range(first, last + 1) for n in baseline.tests.get(line, ())}
            return sorted(names, key=baseline.seconds.__getitem__)

        trials = self.slots.run(self.mutants, run, lambda each: baseline.limits(chosen(each)))
        codes = {mutant.number: UNDECIDED if c == PASSED else c for mutant, c in trials}
        found = {**vars(baseline), "codes": codes}
        self.result.write_text(json.dumps(found), encoding="utf-8")
        return True

    def _baseline(self, session: Any) -> Baseline | None:
        """Run every test of the right module in a fork of this process."""
        file = self.result.with_name("baseline.json")

        def run() -> int:
            seconds: dict[str, float] = {}
            tests: dict[int, list[str]] = {}
            for item, following in pairs(session.items):
                began = time.monotonic()
                with traced(self.file) as lines:
                    item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                seconds[item.nodeid] = time.monotonic() - began
                for line in lines:
                    tests.setdefault(line, []).append(item.nodeid)
            if session.testsfailed == 0:
                found = Baseline(seconds, tests, imported())
                file.write_text(json.dumps(vars(found)), encoding="utf-8")
            return 0

        own_directory(self.result.parent)
        os.waitpid(fork(run), 0)
        if not file.exists():
            return None
        return Baseline.of_json(json.loads(file.read_text()))


def run_items(session: Any, names: Iterable[str], home: Path) -> int:
    """Run tests that pytest has collected, in this order, until one fails."""
    own_directory(home)
    items = {item.nodeid: item for item in session.items}
    for item, following in pairs([items[name] for name in names]):
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.testsfailed:
            return FAILED
    return PASSED


def own_directory(home: Path) -> None:
    """Let pytest make temporary directories in one that no other process uses.

    Its name is short, because a socket's path may not be long.
    """
    place = home / str(os.getpid())
    place.mkdir(exist_ok=True)
    os.environ["PYTEST_DEBUG_TEMPROOT"] = str(place)


def pairs(items: Sequence[Item]) -> Iterator[tuple[Item, Item | None]]:
    """Yield each item with the next one."""
    yield from zip(items, [*items[1:], None])


@contextlib.contextmanager
def traced(file: str) -> Iterator[set[int]]:
    """Give the lines of a file that are run meanwhile, in any thread."""
    lines: set[int] = set()

    def local(frame: FrameType, event: str, _: object) -> Any:
        lines.add(frame.f_lineno)
        return local

    def calls(frame: FrameType, event: str, argument: object) -> Any:
        return local(frame, event, argument) if frame.f_code.co_filename == file else None

    threading.settrace(calls)
    sys.settrace(calls)
    try:
        yield lines
    finally:
        sys.settrace(None)
        threading.settrace(None)  # type: ignore[arg-type]


def changed_function(before: CodeType, after: CodeType) -> tuple[CodeType, CodeType] | None:
    """Return the outermost function that differs, right and wrong; ``None`` if more differs."""
    inner = [each for each in zip(before.co_consts, after.co_consts) if each[0] != each[1]]
    if _shell(before) != _shell(after) or len(inner) != 1:
        return None
    right, wrong = inner[0]
    if not isinstance(right, CodeType) or not isinstance(wrong, CodeType):
        return None
    if right.co_flags & inspect.CO_OPTIMIZED:  # no body of a class
        return (right, wrong) if right.co_freevars == wrong.co_freevars else None
    return changed_function(right, wrong)


def _shell(code: CodeType) -> CodeType:
    return code.replace(
        co_consts=tuple(None if isinstance(each, CodeType) else each for each in code.co_consts)
    )


def imported() -> list[str]:
    """Return the names of the modules of this process that do not belong to the project."""
    found = []
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        own = file and Path(file).is_relative_to(PROJECT) and "site-packages" not in file
        if file and not own and getattr(module, "__name__", "") == name != "__main__":
            found.append(name)
    return found


# -- in a pytest that starts afresh --------------------------------------------------------------


def prepare() -> None:
    """Import what every test needs, once: each module's tests are run in forks of this process."""
    sys.path[:0] = [str(PROJECT)]
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    for name in ("_hypothesis_pytestplugin", "pytest", "hypothesis.strategies", "yaml"):
        importlib.import_module(name)


def preload(names: Iterable[str]) -> None:
    """Import what is not the project's own, before the forks: what cannot be, they import."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in names:
            with contextlib.suppress(Exception):
                importlib.import_module(name)


def afresh(mutant: Mutant, tests: Sequence[str], baseline: Baseline, home: Path) -> int:
    """Run all tests of a mutant's module, those first that run its lines and are quick."""
    source = (PROJECT / mutant.path).read_text(encoding="utf-8")
    code = compile(mutant.tree(source), str(PROJECT / mutant.path), "exec", dont_inherit=True)
    own_directory(home)
    sys.meta_path.insert(0, Finder(mutant.path, code))
    try:
        return PASSED if run_pytest(tests, [Order(mutant, baseline)]) == 0 else FAILED
    except BaseException:
        return FAILED


class Order:
    """Runs the tests first that are likely to notice a mutant."""

    def __init__(self, mutant: Mutant, baseline: Baseline) -> None:
        """Keep which tests run a line of the mutant."""
        first, last = mutant.lines
        tests = baseline.tests
        self.near = {name for line in range(first, last + 1) for name in tests.get(line, ())}
        self.seconds = baseline.seconds

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Sort: tests that run the line, then quick ones."""
        items.sort(
            key=lambda item: (item.nodeid not in self.near, self.seconds.get(item.nodeid, 0.0))
        )


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives the mutant to whoever imports its module."""

    def __init__(self, path: str, code: CodeType) -> None:
        """Keep the mutant."""
        self.code, self.file, self.name = code, str(PROJECT / path), module_name(path)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Answer for the one module."""
        if fullname != self.name:
            return None
        return importlib.util.spec_from_file_location(fullname, self.file, loader=self)

    def exec_module(self, module: ModuleType) -> None:
        """Run the mutant as the module."""
        exec(self.code, module.__dict__)  # noqa: S102 - the project's own code, with one change


def module_name(path: str) -> str:
    """Return the name by which a module of the project is imported."""
    return path.removesuffix(".py").replace("/", ".")
