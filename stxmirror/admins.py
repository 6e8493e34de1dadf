"""The people who administer the hosts: what the inventory may say, and what it means for a host."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from stxmirror.errors import StxMirrorError
from stxmirror.public_keys import MAKE_ONE, read_public_key

TEAMS = ("build", "security")
# The team whose members may become root.
ROOT_TEAM = "build"
GROUP = "stx-admins"
# As long as useradd takes them.
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}", re.ASCII)
_ENTRY = ("name", "full_name", "keys", "teams")
# What the distributions give to people; below are the system's accounts, above are `nobody`s.
_UIDS = range(1000, 60000)


def admin_problems(admins: object, reserved: Iterable[str] = ()) -> list[str]:
    """Return all that is wrong with the list of admins, as sentences; empty if nothing is.

    ``reserved`` are names that belong to services.
    """
    listed = _list(admins)
    if listed is None:
        return [
            "it must be a list with an entry for each person: "
            "- {name: anna, full_name: Anna Example, keys: [ssh-ed25519 AAAA...], teams: [build]}"
        ]
    problems: list[str] = []
    owners: dict[bytes, str] = {}
    seen: set[str] = set()
    for number, entry in enumerate(listed, start=1):
        if not isinstance(entry, Mapping):
            problems.append(f"entry {number} must have the keys {', '.join(_ENTRY)}")
            continue
        name = entry.get("name")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            problems.append(
                f"entry {number}: name must be an account's name of at most 32 small letters, "
                "digits, '_' and '-', and begin with a letter"
            )
            who = f"entry {number}"
        else:
            who = name
            if name in seen:
                problems.append(f"{who} is listed twice: put all keys and teams into one entry")
            elif name in reserved:
                problems.append(f"{who} is an account of a service: give the person another name")
            seen.add(name)
        problems += [f"{who}: {problem}" for problem in _entry_problems(entry)]
        problems += [f"{who}: {problem}" for problem in _key_problems(entry, who, owners)]
    if listed and not may_become_root(listed):
        problems.append(
            f"nobody could become root: at least one admin must be on team {ROOT_TEAM}, with a key"
        )
    return problems


def may_become_root(admins: Sequence[object]) -> list[str]:
    """Return the names of the admins who get in by a key and become root."""
    return [
        str(entry.get("name"))
        for entry in admins
        if isinstance(entry, Mapping) and entry.get("keys") and ROOT_TEAM in _teams(entry)
    ]


@dataclass(frozen=True)
class HostChanges:
    """What the list means for one host: why not to begin, and who was taken off."""

    problems: list[str]
    removed: list[str]


def host_changes(
    admins: Sequence[Mapping[str, object]],
    *,
    passwd: Iterable[str],
    groups: Iterable[str],
    connected: str,
    reserved: Iterable[str] = (),
) -> HostChanges:
    """Return what the list of admins means for a host.

    ``passwd`` and ``groups`` are lines as ``getent`` prints them: of the listed names and of the
    members of ``GROUP``. ``connected`` is the account that this is done through.
    """
    wanted = {str(entry["name"]): _teams(entry) for entry in admins}
    uids = {fields[0]: int(fields[2]) for fields in map(_split, passwd) if len(fields) > 2}
    members = {
        fields[0]: [name for name in fields[3].split(",") if name]
        for fields in map(_split, groups)
        if len(fields) > 3
    }
    problems = []
    for name in wanted:
        if name in uids and uids[name] not in _UIDS:
            problems.append(
                f"{name} is an account of the system here (uid {uids[name]}): give the person "
                "another name"
            )
        elif name not in uids and name in members:
            problems.append(
                f"{name} is a group here, without an account: give the person another name, or "
                f"`groupdel {name}` if nothing needs it"
            )
    removed = []
    for name in members.get(GROUP, []):
        if name in wanted or name not in uids:
            continue
        if uids[name] not in _UIDS or name in reserved:
            problems.append(
                f"{name} is no person, but somebody put it into group {GROUP} here: "
                f"`gpasswd -d {name} {GROUP}`"
            )
        else:
            removed.append(name)
    if removed and not wanted:
        problems.append(
            f"this host's last admins would go ({', '.join(removed)}): list at least one of team "
            f"{ROOT_TEAM}, with a key"
        )
    elif connected in removed:
        problems.append(
            f"{connected} is the account that this run comes in with, and it would lose its access "
            "half-way: let another admin take it off"
        )
    elif (
        ROOT_TEAM not in wanted.get(connected, (ROOT_TEAM,))
        and connected in members.get(f"stx-{ROOT_TEAM}", [])
    ):  # fmt: skip
        problems.append(
            f"{connected} is the account that this run comes in with, and it would lose root "
            f"half-way: let another admin take it off team {ROOT_TEAM}"
        )
    return HostChanges(problems, removed)


def _entry_problems(entry: Mapping[str, object]) -> list[str]:
    problems = [
        f"{key} is unknown: an entry has the keys {', '.join(_ENTRY)}"
        for key in entry
        if key not in _ENTRY
    ]
    full_name = entry.get("full_name")
    # It goes into a line of /etc/passwd.
    if not isinstance(full_name, str) or not full_name.strip():
        problems.append("full_name must say who this is: full_name: Anna Example")
    elif not full_name.isprintable() or set(":,=") & set(full_name):
        problems.append("full_name must be one line without ':', ',' and '='")
    teams = _teams(entry)
    if not teams:
        problems.append(f"teams must be a list of at least one of {', '.join(TEAMS)}")
    else:
        problems += [
            f"there is no team {team!r}: the teams are {' and '.join(TEAMS)}"
            for team in teams
            if team not in TEAMS
        ]
    return problems


def _key_problems(entry: Mapping[str, object], who: str, owners: dict[bytes, str]) -> list[str]:
    keys = _list(entry.get("keys"))
    if keys is None:
        return ["keys must be a list: keys: [ssh-ed25519 AAAA...]"]
    if not keys:
        return [f"keys is empty, so nobody could come in: {MAKE_ONE}; whoever is to lose access "
                "is taken off the list"]  # fmt: skip
    problems = []
    for number, line in enumerate(keys, start=1):
        try:
            key = read_public_key(line)
        except StxMirrorError as problem:
            problems.append(f"key {number} {problem}")
            continue
        owner = owners.setdefault(key.blob, who)
        if owner != who:
            problems.append(f"key {number} is {owner}'s: each person needs a key of their own")
    return problems


def _teams(entry: Mapping[str, object]) -> Sequence[object]:
    return _list(entry.get("teams")) or ()


def _list(value: object) -> Sequence[object] | None:
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return value
    return None


def _split(line: str) -> list[str]:
    return line.split(":")
