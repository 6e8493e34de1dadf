# SPDX-License-Identifier: Apache-2.0
"""What a change can break: the paths that differ, to the tests that are run for them.

Three things are asked of each path, and together they are the selection:
the rules below; the tests that import the file or name it (`imports.py`); and, of what roles are
made of, the scenarios of the roles that use it. What nobody knows selects everything.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path

from imports import Imports
from jobs import PARTS, PROJECT, Job, part, scenario, scenarios

EVERYTHING = "everything"
# The first pattern that matches a whole path says what else is run; lint is always.
RULES: tuple[tuple[str, tuple[str, ...]], ...] = (
    # What all tests stand on.
    (r"pyproject\.toml|requirements/.*|requirements\.yml|ansible\.cfg", (EVERYTHING,)),
    (r"script/(bootstrap|test)|\.ci/.*|tests/run/durations\.py", (EVERYTHING,)),
    (r"tests/run/(imports|since|pool|jobs|main)\.py", (EVERYTHING,)),
    (r"tests/run/packages", (EVERYTHING,)),
    (r"tests/run/(e2e|lint|molecule|tools|unit)", (r"\1",)),
    (r"roles/container_hosts/.*|molecule/shared/.*|\.config/.*", ("molecule", "e2e")),
    # What only builds on a whole host show of it.
    (r"molecule/build/.*|roles/(scheduler|build_env)/files/.*", ("molecule build",)),
    # What lint alone reads, beside the tests that name it.
    (r"docs/.*|.*\.md|LICENSE|LICENSES/.*|REUSE\.toml|\.[^/]*|script/lint|tests/lint/.*", ()),
    (r"tests/(run|bench|mutation)/.*", ()),
    # What only a whole build puts together.
    (r"stxmirror/(builder|controller|state)/.*", ("e2e", "molecule build")),
    (r"stxmirror/mirror/.*", ("e2e",)),
    (r"playbooks/(build|publish|prune)\.yml", ("e2e", "molecule build")),
    (r"playbooks/.*|inventories/demo/.*|profiles/sample\.yml", ("e2e",)),
    (r"script/(demo|lib/.*)|tests/e2e/.*", ("e2e",)),
    (r"sample/.*", ("tools", "e2e")),
    (r"roles/.*|molecule/.*", ()),  # scenarios: see roles_of
    (r"profiles/.*|inventories/example/.*|script/drift", ()),
    (r"stxmirror/.*|library/.*|module_utils/.*|(filter|action|callback|lookup)_plugins/.*", ()),
    (r"tests/(unit|mirror|pages|sandbox|hosts|local|faults|iso|sample|helpers)/.*", ()),
)
# Parts of the package that a role brings to a host as a program.
SHIPPED = {"controller": "scheduler", "mirror": "mirror_host", "watch": "watch"}
_TOOLS = ("tests/iso/", "tests/sample/")


def changed(revision: str, project: Path = PROJECT) -> list[str]:
    """The paths that differ from a revision, with what is not committed and not yet added.

    Raises ``ValueError`` if git does not know the revision.
    """

    def git(command: str, *words: str) -> list[str]:
        done = subprocess.run(
            ["git", command, "-z", *words],
            cwd=project,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ValueError(f"git does not know '{revision}': name a commit, branch or tag")
        return [path for path in done.stdout.split("\0") if path]

    # Without renames: what was moved away can be missed, too.
    differ = git("diff", "--name-only", "--no-renames", "--end-of-options", revision, "--")
    return sorted({*differ, *git("ls-files", "--others", "--exclude-standard")})


class Selection:
    """The targets of a change, each with the reasons. A target is a part, a scenario
    (``molecule NAME``) or a file of tests."""

    def __init__(self, paths: Iterable[str], project: Path = PROJECT) -> None:
        self.project = project
        self.reasons: dict[str, list[str]] = {}
        for path in sorted(paths):
            self._look_at(path)

    @property
    def everything(self) -> bool:
        """Whether all parts are run."""
        return EVERYTHING in self.reasons

    def jobs(self) -> list[Job]:
        """The jobs that run it."""
        if self.everything:
            return [job for name in PARTS for job in part(name, brief=True)]
        found = [job for name in PARTS if name in self.reasons for job in part(name)]
        if "molecule" not in self.reasons:
            found += [scenario(n) for n in scenarios() if f"molecule {n}" in self.reasons]
        for name in ("unit", "tools"):
            files = [t for t in self.reasons if t.endswith(".py") and _part_of(t) == name]
            if files and name not in self.reasons:
                found.append(Job(name, (f"tests/run/{name}", *sorted(files))))
        return found

    def described(self) -> str:
        """What is run, and the first reason for each, one a line."""
        if not self.reasons:
            return "nothing differs: nothing to run"
        shown = {EVERYTHING: self.reasons[EVERYTHING]} if self.everything else self.reasons
        width = max(map(len, shown))
        return "\n".join(
            f"{target:{width}}  {why[0]}" + (f", and {len(why) - 1} more" if why[1:] else "")
            for target, why in sorted(shown.items())
        )

    def _look_at(self, path: str) -> None:
        self._add("lint", f"{path} changed")
        tests = self._imports.tests_of(path)
        for test, why in tests.items():
            target = "e2e" if test.startswith("tests/e2e/") else test
            if not test.startswith("tests/lint/"):
                self._add(target, why)
        matched = (targets_of(rule, path) for rule in RULES)
        for target in next((found for found in matched if found is not None), (EVERYTHING,)):
            self._add(target, f"{path} changed")
        for role in self._roles_of(path):
            known = (self.project / f"molecule/{role}/molecule.yml").exists()
            # The building roles have one scenario for them all.
            for target in (f"molecule {role}",) if known else ("e2e", "molecule build"):
                self._add(target, f"{path} changed")

    def _add(self, target: str, why: str) -> None:
        reasons = self.reasons.setdefault(target, [])
        if why not in reasons:
            reasons.append(why)

    @cached_property
    def _imports(self) -> Imports:
        return Imports(self.project)

    @cached_property
    def _texts(self) -> Mapping[str, str]:
        """All that each role and its scenario consist of, by the role's name."""
        texts: dict[str, str] = {}
        for top in ("roles", "molecule"):
            for path in sorted((self.project / top).glob("*/**/*.yml")):
                name = path.relative_to(self.project / top).parts[0]
                texts[name] = texts.get(name, "") + path.read_text()
        return texts

    def _roles_of(self, path: str) -> set[str]:
        """The roles whose scenarios play a file."""
        parts = path.split("/")
        if parts[0] == "molecule" and parts[1] != "shared":
            return {parts[1]} if (self.project / f"roles/{parts[1]}").is_dir() else set()
        if path.endswith(".md"):
            return set()
        if parts[0] == "roles":
            return self._that_play(parts[1])
        if parts[0] == "stxmirror":
            return {SHIPPED[parts[1]]} if parts[1] in SHIPPED else set()
        if parts[0] in ("library", "module_utils", "filter_plugins"):
            used = {
                Path(name).stem
                for name in self._imports.files
                if name.split("/")[0] == ("library" if parts[0] == "module_utils" else parts[0])
                and path in self._imports.closure(name)
            }
            as_word = re.compile(rf"(^[\s-]*|\| )({'|'.join(map(re.escape, used))})\b", re.M)
            return {r for r, text in self._texts.items() if used and as_word.search(text)} & set(
                self._role_names
            )
        return set()

    @cached_property
    def _role_names(self) -> list[str]:
        return [path.name for path in sorted((self.project / "roles").iterdir())]

    def _that_play(self, role: str) -> set[str]:
        """A role and those that play it, themselves or through another."""
        found: set[str] = set()
        todo = [role]
        while todo:
            name = todo.pop()
            found.add(name)
            played = re.compile(rf"\b(role|name): {re.escape(name)}$", re.M)
            todo += [
                other
                for other in self._role_names
                if other not in found and played.search(self._texts.get(other, ""))
            ]
        return found


def targets_of(rule: tuple[str, tuple[str, ...]], path: str) -> tuple[str, ...] | None:
    """What a rule adds for a path; nothing at all (``None``) if it is not for it."""
    found = re.fullmatch(rule[0], path)
    return tuple(map(found.expand, rule[1])) if found else None


def _part_of(test: str) -> str:
    return "tools" if test.startswith(_TOOLS) else "unit"
