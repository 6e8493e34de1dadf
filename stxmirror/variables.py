"""Whether the variables that people wrote are ones that exist, and of the type that is asked for.

Ansible checks a role's argument spec when the role begins, after other roles have changed the host;
it takes no notice of a name that is misspelt, and it accepts `"yes"` for a boolean without making
it one. These checks are for all roles, before anything is touched.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

# As close as one wrong, missing or doubled letter in a short name makes it.
_CLOSE = 0.85
# Where no other key is allowed, whatever comes nearest is worth naming.
NEAREST = 0.6

_NAMES = {
    "bool": "true or false, without quotes",
    "int": "a whole number, without quotes",
    "float": "a number, without quotes",
    "str": "a text, in quotes",
    "path": "a path, in quotes",
    "list": "a list",
    "dict": "a mapping",
}


def suggestion(name: str, known: Collection[str], cutoff: float = _CLOSE) -> str:
    """Return the known name that ``name`` is most likely a misspelling of, or an empty string."""
    return next(iter(difflib.get_close_matches(name, sorted(known), n=1, cutoff=cutoff)), "")


def name_problem(name: str, known: Collection[str], roles: Collection[str]) -> str:
    """Say what is wrong with the name of a variable; nothing is an empty string.

    ``known`` are the names that something reads, ``roles`` the names of the roles. A name that
    begins with a role's belongs to the role and must be one of its inputs; another may be
    a site's own, unless it nearly is a known one.
    """
    if name in known or name.startswith(("ansible_", "vault_")):
        return ""
    meant = suggestion(name, known)
    owner = max((role for role in roles if name.startswith(f"{role}_")), key=len, default="")
    if meant:
        return f"nothing reads {name}: write {meant}"
    if owner:
        return f"role {owner} has no input {name}: roles/{owner}/README.md lists those it has"
    return ""


def value_problems(
    name: str, value: Any, option: Mapping[str, Any], *, secret: bool = False
) -> list[str]:
    """Return what is wrong with a value by its entry in an argument spec, one sentence each.

    Stricter than Ansible, which accepts what it could convert and then does not convert it. Of a
    ``secret`` nothing is repeated.
    """
    kind = option.get("type", "str")
    if value is None:
        return [f"{name} has no value: write {_NAMES.get(kind, 'one')}, or take the line away"]
    choices = option.get("choices")
    if not _is(value, kind):
        wanted = f"one of {', '.join(map(str, choices))}" if choices else _NAMES[kind]
        return [f"{name} is {_described(value)}: write {wanted}"]
    if choices and kind != "list" and value not in choices:
        shown = "none of its choices" if secret else repr(value)
        return [f"{name} is {shown}: write one of {', '.join(map(str, choices))}"]
    if kind == "list":
        element = {
            "type": option.get("elements", "raw"),
            "options": option.get("options"),
            "choices": choices,
        }
        return [
            problem
            for number, item in enumerate(value)
            for problem in value_problems(f"{name}[{number}]", item, element, secret=secret)
        ]
    if kind == "dict" and option.get("options"):
        return _key_problems(name, value, option["options"], secret)
    return []


def _key_problems(
    name: str, value: Mapping[str, Any], options: Mapping[str, Any], secret: bool
) -> list[str]:
    problems = []
    for key, item in value.items():
        if key in options:
            problems += value_problems(f"{name}.{key}", item, options[key], secret=secret)
        else:
            meant = suggestion(str(key), options, NEAREST) or f"one of {', '.join(sorted(options))}"
            problems.append(f"{name} has no key {key}: write {meant}")
    problems += [
        f"{name} lacks the key {key}: {first_sentence(option)}"
        for key, option in options.items()
        if option.get("required") and key not in value
    ]
    return problems


def first_sentence(option: Mapping[str, Any]) -> str:
    """Return the first sentence of an option's description in an argument spec."""
    text = option.get("description", "")
    if not isinstance(text, str):
        text = next(iter(text), "")
    return str(text).split(". ")[0].rstrip(".") + "."


_TYPES: dict[str, tuple[type, ...]] = {
    "bool": (bool,),
    "int": (int,),
    "float": (int, float),
    "str": (str,),
    "path": (str,),
    "list": (Sequence,),
    "dict": (Mapping,),
}


def _is(value: Any, kind: str) -> bool:
    # To Python a boolean is a number, and a text a sequence.
    if isinstance(value, bool) and kind != "raw":
        return kind == "bool"
    if isinstance(value, (str, bytes)) and kind == "list":
        return False
    return isinstance(value, _TYPES.get(kind, (object,)))


def _described(value: Any) -> str:
    if isinstance(value, bool):
        return f"the boolean {str(value).lower()}"
    if isinstance(value, (int, float)):
        return f"the number {value}"
    if isinstance(value, str):
        # Not the text itself: it may be a secret.
        return "a text"
    return "a mapping" if isinstance(value, Mapping) else "a list"
