"""Whether a value looks as its JSON Schema says, and what it is with every default filled in.

The schemas lie beside this module, and fastjsonschema makes code of them: when a schema is first
asked for, or when a program is packed for a mirror (:mod:`stxmirror.packing`). Only schemas of this
package become code, never what is checked. A schema says in ``x-say`` what people are told when a
value does not fit; ``{value}`` in it stands for the value.
"""

from __future__ import annotations

import copy
import importlib
import json
import math
import pkgutil
import re
import reprlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

# What describes a value and does not decide about it.
_NOTES = frozenset({"$defs", "$id", "$schema", "default", "description", "examples", "title"})
# What the schemas may use. The checker takes no notice of a keyword that it does not know.
KEYWORDS = _NOTES | {
    *("$ref", "additionalProperties", "anyOf", "const", "enum", "items", "maxItems", "maxLength"),
    *("maxProperties", "maximum", "minItems", "minLength", "minProperties", "minimum", "pattern"),
    *("properties", "propertyNames", "required", "type", "x-say"),
}

_PLACE_MAX = 200
# A value may be long, or nested more deeply than repr() goes.
_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother, _SHORT.maxlong = 2, 80, 80, 80
_TYPE_NAMES = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "null": "null",
    "number": "a number",
    "object": "a mapping",
    "string": "text",
}


class Problem(NamedTuple):
    """What is wrong with one place of a value.

    ``place`` is such as ``stages[1].time_limit``, and empty for the value as a whole; ``text``
    goes on from it: ``is 0, not a whole number above 0``.
    """

    place: str
    text: str

    def __str__(self) -> str:
        """Return the sentence."""
        return f"{self.place or 'it'} {self.text}"


@cache
def _text(name: str) -> bytes:
    content = pkgutil.get_data("stxmirror", f"schemas/{name}.schema.json")
    if content is None:
        raise FileNotFoundError(f"the package stxmirror lacks schemas/{name}.schema.json")
    return content


def load(name: str) -> dict[str, Any]:
    """Return a schema of this package by its name, such as ``build-1``."""
    schema: dict[str, Any] = json.loads(_text(name))
    return schema


