"""Which RPMs a root needs beside the base, so that BuildRequires hold (pure)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cmp_to_key

from pkgbuild.rpmmeta import Dep, Rpm, compare, parse, satisfies


class Unresolvable(Exception):
    """Nothing provides ``wanted``, which ``by`` asks for (None: the package itself)."""

    def __init__(self, wanted: Dep, by: Rpm | None) -> None:
        super().__init__(str(wanted))
        self.wanted = wanted
        self.by = by


class Universe:
    """RPMs to choose from, in order of preference; the first is in every root."""

    def __init__(self, base: Rpm, *repositories: Iterable[Rpm]) -> None:
        self.base = base
        self._providers: dict[str, list[tuple[Rpm, Dep]]] = {}
        self._files: dict[str, list[Rpm]] = {}
        self._add(base)
        for repository in repositories:
            for rpm in sorted(repository, key=cmp_to_key(lambda a, b: compare(b.evr, a.evr))):
                self._add(rpm)

    def _add(self, rpm: Rpm) -> None:
        for dep in rpm.provides:
            self._providers.setdefault(dep.name, []).append((rpm, dep))
        for path in rpm.files:
            self._files.setdefault(path, []).append(rpm)

    def providers(self, wanted: Dep) -> list[Rpm]:
        """RPMs that satisfy ``wanted``, the preferred first."""
        found = [rpm for rpm, dep in self._providers.get(wanted.name, ()) if satisfies(dep, wanted)]
        return found or self._files.get(wanted.name, [])

    def closure(self, build_requires: Iterable[str]) -> list[Rpm]:
        """The RPMs to install beside the base, sorted by name.

        Raises `Unresolvable` for the first requirement that nothing provides. Boolean
        requirements are left to rpm, which checks the whole set when it installs it.
        """
        chosen: dict[str, Rpm] = {}
        open_: list[tuple[Dep, Rpm | None]] = [(parse(r), None) for r in build_requires]
        while open_:
            wanted, by = open_.pop(0)
            if wanted.name.startswith("("):
                continue
            found = self.providers(wanted)
            if not found:
                raise Unresolvable(wanted, by)
            if self.base in found or any(rpm.name in chosen for rpm in found):
                continue
            chosen[found[0].name] = found[0]
            open_.extend((dep, found[0]) for dep in found[0].requires)
        return [chosen[name] for name in sorted(chosen)]
