"""The modules of a build as Ansible starts them: check mode, documentation, and errors."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
import yaml
from module_call import call

PROJECT = Path(__file__).resolve().parents[2]
MODULES = sorted(
    path.stem
    for path in PROJECT.glob("library/*.py")
    if "from stxmirror.builder.module import run" in path.read_text()
)
VALUES: dict[str, Any] = {"str": "x", "int": 1, "float": 1.0, "bool": False, "path": "/nonexistent"}
VALUES |= {"list": ["x"], "dict": {}}


def texts(name: str) -> dict[str, Any]:
    """Return what a module's documentation says, without importing it."""
    tree = ast.parse((PROJECT / f"library/{name}.py").read_text())
    return {
        node.targets[0].id: yaml.safe_load(node.value.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
    }


def arguments(name: str) -> dict[str, Any]:
    """Return a value for each argument that a module has to be given."""
    options = texts(name)["DOCUMENTATION"]["options"]
    return {
        key: option.get("choices", [VALUES[option["type"]]])[0]
        for key, option in options.items()
        if option.get("required")
    }


def test_there_are_modules():
    assert {"open_build", "sync_sources", "close_build"} <= set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_check_mode_does_nothing_and_returns_what_the_next_task_reads(name):
    reply = call(name, arguments(name), check=True)
    assert not reply["failed"], reply["msg"]
    assert set(texts(name)["RETURN"]) <= set(reply)


@pytest.mark.parametrize("name", MODULES)
def test_an_argument_that_is_missing_is_named(name):
    told = arguments(name)
    key, _ = told.popitem()
    reply = call(name, told, check=True)
    assert reply["failed"]
    assert key in reply["msg"]


@pytest.mark.parametrize("name", sorted(set(MODULES) - {"open_build", "report_build"}))
def test_a_build_that_is_not_known_is_one_clear_sentence(name):
    """And no traceback."""
    told = {**arguments(name), "id": "master/sample/20260101T000000Z"}
    reply = call(name, told)
    assert reply["failed"]
    assert "no record of a build master/sample/20260101T000000Z" in reply["msg"]
