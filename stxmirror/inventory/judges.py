"""What is wrong with a value as a whole, which its type cannot say.

Each judge gets a value whose type is right and a function that returns other variables of the host.
It returns sentences, each with the keys that lead to what it is about.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from stxmirror import admins, networks, streams, variables
from stxmirror.errors import StxMirrorError

# Returns the value of a variable, or what is given where it is not set.
Look = Callable[[str, Any], Any]
Keys = tuple[str | int, ...]
Problem = tuple[str, Keys]
Judge = Callable[[Any, Look], list[Problem]]

_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_KNOWN_HOST = re.compile(r"\[(?P<host>.*)\]:(?P<port>[0-9]+)")
# The keys of scheduler_variables that name a mirror.
_HOST_KEYS = ("publish_host", "prune_host")


def host_problem(name: str) -> str:
    """Say why ssh, rsync and the list of known hosts cannot all use a name; nothing is empty."""
    if _HOST.fullmatch(name) or _is_ipv6(name):
        return ""
    bare = name.removeprefix("[").partition("]")[0]
    if name.startswith("[") and _is_ipv6(bare):
        more = ", and the port as publish_port" if not name.endswith("]") else ""
        return f"write the address without brackets, {bare}{more}"
    if "://" in name:
        return "write the name alone, without a scheme and a path"
    if "@" in name:
        return f"write the name alone, {name.rpartition('@')[2]}, and the account as publish_user"
    host, _, port = name.partition(":")
    if port.isdigit():
        return f"write the name alone, {host}, and the port as publish_port: {port}"
    return "write a host's name or its address, without spaces and other signs"


def _is_ipv6(name: str) -> bool:
    try:
        ipaddress.IPv6Address(name)
    except ValueError:
        return False
    return True


def _admins(value: Any, _look: Look) -> list[Problem]:
    return [(problem, ()) for problem in admins.admin_problems(value)]


def _networks(value: Any, look: Look) -> list[Problem]:
    if not look("hardening_firewall_enabled", True):
        return []
    everybody = look("hardening_admin_networks_open", False)
    return [(problem, ()) for problem in networks.network_problems(value, everybody=everybody)]


def _mirrors(value: Any, _look: Look) -> list[Problem]:
    found: list[Problem] = []
    for number, entry in enumerate(value):
        name = entry["name"]
        with_port = _KNOWN_HOST.fullmatch(name)
        problem = host_problem(with_port["host"] if with_port else name)
        if problem:
            found.append(
                (f"no mirror can be called {name!r}: {_for_mirrors(problem)}", (number, "name"))
            )
    return found


def _for_mirrors(problem: str) -> str:
    return problem.replace(" as publish_port: ", " as [NAME]:").replace(
        " as publish_port", " as [NAME]:PORT"
    )


def _publishing(value: Any, look: Look) -> list[Problem]:
    """Say now what a build would learn at its end."""
    if "publish_host" not in value:
        return [("lacks publish_host: write the mirror's name as build_env_mirrors has it", ())]
    found: list[Problem] = [
        (f"{key} is {value[key]!r}, which cannot work: {problem}", (key,))
        for key in _HOST_KEYS
        if (problem := host_problem(value.get(key) or "localhost"))
    ]
    host, port = value["publish_host"], value.get("publish_port", 22)
    mirrors = look("build_env_mirrors", [])
    if isinstance(mirrors, str) or not all(isinstance(mirror, Mapping) for mirror in mirrors):
        return found  # its own type is wrong
    name = host if port == 22 else f"[{host}]:{port}"
    known = [str(mirror.get("name")) for mirror in mirrors]
    if found or not host or "publish_known_hosts" in value or name in known:
        return found
    others = f"write {' or '.join(known)} instead, or " if known else ""
    problem = (
        f"publish_host is {host}, and build_env_mirrors has no {name}, so that publishing would be "
        f"refused: {others}add an entry with that name there"
    )
    return [(problem, ("publish_host",))]


def _streams(value: Any, _look: Look) -> list[Problem]:
    try:
        streams.check_streams(value)
    except StxMirrorError as problem:
        return [(str(problem), ())]
    return []


def profile_problems(value: Any, profiles: Collection[str]) -> list[Problem]:
    """Return the streams whose profile does not exist; ``profiles`` are the names that do."""
    found: list[Problem] = []
    for number, stream in enumerate(value if isinstance(value, Sequence) else ()):
        name = stream.get("profile") if isinstance(stream, Mapping) else None
        if isinstance(name, str) and name not in profiles:
            meant = (
                variables.suggestion(name, profiles, variables.NEAREST)
                or f"one of {', '.join(sorted(profiles))}"
            )
            found.append(
                (
                    f"stream {stream.get('name') or number + 1}: there is no file "
                    f"profiles/{name}.yml: write {meant}, or add that file",
                    (number, "profile"),
                )
            )
    return found


# By variable: the roles that would say the same once they are on the host, and the judge.
JUDGES: dict[str, tuple[frozenset[str], Judge]] = {
    "users_admins": (frozenset({"users"}), _admins),
    "hardening_admin_networks": (frozenset({"hardening"}), _networks),
    "build_env_mirrors": (frozenset({"build_env"}), _mirrors),
    "scheduler_variables": (frozenset({"scheduler"}), _publishing),
    "streams": (frozenset({"scheduler", "mirror_host"}), _streams),
}
