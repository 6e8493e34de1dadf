"""What is wrong with the variables of an inventory, whatever their values are."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import PurePath

from stxmirror import variables
from stxmirror.inventory.places import YAML_SUFFIXES, Owner, Setting

# Groups that say nothing about what a host is for.
_EVERY_HOST = ("all", "ungrouped")


def unknown(
    settings: Iterable[Setting], names: Collection[str], roles: Collection[str]
) -> Iterator[tuple[Setting, str]]:
    """Yield the variables that nothing reads."""
    for setting in settings:
        problem = variables.name_problem(setting.name, names, roles)
        if problem:
            yield setting, problem


def twice(settings: Iterable[Setting]) -> Iterator[tuple[Setting, str]]:
    """Yield what the files of one group or host set twice."""
    first: dict[tuple[Owner | None, str, str, str], Setting] = {}
    for setting in settings:
        # Two inventories may each have files for one group: the later one wins, as is meant.
        base = next((str(p.parent) for p in PurePath(setting.path).parents if _is_vars(p)), "")
        key = (setting.owner, base, setting.holder, setting.name)
        if base and key in first:
            owner = setting.owner.name if setting.owner else ""
            yield (
                setting,
                f"{setting.name} is set in {first[key].place} for {owner} too, and one of them "
                "is not read: keep one",
            )
        first[key] = setting


def _is_vars(path: PurePath) -> bool:
    return path.name in ("group_vars", "host_vars")


def misplaced(
    settings: Iterable[Setting],
    readers: Mapping[str, Collection[str]],
    group_roles: Mapping[str, Collection[str]],
    groups: Mapping[str, Collection[str]],
    holders: Mapping[str, Collection[str]],
) -> Iterator[tuple[Setting, str]]:
    """Yield the variables that are set where no role reads them.

    ``readers`` are the roles with an input of that name, ``group_roles`` the roles that only
    hosts of a group get, ``groups`` the hosts of each group, ``holders`` the roles whose
    variables are read out of a mapping alone, by the name of that mapping.
    """
    for setting in settings:
        owner = setting.owner
        roles = set(readers.get(setting.name, ()))
        if owner is None or not roles or setting.holder:
            continue
        for holder, inner in holders.items():
            if roles <= set(inner):
                yield (
                    setting,
                    f"{setting.name} is read by builds, out of {holder} alone: write it there",
                )
        homes = [group for group, of_group in group_roles.items() if roles & set(of_group)]
        if not homes or not roles <= {role for home in homes for role in group_roles[home]}:
            continue
        hosts = {owner.name} if owner.kind == "host" else set(groups.get(owner.name, ()))
        everywhere = owner.kind == "group" and owner.name in _EVERY_HOST
        if hosts and not everywhere and not any(hosts & set(groups.get(g, ())) for g in homes):
            yield (
                setting,
                f"{setting.name} is read on hosts of group {' or '.join(homes)} alone, and "
                f"{owner} has nothing to do with it: move it to group_vars/{homes[0]}",
            )


def owner_name(entry: str, is_directory: bool, known: Collection[str]) -> str:
    """Return the group or host that a file or directory of group_vars or host_vars is read for."""
    if is_directory or entry in known:
        return entry
    stem, dot, ending = entry.rpartition(".")
    return stem if dot and f".{ending}" in YAML_SUFFIXES else entry


def stray(
    entries: Iterable[tuple[str, str, bool]], kind: str, known: Collection[str]
) -> Iterator[tuple[str, str]]:
    """Yield the path and the problem of what lies in group_vars or host_vars unread.

    ``entries`` are path, name, and whether it is a directory, in Ansible's own order of reading;
    ``kind`` is ``group`` or ``host``.
    """
    read: dict[str, str] = {}
    for path, entry, is_directory in entries:
        name = owner_name(entry, is_directory, known)
        if entry.startswith("."):
            continue
        if name in read:
            yield (
                path,
                f"is never read, because {read[name]} is there too: move what it says into that",
            )
        elif name not in known:
            meant = variables.suggestion(name, known)
            advice = f"rename it to {meant}" if meant else f"add that {kind}, or remove it"
            yield (path, f"is never read, there is no {kind} {name} in the inventory: {advice}")
        read.setdefault(name, path)


def lines(found: Iterable[tuple[Setting, str]]) -> list[str]:
    """Return one line for each problem, however many hosts have it.

    Where a file has no lines, the hosts and groups that a problem is about are counted.
    """
    owners: dict[str, list[Setting]] = {}
    for setting, problem in found:
        place = setting.place if setting.line else setting.path
        # What is set nowhere has no place.
        key = f"{place}: {problem}" if place else problem
        told = owners.setdefault(key, [])
        if setting not in told:
            told.append(setting)
    return [_line(key, told) for key, told in owners.items()]


def _line(key: str, told: Sequence[Setting]) -> str:
    setting = told[0]
    if setting.line or setting.owner is None:
        return key
    more = len({item.owner for item in told}) - 1
    words = f"{setting.owner} and {more} more" if more else str(setting.owner)
    return key.replace(setting.path, f"{setting.path} ({words})", 1)
