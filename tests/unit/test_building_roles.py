"""What a building role hands to its module: an option that is misspelt fails each build."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[2]
# The modules that each role calls, in its entry points.
CALLS = {
    "build_session": ["close_build", "open_build"],
    "source_sync": ["sync_sources"],
    "build_stages": ["run_stages"],
    "iso_sanity": ["check_iso"],
    "collect": ["collect_build"],
    "publish": ["mirrorctl"],
    "report": ["report_build"],
}


def tasks_of(tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The tasks of a file, those in blocks as well."""
    found = []
    for task in tasks:
        found.append(task)
        for key in ("block", "rescue", "always"):
            found += tasks_of(task.get(key, []))
    return found


def options_of(module: str) -> dict[str, dict[str, Any]]:
    """The options that a module documents."""
    tree = ast.parse((PROJECT / f"library/{module}.py").read_text())
    (text,) = (
        node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Constant)
        and getattr(node.targets[0], "id", "") == "DOCUMENTATION"
    )
    return yaml.safe_load(text)["options"]


@pytest.mark.parametrize("role", CALLS)
def test_a_role_hands_its_module_what_that_takes(role):
    called = []
    for file in sorted((PROJECT / f"roles/{role}/tasks").glob("*.yml")):
        for task in tasks_of(yaml.safe_load(file.read_text())):
            for module in set(task) & {path.stem for path in (PROJECT / "library").glob("*.py")}:
                called.append(module)
                options = options_of(module)
                required = {name for name, each in options.items() if each.get("required")}
                assert required <= set(task[module]) <= set(options), module
    assert sorted(called) == CALLS[role]
