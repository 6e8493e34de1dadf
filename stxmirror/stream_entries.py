"""What one entry of the inventory's ``streams`` may say.

Most of it is in ``schemas/stream-1.schema.json``; here is what a schema cannot say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from stxmirror import layout, schedule, schema
from stxmirror.errors import StxMirrorError

SCHEMA_NAME = "stream-1"

_EXACT_ONLY = ("identifier", "schedule", "image_tag", "legacy_alias")


def given(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of an entry that say something, not those with nothing or an empty text."""
    values = schema.plain(entry)
    manifest = values.get("manifest")
    if isinstance(manifest, dict):
        values["manifest"] = _said(manifest)
    return _said(values)


def _said(mapping: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if value is not None and value != ""}


def entry_problems(entry: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with one entry, as :func:`given` returned it, a sentence each."""
    found = [*schema.findings(entry, SCHEMA_NAME), *_beyond_schema(entry)]
    problems = [f"`{problem.place}` {problem.text}" for problem in found]
    match = entry.get("match")
    if isinstance(match, str):
        problems += _match_problems(match, entry)
    return problems


def _beyond_schema(entry: Mapping[str, Any]) -> Iterator[schema.Problem]:
    """Yield what a schema cannot say; values that are not of the right type are passed over."""
    for key, check in _CHECKS.items():
        if isinstance(entry.get(key), str):
            yield from _refusal(key, check, entry[key])
    manifest = entry.get("manifest")
    if isinstance(manifest, dict):
        for key in ("url", "file"):
            # The URL may carry a password, and is therefore not repeated here.
            if isinstance(manifest.get(key), str) and ".." in manifest[key]:
                yield schema.Problem(f"manifest.{key}", "has '..' in it: take it out")
        if isinstance(manifest.get("branch"), str):
            yield from _refusal("manifest.branch", layout.check_ref, manifest["branch"])
    description = entry.get("description")
    if isinstance(description, str) and not description.isprintable():
        yield schema.Problem("description", "is not one line of text")


def _refusal(place: str, check: Callable[[str], object], value: str) -> Iterator[schema.Problem]:
    try:
        check(value)
    except StxMirrorError as problem:
        yield schema.Problem(place, f"is refused: {problem}")


def _match_problems(match: str, entry: Mapping[str, Any]) -> list[str]:
    try:
        if match.endswith("*"):
            problems = [
                f"`{key}` cannot be given to the pattern {match!r}: give the one ref that it is "
                "for a stream of its own"
                for key in _EXACT_ONLY
                if key in entry
            ]
            layout.release_identifier(match[:-1] + "x")
            return problems
        if "identifier" not in entry:
            layout.release_identifier(match)
        else:
            layout.check_ref(match)
    except StxMirrorError as problem:
        if match.endswith("*"):
            return [
                f"the pattern {match!r} is not understood: "
                "write f/*, r/* or m/*, with the '*' at the end only"
            ]
        return [str(problem)]
    return []


_CHECKS: dict[str, Callable[[str], object]] = {
    "identifier": layout.check_identifier,
    "distro": lambda word: layout.check_word(word, "distro"),
    "layer": lambda word: layout.check_word(word, "layer"),
    "schedule": schedule.parse,
    "legacy_alias": layout.check_alias,
}
