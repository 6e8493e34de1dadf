# SPDX-License-Identifier: Apache-2.0
"""Who may import whom, and that nothing imports itself in a circle."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
sys.path.insert(0, str(PROJECT / "tests/run"))
from imports import Imports  # noqa: E402 - what script/test --since reads, too

IMPORTS = Imports(PROJECT)
# Programs of their own, which stand on the pure logic and not on each other.
PROGRAMS = ("builder", "controller", "mirror", "watch")
CODE = sorted(name for name in IMPORTS.files if not name.startswith(("tests/", "script/")))


def layer(path: str) -> str:
    """What a file belongs to: one of the programs, `state`, `pure`, or its directory."""
    parts = path.split("/")
    if parts[0] != "stxmirror":
        return parts[0]
    return parts[1] if parts[1] in (*PROGRAMS, "state") else "pure"


# What each may import besides its own.
MAY_IMPORT = {
    "pure": set(),
    "module_utils": set(),
    # What a build host keeps on disk: one program writes it, others read it.
    "state": {"pure"},
    **{program: {"pure", "state"} for program in PROGRAMS},
    "filter_plugins": {"pure"},
    "action_plugins": {"pure"},
    "callback_plugins": {"pure"},
    "lookup_plugins": {"pure"},
    "library": {"pure", "state", "builder", "module_utils"},
}
# What is not imported but started, in a process of its own.
STARTED = {
    "stxmirror/controller/unit.py": {
        "stxmirror/builder/__init__.py",
        "stxmirror/builder/mirror_state.py",
    },
}


@pytest.mark.parametrize("path", CODE)
def test_imports_go_one_way(path):
    allowed = MAY_IMPORT[layer(path)] | {layer(path)}
    # The package's own file holds the version alone, and everything in it is reached by way of it.
    others = IMPORTS.edges[path] - {"stxmirror/__init__.py"} - STARTED.get(path, set())
    assert [other for other in sorted(others) if layer(other) not in allowed] == []


def test_no_imports_go_in_a_circle():
    """Which of two modules is read first must not matter."""
    # A package's own file is no part of a circle as long as it imports nothing.
    assert [n for n in CODE if n.endswith("__init__.py") and IMPORTS.edges[n]] == []
    circles = {
        name
        for name in CODE
        if any(name in IMPORTS.closure(other) for other in IMPORTS.edges[name])
    }
    assert sorted(circles) == []
