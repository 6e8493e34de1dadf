"""One list of a build's parts, and modules that only hand on what they are given."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from stxmirror import parts

PROJECT = Path(__file__).parents[2]
# What a function of a module may have in all: arguments in, one call, what it returned out.
STATEMENTS_MAX = 30
MODULES = sorted(
    path for path in PROJECT.glob("library/*.py") if "stxmirror.builder" in path.read_text()
)


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


@pytest.mark.parametrize("part", parts.PARTS, ids=lambda part: part.word)
def test_every_part_has_a_role_with_a_task(part):
    tasks = load(PROJECT / f"roles/{part.role}/tasks/main.yml")
    assert tasks, part.role


def roles_of(tasks: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the roles that tasks include, in their order."""
    for task in tasks:
        for key in ("block", "rescue", "always"):
            yield from roles_of(task.get(key, []))
        included = task.get("ansible.builtin.import_role")
        if included and "tasks_from" not in included:
            yield included["name"]


def test_the_playbook_plays_the_parts_and_nothing_else_in_their_order():
    (play,) = load(PROJECT / "playbooks/build.yml")
    # The last time counts: a build with nothing new is reported early.
    played = list(dict.fromkeys(reversed(list(roles_of(play["tasks"])))))[::-1]
    listed = [part.role for part in parts.PARTS]
    # After the sources, and before what is done with all that the stages made.
    listed.insert(listed.index(parts.SYNC.role) + 1, parts.STAGES_ROLE)
    assert played == listed


def test_a_build_resumes_at_a_part_that_there_is():
    for part in parts.PARTS:
        assert part.resume is None or part.resume in parts.resumable([])
    assert parts.resumable(["a", "b"]) == ["a", "b", parts.AFTER_STAGES]


def test_there_are_modules_to_look_at():
    assert len(MODULES) >= 5


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_module_hands_on_its_arguments_and_nothing_more(path):
    """What a build does is in stxmirror.builder, where it is called and tested without Ansible."""
    tree = ast.parse(path.read_text())
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    count = sum(
        isinstance(node, ast.stmt)
        for function in functions
        for statement in function.body
        for node in ast.walk(statement)
    )
    assert count <= STATEMENTS_MAX, f"{path.name} has {count} statements"
    assert not [node for node in ast.walk(tree) if isinstance(node, (ast.For, ast.While))]


def imports(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    found = {alias.name for n in ast.walk(tree) if isinstance(n, ast.Import) for alias in n.names}
    return found | {n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}


@pytest.mark.parametrize("layer", ["state", "builder"])
def test_what_runs_a_build_does_not_know_who_asked_for_it(layer):
    """The controller imports the state and the state nobody, so that there is no circle."""
    above = {"state": ("controller", "builder", "watch"), "builder": ("controller", "watch")}
    for path in (PROJECT / "stxmirror" / layer).glob("*.py"):
        for name in imports(path):
            assert not name.startswith(tuple(f"stxmirror.{other}" for other in above[layer])), path