def problems(value: Any, schema: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with a value, a sentence each; none means that it is valid.

    ``schema`` is one that :func:`load` returned.
    """
    return [str(problem) for problem in findings(value, _name(schema))]


def findings(value: Any, name: str) -> list[Problem]:
    """Return what is wrong with a value by the schema of that name; none means that it is valid."""
    found: list[Problem] = []
    try:
        _checker(name)(value)
    except ValueError as refusal:
        # The module that a packed program brings has its own class of the exception.
        for error in getattr(refusal, "errors", [refusal]):
            found += _told(error)
    found += _no_numbers(value)
    # Two rules that a value breaks are often told in the same words.
    return list(dict.fromkeys(found))


def completed(value: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of a valid mapping with the default of every key that it does not have."""
    whole: dict[str, Any] = _completed(plain(value), _merged(schema, schema.get("$defs", {})))
    return whole


def plain(value: Any) -> Any:
    """Return a copy of a value made of dictionaries and lists, whatever held its parts before."""
    if isinstance(value, Mapping):
        return {key: plain(member) for key, member in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return [plain(item) for item in value]
    return value


def _name(schema: Mapping[str, Any]) -> str:
    return str(schema["$id"]).rpartition("/")[2][: -len(".schema.json")]


@cache
def _checker(name: str) -> Callable[[Any], Any]:
    """Return the function that checks a value, and raises what is wrong with it."""
    try:
        packed = importlib.import_module(f"stxmirror.checkers.{module_name(name)}")
    except ModuleNotFoundError:
        import fastjsonschema  # noqa: PLC0415 - a packed program does not have it

        check: Callable[[Any], Any] = fastjsonschema.compile(rules(name), **HOW)
        return check
    packed_check: Callable[[Any], Any] = packed.check
    return packed_check


# How fastjsonschema is called: all errors are told, and what is checked is not changed.
HOW: dict[str, Any] = {"use_default": False, "use_formats": False, "fast_fail": False}


def module_name(name: str) -> str:
    """Return the name of the module that a schema becomes in a packed program."""
    return name.replace("-", "_")


def rules(name: str) -> dict[str, Any]:
    """Return what decides in a schema, without its notes and its references.

    Not a reference but what it refers to, so that an error can name the very key; `null` or
    something becomes one set of rules, so that it can be told what is wrong with the something.
    """
    schema = load(name)
    merged: dict[str, Any] = _rules(_merged(schema, schema.get("$defs", {})))
    return merged


def _rules(schema: Any) -> Any:
    if not isinstance(schema, Mapping):
        return schema
    unknown = set(schema) - KEYWORDS
    if unknown:
        raise TypeError(f"a schema has keywords that nothing checks: {', '.join(sorted(unknown))}")
    kept = {key: value for key, value in schema.items() if key not in _NOTES}
    if "properties" in kept:
        kept["properties"] = {key: _rules(part) for key, part in kept["properties"].items()}
    for key in ("items", "additionalProperties", "propertyNames"):
        if key in kept:
            kept[key] = _rules(kept[key])
    return kept


def _merged(schema: Any, definitions: Mapping[str, Any]) -> Any:
    """Return a schema in which no part refers to another."""
    if isinstance(schema, list):
        return [_merged(part, definitions) for part in schema]
    if not isinstance(schema, Mapping):
        return schema
    parts = {key: _merged(part, definitions) for key, part in schema.items() if key != "$defs"}
    if "$ref" in parts:
        target = definitions[str(parts.pop("$ref")).rpartition("/")[2]]
        parts = {**_merged(target, definitions), **parts}
    if "anyOf" in parts:
        null, something = parts.pop("anyOf")
        if null != {"type": "null"} or "type" not in something:
            raise TypeError("anyOf is for `null` or something with a type, in this order")
        types = something["type"]
        parts = {
            **something,
            **parts,
            "type": ["null", *([types] if isinstance(types, str) else types)],
        }
    return parts


def _completed(value: Any, schema: Any) -> Any:
    if isinstance(value, dict) and isinstance(schema, Mapping):
        known = schema.get("properties", {})
        whole = {
            key: copy.deepcopy(part["default"])
            for key, part in known.items()
            if "default" in part and key not in value
        }
        whole |= {key: _completed(member, known.get(key)) for key, member in value.items()}
        return whole
    if isinstance(value, list) and isinstance(schema, Mapping):
        return [_completed(item, schema.get("items")) for item in value]
    if isinstance(value, float) and "integer" in (schema or {}).get("type", ()):
        # To JSON Schema 3.0 is a whole number.
        return int(value)
    return value


def _no_numbers(value: Any) -> Iterator[Problem]:
    """Yield what Python reads as a number and JSON does not have.

    Not recursive: what a stranger sends may be nested more deeply than Python calls.
    """
    waiting = [("", value)]
    while waiting:
        place, part = waiting.pop()
        place = place[:_PLACE_MAX]
        if isinstance(part, float) and not math.isfinite(part):
            yield Problem(place, f"is {part}, which is not a number")
        elif isinstance(part, Mapping):
            waiting += [(_join(place, _printable(key)), member) for key, member in part.items()]
        elif isinstance(part, (list, tuple)):
            waiting += [(f"{place}[{index}]", item) for index, item in enumerate(part)]


def _told(error: Any) -> Iterator[Problem]:
    """Yield the sentences for one exception of the checker."""
    place = _printable(str(error.name)[len("data") :].removeprefix("."))
    value, definition, rule = error.value, error.definition, error.rule
    if rule == "required":
        for key in definition["required"]:
            if key not in value:
                yield Problem(_join(place, key), "is missing")
    elif rule == "additionalProperties":
        known = definition.get("properties", {})
        for key in value:
            if key not in known:
                listed = ", ".join(known)
                yield Problem(_join(place, _printable(key)), f"is not known here (known: {listed})")
    elif rule == "propertyNames":
        names = definition["propertyNames"]
        for key in value:
            if not isinstance(key, str) or not _fits(names["pattern"], key):
                said = names.get("x-say", "has a name that has not the right form")
                yield Problem(_join(place, _printable(key)), said)
    elif "x-say" in definition:
        yield Problem(place, definition["x-say"].replace("{value}", _shown(value)))
    else:
        yield Problem(place, _generic(rule, definition.get(rule), value))


def _generic(rule: str, wanted: Any, value: Any) -> str:
    """Return what is said of a broken rule that the schema has no words for."""
    if rule == "type":
        names = [wanted] if isinstance(wanted, str) else wanted
        return f"is {_shown(value)}, not {' or '.join(_TYPE_NAMES[name] for name in names)}"
    if rule == "enum":
        return f"is {_shown(value)}, not one of {', '.join(map(str, wanted))}"
    sentences = {
        "const": f"is {_shown(value)}, not {_shown(wanted)}",
        "minLength": "is empty",
        "maxLength": f"is longer than {wanted} characters",
        "pattern": f"is {_shown(value)}, which has not the right form",
        "minItems": "is empty",
        "minProperties": "is empty",
        "maxProperties": f"has more than {wanted} keys",
        "maxItems": f"has more than {wanted} entries",
        "minimum": f"is below {wanted}",
        "maximum": f"is above {wanted}",
    }
    return sentences[rule]


def _join(place: str, key: Any) -> str:
    return f"{place}.{key}" if place else str(key)


def _fits(pattern: str, value: str) -> bool:
    # Python's `$` would let a final line break through; JSON Schema's does not.
    return re.search(pattern.replace("$", r"\Z"), value) is not None


def _printable(name: Any) -> str:
    """Return a name that may come from a stranger as something that a log or terminal may show."""
    text = name if isinstance(name, str) and name.isprintable() else repr(name)
    return text if len(text) <= _PLACE_MAX else f"{text[:_PLACE_MAX]}..."


def _shown(value: Any) -> str:
    return _SHORT.repr(value)
