# SPDX-License-Identifier: Apache-2.0
"""Which of the project's Python files stand on which others, read from their source."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

# Directories whose Python files import each other; a test finds its helpers in its own and these.
SOURCES = (
    "stxmirror",
    "library",
    "module_utils",
    "filter_plugins",
    "action_plugins",
    "callback_plugins",
    "lookup_plugins",
    "script/lib",
    "tests",
)
_MODULE = re.compile(r"stxmirror(\.\w+)+")
# Plugins are named by their stem: `call("write_file", ...)`, "playbooks/check_inventory.yml".
# The paths in these are examples, and rules.
_EXAMPLES = ("tests/run/", "tests/unit/test_since.py")
_PLUGINS = (
    "library/",
    "filter_plugins/",
    "action_plugins/",
    "callback_plugins/",
    "lookup_plugins/",
)


class Imports:
    """The import graph of a checkout. Paths are relative to its top, with ``/``."""

    def __init__(self, project: Path) -> None:
        self.project = project
        paths = [path for top in SOURCES for path in sorted((project / top).rglob("*.py"))]
        self.files = {path.relative_to(project).as_posix() for path in paths}
        self._helpers = {
            Path(name).stem: name
            for name in sorted(self.files)
            if name.startswith("tests/") and not Path(name).name.startswith(("test_", "conftest"))
        }
        self._trees = {name: ast.parse((project / name).read_text()) for name in self.files}
        self.edges = {name: self._imported_by(name) for name in self.files}

    @cache  # noqa: B019
    def closure(self, path: str) -> set[str]:
        """The file itself and everything that it imports, directly or not."""
        found: set[str] = set()
        todo = [path]
        while todo:
            name = todo.pop()
            if name not in found:
                found.add(name)
                todo.extend(self.edges.get(name, ()))
        return found

    def tests(self) -> list[str]:
        """All files of tests."""
        return sorted(
            name
            for name in self.files
            if name.startswith("tests/") and Path(name).name.startswith("test_")
        )

    def tests_of(self, path: str) -> dict[str, str]:
        """The tests that a change of ``path`` can break, each with the reason."""
        # Ansible loads plugins; what they import is reached by whoever names them.
        plugins = {name for name in self.files if name.startswith(_PLUGINS)}
        named = {path, *(name for name in plugins if path in self.closure(name))}
        found = {}
        for test in self.tests():
            files = self.closure(test)
            if path == test:
                found[test] = "it changed"
            elif path in files:
                found[test] = f"imports {path}"
            else:
                helpers = sorted(name for name in files if name.startswith("tests/"))
                for one in sorted(named):
                    if any(self._mentions(name, one) for name in helpers):
                        found[test] = f"names {one}"
                        break
        return found

    def _mentions(self, name: str, path: str) -> bool:
        if name.startswith(_EXAMPLES):
            return False
        # The whole path, a directory above it or a pattern; a plugin also by its stem.
        for text in self.texts(name):
            if path.startswith(_PLUGINS) and re.search(rf"\b{Path(path).stem}\b", text):
                return True
            if "/" in text.rstrip("/") and (
                text == path
                or path.startswith(text.rstrip("/") + "/")
                or ("*" not in text.split("/")[0] and fnmatch(path, text.replace("**/", "*")))
            ):
                return True
        return False

    @cache  # noqa: B019 - one graph lives as long as the program
    def texts(self, name: str) -> tuple[str, ...]:
        """The strings of a file, without its docstrings."""
        documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        skipped = {
            id(node.body[0].value)
            for node in ast.walk(self._trees[name])
            if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
        }
        return tuple(
            text
            for node in ast.walk(self._trees[name])
            if id(node) not in skipped and (text := _text(node))
        )

    def _imported_by(self, name: str) -> set[str]:
        names: set[str] = set()
        for node in ast.walk(self._trees[name]):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module)
                names |= {f"{node.module}.{alias.name}" for alias in node.names}
        # Started as a program of its own, `python -m stxmirror.mirror`.
        names |= {text for text in self.texts(name) if _MODULE.fullmatch(text)}
        found = {path for module in names for path in self._resolve(module, Path(name).parent)}
        conftest = (Path(name).parent / "conftest.py").as_posix()
        if name.startswith("tests/") and conftest in self.files:
            found.add(conftest)
        return found - {name}

    def _resolve(self, module: str, beside: Path) -> Iterable[str]:
        """The files that importing a module runs: its own and its packages'."""
        module = module.removeprefix("ansible.")
        parts = module.split(".")
        for length in range(1, len(parts) + 1):
            stem = "/".join(parts[:length])
            for candidate in (f"{stem}.py", f"{stem}/__init__.py"):
                if candidate in self.files:
                    yield candidate
        for candidate in ((beside / f"{parts[0]}.py").as_posix(), self._helpers.get(parts[0], "")):
            if candidate in self.files:
                yield candidate
                break


def _text(node: ast.AST) -> str:
    """A string as a pattern of paths: what is filled in may be anything."""
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) or "*" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
