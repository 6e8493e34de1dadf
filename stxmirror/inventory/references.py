"""What the Jinja expressions in a value refer to, and which of it exists nowhere."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from jinja2 import Environment, TemplateSyntaxError, meta

# What Ansible adds to each expression, or sets while a task runs.
_ALWAYS = frozenset(
    (
        *("lookup", "query", "q", "now", "undef", "omit", "range", "dict", "lipsum", "cycler"),
        *("joiner", "namespace", "environment", "groups", "group_names", "vars", "item"),
        *("playbook_dir", "role_path", "role_name", "role_names", "play_hosts"),
    )
)
# Facts, and what describes the connection: a check before the first connection cannot have them.
_LATER = "ansible_"
_FACTS = frozenset({"ansible_facts", "hostvars"})


class _Every(dict[str, Any]):
    """Filters or tests of any name: Ansible has many, and nothing is rendered here."""

    def get(self, key: str, default: Any = None) -> Any:
        return super().get(key, default or len)


_PARSER = Environment(extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"])  # noqa: S701
_PARSER.filters = _Every(_PARSER.filters)
_PARSER.tests = _Every(_PARSER.tests)


@lru_cache(maxsize=4096)
def names_in(text: str) -> frozenset[str]:
    """Return the variables that the expressions in a text refer to."""
    if "{" not in text:
        return frozenset()
    try:
        found = meta.find_undeclared_variables(_PARSER.parse(text))
    except TemplateSyntaxError:
        # Rendering it says so.
        return frozenset()
    return frozenset(found - _ALWAYS)


def texts_in(value: Any) -> Iterator[str]:
    """Yield each text in a value that is not rendered, whatever it lies in."""
    if isinstance(value, str):
        yield str(value)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from texts_in(key)
            yield from texts_in(inner)
    elif isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        for inner in value:
            yield from texts_in(inner)


def holds(value: Any, kind: type) -> bool:
    """Whether a value that is not rendered is of a type, or holds something that is."""
    if isinstance(value, kind):
        return True
    if isinstance(value, Mapping):
        return any(holds(inner, kind) for inner in value.values())
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes, bytearray)):
        return any(holds(inner, kind) for inner in value)
    return False


def references(value: Any) -> frozenset[str]:
    """Return the variables that a value refers to."""
    return frozenset(name for text in texts_in(value) for name in names_in(text))


def all_references(value: Any, variables: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables that a value refers to, directly or through others.

    Each has the variable whose value refers to it, which is an empty string for ``value`` itself.
    """
    found: dict[str, str] = {}
    left = [("", value)]
    while left:
        holder, current = left.pop()
        for name in sorted(references(current) - found.keys()):
            found[name] = holder
            if name in variables and name not in _FACTS:
                left.append((name, variables[name]))
    return found


def missing(
    name: str, value: Any, variables: Mapping[str, Any], known: Collection[str]
) -> tuple[dict[str, str], bool]:
    """Return what a variable needs and nothing sets, and whether some of it may exist later.

    The first is the name of each missing variable with the variable whose value refers to it:
    ``name`` itself, or one that it refers to. ``known`` are inputs of roles, which have defaults
    once the role runs.
    """
    needed = all_references(value, variables)
    absent = {each: holder for each, holder in needed.items() if each not in variables}
    late = {each for each in absent if each.startswith(_LATER) or each in known}
    found = {each: holder or name for each, holder in absent.items() if each not in late}
    return found, bool(late or needed.keys() & _FACTS)
