"""What is imported is declared: in pyproject.toml, or it comes with the project itself."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import tomllib

PROJECT = Path(__file__).parents[2]
DECLARED = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
# Directories of the project, by what their files may import beyond the dependencies.
DIRECTORIES = {
    "stxmirror": (),
    "library": (),
    "filter_plugins": (),
    "action_plugins": (),
    "callback_plugins": (),
    "script": (),
    "tests": ("test",),
}

# Of the bundle `ansible`; Ansible finds them, not Python's metadata.
COLLECTIONS = {"ansible_collections"}


def python_files(directory: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", directory],
        cwd=PROJECT,
        check=True,
        capture_output=True,
        text=True,
    )
    files = [PROJECT / line for line in listed.stdout.splitlines()]
    return [path for path in files if path.exists() and (path.suffix == ".py" or is_python(path))]


def is_python(path: Path) -> bool:
    with path.open("rb") as opened:
        first = opened.readline()
    return first.startswith(b"#!") and b"python" in first


def imported(path: Path) -> set[str]:
    """Top-level names of what a file imports, those inside of functions, too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(str(node.module).partition(".")[0])
    return names


def normalised(requirement: str) -> str:
    """Name of a distribution, as `Name[extra]>=1 ; marker` means it."""
    return re.sub(r"[-_.]+", "-", re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]).lower()


def ours() -> set[str]:
    """Modules of this project, which its tests and scripts also import by their own names."""
    paths = [path.relative_to(PROJECT) for path in python_files(".")]
    return {path.stem for path in paths} | {part for path in paths for part in path.parts[:-1]}


@pytest.mark.parametrize("directory", DIRECTORIES)
def test_what_is_imported_is_declared(directory):
    """Or it is there by chance, until what brings it along no longer does."""
    requirements = list(DECLARED["dependencies"])
    for extra in DIRECTORIES[directory]:
        requirements += DECLARED["optional-dependencies"][extra]
    declared = {normalised(requirement) for requirement in (*requirements, DECLARED["name"])}
    providers = metadata.packages_distributions()
    own = ours()
    missing: dict[str, str] = {}
    for path in python_files(directory):
        for name in imported(path) - sys.stdlib_module_names - COLLECTIONS:
            found = {normalised(provider) for provider in providers.get(name, [])}
            if not found & declared and (found or name not in own):
                missing.setdefault(name, path.relative_to(PROJECT).as_posix())
    assert missing == {}
