"""Which packages must be built before which (pure)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from pkgbuild.srpm import Srpm


def dependencies(
    srpms: Iterable[Srpm], is_there: Callable[[str], bool]
) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """For each source package: what must be built before it, and which requirements are open.

    ``is_there`` tells whether a requirement holds without building anything. A package waits for
    the ones that provide its BuildRequires, and for what these require to be installed. Open is
    a requirement that no spec names, such as one that only shows in a built file.
    """
    srpms = list(srpms)
    provider = {name: srpm for srpm in srpms for name in srpm.provides}
    before: dict[str, set[str]] = {}
    unknown: dict[str, set[str]] = {}
    for srpm in srpms:
        needed: dict[str, Srpm] = {}
        unknown[srpm.name] = set()
        queue = [(r, True) for r in srpm.build_requires]
        while queue:
            requirement, direct = queue.pop()
            found = provider.get(requirement.split()[0])
            if is_there(requirement):
                continue
            if found is None:
                if direct:
                    unknown[srpm.name].add(requirement)
            elif found.name not in needed:
                needed[found.name] = found
                queue.extend((r, False) for r in found.requires)
        before[srpm.name] = set(needed) - {srpm.name}
    return before, unknown


def cycle(before: Mapping[str, set[str]]) -> list[str]:
    """The first circle of packages that wait for each other, by name; empty without one."""
    done: set[str] = set()
    for start in sorted(before):
        path: list[str] = []
        node = start
        while node not in done:
            if node in path:
                return [*path[path.index(node) :], node]
            path.append(node)
            waiting = sorted(before.get(node, set()) - done)
            if waiting:
                node = waiting[0]
            else:
                done.add(node)
                path.clear()
                node = start
    return []
