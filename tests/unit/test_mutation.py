"""The mutator of tests/mutation: what it makes wrong, and that it tells who notices."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from math import inf
from pathlib import Path

import pytest

TOOL = Path(__file__).resolve().parents[1] / "mutation"
PROJECT = TOOL.parents[1]

MODULE = '''\
"""A module with something of every kind."""

from dataclasses import dataclass

LIMIT = 3


@dataclass
class Box:
    size: int = 1

    def holds(self, count):
        return count <= self.size and count != 13


def grown(count, by=2):
    if not count or count > LIMIT:
        return None
    return count + by


def unseen(count):
    return count - 1
'''
TESTS = """\
from stxmirror.box import Box, grown


def test_holds():
    assert [Box().holds(n) for n in (0, 1, 2)] == [True, True, False]
    assert not Box(20).holds(13)


def test_grown():
    assert [grown(n) for n in (0, 1, 3, 4)] == [None, 3, 5, None]
"""


@pytest.fixture
def mutants(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOL))
    import mutants

    return mutants


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of one module, with the mutator beside it."""
    (tmp_path / "tests/mutation").mkdir(parents=True)
    for name in ("mutants.py", "forks.py", "trials.py", "run.py"):
        (tmp_path / "tests/mutation" / name).write_text((TOOL / name).read_text())
    (tmp_path / "tests/mutation/explained.txt").write_text("")
    (tmp_path / "tests/mutation/modules.txt").write_text("stxmirror/box.py tests/test_box.py\n")
    (tmp_path / "stxmirror").mkdir()
    (tmp_path / "stxmirror/__init__.py").write_text("")
    (tmp_path / "stxmirror/box.py").write_text(MODULE)
    (tmp_path / "tests/test_box.py").write_text(TESTS)
    return tmp_path


def run(project: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "tests/mutation/run.py", "--jobs", "1", *options],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize(
    "source",
    [MODULE, "A = 1 if x else 2\nB = not (x or y) and [*z, -1]\nC = any(a for a in b if a in c)\n"],
)
def test_every_mutant_is_python_and_differs_in_what_its_name_says(mutants, source):
    import ast

    right = ast.unparse(ast.parse(source))
    found = mutants.mutants_of("m.py", source)
    assert found
    for mutant in found:
        tree = mutant.tree(source)
        compile(tree, "m.py", "exec")
        wrong = ast.unparse(tree)
        assert wrong != right, mutant.name
        assert mutant.after in wrong or mutant.after == "nothing"


def test_an_operand_that_is_left_out_leaves_the_value_of_the_other(mutants):
    source = "def f(a, b):\n    return a and b\n"
    values = []
    for mutant in mutants.mutants_of("m.py", source):
        if mutant.after.startswith("True and"):
            space: dict = {}
            exec(compile(mutant.tree(source), "m.py", "exec"), space)  # noqa: S102
            values.append(space["f"](2, 0))
    assert values == [0, 2]


def test_a_return_of_nothing_at_the_end_is_no_place_for_a_mutant(mutants):
    source = """
def f(a):
    if a:
        return None
    try:
        a()
        return None
    except KeyError:
        return None
    except ValueError:
        if a:
            return None
        return 1
"""
    lines = [m.line for m in mutants.mutants_of("m.py", source) if m.before == "return None"]
    assert lines == [4, 12]


def test_a_continue_at_the_end_of_a_round_is_no_place_for_a_mutant(mutants):
    source = """
for a in b:
    if a:
        continue
    try:
        a()
    except KeyError:
        continue
"""
    source = "def f(b):" + source.replace("\n", "\n    ")
    lines = [m.line for m in mutants.mutants_of("m.py", source) if m.before == "continue"]
    assert lines == [4]


def test_survivors_are_those_that_no_test_notices(project):
    done = run(project, "--all")
    survivors = [line for line in done.stdout.split("\n") if line.startswith("SURVIVED")]
    assert [line.split(": ", 1)[1] for line in survivors] == [
        "unseen: return count - 1 -> nothing",
        "unseen: count - 1 -> count + 1",
        "unseen: count - 1 -> count - 2",
    ]
    assert done.returncode == 1


def test_what_is_explained_does_not_count_and_must_survive(project):
    names = ["return count - 1 -> nothing", "count - 1 -> count + 1", "count - 1 -> count - 2"]
    lines = [f"stxmirror/box.py: unseen: {name}\n    Nobody calls it.\n" for name in names]
    lines.append("stxmirror/box.py: module: 3 -> 4\n    It is noticed.\n")
    (project / "tests/mutation/explained.txt").write_text("".join(lines))
    done = run(project, "--all")
    assert "3 explained" in done.stdout
    assert "explains what does not survive: stxmirror/box.py: module: 3 -> 4" in done.stdout
    assert done.returncode == 1
    (project / "tests/mutation/explained.txt").write_text("".join(lines[:-1]))
    assert run(project, "--all").returncode == 0


def test_no_mutant_begins_after_the_time_and_none_outlives_its_limit(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOL))
    from forks import Limits, Slots

    def loop(_: str) -> int:
        while True:
            pass

    def wait(_: str) -> int:
        signal.pause()
        return 0

    def ends(run, limits: Limits, until: float = inf) -> list[int]:
        return [code for _, code in Slots(2, until).run(["a", "b"], run, lambda _: limits)]

    assert ends(lambda _: 7, Limits(60, 60.0)) == [7, 7]
    assert ends(lambda _: 7, Limits(60, 60.0), until=time.monotonic()) == []
    assert ends(loop, Limits(1, 60.0)) == [-signal.SIGXCPU] * 2
    assert ends(wait, Limits(60, 0.1)) == [-signal.SIGKILL] * 2


def test_tests_that_fail_anyway_show_nothing(project):
    (project / "tests/test_box.py").write_text(TESTS.replace("5, None", "6, None"))
    done = run(project)
    assert done.returncode == 2
    assert "the tests of stxmirror/box.py fail as it is" in done.stderr


def test_a_sample_with_the_same_seed_is_the_same(project):
    first, second = (run(project, "--seed", "5", "--sample", "9").stdout for _ in range(2))
    assert first == second
    assert "seed 5: 9 mutants" in first
