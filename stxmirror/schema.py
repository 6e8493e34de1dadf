"""A checker for the JSON Schemas of this project, on the standard library alone.

The mirror host has no jsonschema package, and one description of a format is better than two. It
knows exactly the keywords that the schemas beside it use; a unit test holds it to that, and to
the verdicts of the real package.
"""

from __future__ import annotations

import json
import pkgutil
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

KEYWORDS = frozenset(
    {
        *("$defs", "$id", "$ref", "$schema", "additionalProperties", "anyOf", "const"),
        *("description", "enum", "items", "maxItems", "maxLength", "minLength", "minimum"),
        *("pattern", "properties", "propertyNames", "required", "title", "type"),
    }
)

_TYPES: dict[str, tuple[type, ...]] = {
    "array": (list, tuple),
    "boolean": (bool,),
    "integer": (int,),
    "null": (type(None),),
    "number": (int, float),
    "object": (Mapping,),
    "string": (str,),
}


@cache
def _text(name: str) -> bytes:
    content = pkgutil.get_data("stxmirror", f"schemas/{name}.schema.json")
    if content is None:
        raise FileNotFoundError(f"the package stxmirror lacks schemas/{name}.schema.json")
    return content


def load(name: str) -> dict[str, Any]:
    """Return a schema of this package by its name, such as ``build-1``."""
    return json.loads(_text(name))


def problems(value: Any, schema: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with a value, a sentence each; none means that it is valid."""
    return list(_walk(value, schema, schema, ""))


def _walk(value: Any, schema: Any, root: Mapping[str, Any], place: str) -> Iterator[str]:
    if schema is False:
        yield f"{place or 'it'} is not known here"
        return
    if schema is True:
        return
    if "$ref" in schema:
        yield from _walk(value, root["$defs"][schema["$ref"].rpartition("/")[2]], root, place)
    if "anyOf" in schema:
        answers = [list(_walk(value, choice, root, place)) for choice in schema["anyOf"]]
        if all(answers):
            # The last choice is the one that says most; the others are `null`.
            yield from answers[-1]
    wrong_type = "type" in schema and not _is_type(value, schema["type"])
    if wrong_type:
        wanted = schema["type"]
        names = " or ".join([wanted] if isinstance(wanted, str) else wanted)
        yield f"{place or 'it'} is {_shown(value)}, not {names}"
        return
    yield from _limits(value, schema, place or "it")
    if isinstance(value, Mapping):
        yield from _members(value, schema, root, place)
    elif isinstance(value, (list, tuple)) and "items" in schema:
        for index, item in enumerate(value):
            yield from _walk(item, schema["items"], root, f"{place}[{index}]")


def _is_type(value: Any, wanted: Any) -> bool:
    names = [wanted] if isinstance(wanted, str) else wanted
    if isinstance(value, bool):
        return "boolean" in names
    if isinstance(value, float) and value.is_integer() and "integer" in names:
        return True
    return any(isinstance(value, _TYPES[name]) for name in names)


def _limits(value: Any, schema: Mapping[str, Any], place: str) -> Iterator[str]:
    if "const" in schema and not _same(value, schema["const"]):
        yield f"{place} is {_shown(value)}, not {_shown(schema['const'])}"
    if "enum" in schema and not any(_same(value, choice) for choice in schema["enum"]):
        choices = ", ".join(str(choice) for choice in schema["enum"])
        yield f"{place} is {_shown(value)}, not one of {choices}"
    if isinstance(value, str):
        if len(value) < schema.get("minLength", 0):
            yield f"{place} is empty"
        if len(value) > schema.get("maxLength", len(value)):
            yield f"{place} is longer than {schema['maxLength']} characters"
        if "pattern" in schema and not _fits(schema["pattern"], value):
            yield f"{place} is {_shown(value)}, which has not the right form"
    if isinstance(value, (list, tuple)) and len(value) > schema.get("maxItems", len(value)):
        yield f"{place} has more than {schema['maxItems']} entries"
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if is_number and "minimum" in schema and not value >= schema["minimum"]:
        yield f"{place} is below {schema['minimum']}"


def _members(
    value: Mapping[str, Any], schema: Mapping[str, Any], root: Mapping[str, Any], place: str
) -> Iterator[str]:
    known = schema.get("properties", {})
    for key in schema.get("required", ()):
        if key not in value:
            yield f"{_join(place, key)} is missing"
    for key, member in value.items():
        if "propertyNames" in schema:
            yield from _walk(key, schema["propertyNames"], root, f"the name {_join(place, key)}")
        described = known.get(key, schema.get("additionalProperties", True))
        yield from _walk(member, described, root, _join(place, key))


def _join(place: str, key: Any) -> str:
    return f"{place}.{key}" if place else str(key)


def _same(value: Any, wanted: Any) -> bool:
    # In JSON, true is not 1.
    return value == wanted and isinstance(value, bool) == isinstance(wanted, bool)


def _fits(pattern: str, value: str) -> bool:
    # Python's `$` would let a final line break through; JSON Schema's does not.
    return re.search(pattern.replace("$", r"\Z"), value) is not None


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
