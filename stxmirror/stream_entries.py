"""What one entry of the inventory's ``streams`` may say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from stxmirror import layout
from stxmirror.errors import StxMirrorError
from stxmirror.retention import check_keep

AUDIENCES = ("try", "develop")

_STREAM_NAME = re.compile(r"[a-z0-9][a-z0-9-]*", re.ASCII)
_MANIFEST_URL = re.compile(
    r"(?:(?:git|https?|ssh)://(?:[A-Za-z0-9._-]+@)?[A-Za-z0-9._-]+(?::[0-9]+)?|file://)"
    r"/[A-Za-z0-9._~/%+=-]+",
    re.ASCII,
)
_MANIFEST_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*\.xml", re.ASCII)
_IMAGE_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)
_CRON_FIELDS = (
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day of the month", 1, 31),
    ("month", 1, 12),
    ("day of the week", 0, 7),
)
_CRON_PART = re.compile(r"(?:\*|([0-9]{1,2})(?:-([0-9]{1,2}))?)(?:/([0-9]{1,2}))?", re.ASCII)

REQUIRED = (
    "name",
    "match",
    "profile",
    "distro",
    "manifest",
    "retention",
    "audience",
    "description",
)
OPTIONAL = (
    "identifier",
    "layer",
    "schedule",
    "image_tag",
    "legacy_alias",
    "time_limit",
    "retired",
)
_EXACT_ONLY = ("identifier", "schedule", "image_tag", "legacy_alias")


def entry_problems(entry: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with one entry, a sentence each."""
    problems = [f"`{key}` is missing" for key in REQUIRED if entry.get(key) in (None, "")]
    problems += [
        f"`{key}` is not a setting of a stream (known: {', '.join((*REQUIRED, *OPTIONAL))})"
        for key in entry
        if key not in REQUIRED and key not in OPTIONAL
    ]
    for key, check in _CHECKS.items():
        if entry.get(key) not in (None, ""):
            try:
                check(entry[key])
            except StxMirrorError as problem:
                problems.append(str(problem))
    match = entry.get("match")
    if isinstance(match, str) and match:
        problems += _match_problems(match, entry)
    return problems


def _match_problems(match: str, entry: Mapping[str, Any]) -> list[str]:
    try:
        if match.endswith("*"):
            problems = [
                f"`{key}` cannot be given to the pattern {match!r}: give the one ref that it is "
                "for a stream of its own"
                for key in _EXACT_ONLY
                if entry.get(key) is not None
            ]
            layout.release_identifier(match[:-1] + "x")
            return problems
        if entry.get("identifier") is None:
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


def _check_name(name: Any) -> None:
    if not isinstance(name, str) or not _STREAM_NAME.fullmatch(name):
        raise StxMirrorError(f"`name` {name!r} may have small letters, digits and '-' only")


def _check_match(match: Any) -> None:
    if not isinstance(match, str):
        raise StxMirrorError(f"`match` is {match!r}, which is not text: quote the branch or tag")


def _check_profile_name(name: Any) -> None:
    if not isinstance(name, str) or not _STREAM_NAME.fullmatch(name):
        raise StxMirrorError(
            f"`profile` {name!r} is not the name of a file in profiles/ (without its .yml)"
        )


def _check_manifest(manifest: Any) -> None:
    if not isinstance(manifest, Mapping) or not {"url", "file"} <= set(manifest):
        raise StxMirrorError("`manifest` needs a `url` and a `file`")
    unknown = sorted(set(manifest) - {"url", "file", "branch"})
    if unknown:
        raise StxMirrorError(f"`manifest` has no setting {', '.join(unknown)}")
    url = manifest["url"]
    if not isinstance(url, str) or not _MANIFEST_URL.fullmatch(url) or ".." in url:
        # The URL may carry a password, and is therefore not repeated here.
        raise StxMirrorError(
            "`manifest.url` is not a plain git URL: write https://HOST/PATH, git://HOST/PATH, "
            "ssh://USER@HOST/PATH or file:///PATH, without a password (it is published)"
        )
    file = manifest["file"]
    if not isinstance(file, str) or not _MANIFEST_FILE.fullmatch(file) or ".." in file:
        raise StxMirrorError(
            f"`manifest.file` {file!r} is not the path of an .xml file in the manifest repository"
        )
    if manifest.get("branch") is not None:
        layout.check_ref(manifest["branch"])


def _check_audience(audience: Any) -> None:
    if audience not in AUDIENCES:
        raise StxMirrorError(
            f"`audience` is {audience!r}: write try (for trying out) or develop (may break)"
        )


def _check_description(text: Any) -> None:
    if not isinstance(text, str) or not text.strip() or not text.isprintable() or len(text) > 200:
        raise StxMirrorError("`description` is not one line of text of at most 200 characters")


def _check_schedule(schedule: Any) -> None:
    fields = schedule.split(" ") if isinstance(schedule, str) else []
    if len(fields) != len(_CRON_FIELDS):
        raise StxMirrorError(
            f"`schedule` {schedule!r} is not five cron fields parted by one space, "
            'such as "0 2 * * *" (UTC)'
        )
    for field, (what, low, high) in zip(fields, _CRON_FIELDS):
        for part in field.split(","):
            found = _CRON_PART.fullmatch(part)
            numbers = [int(n) for n in found.groups()[:2] if n is not None] if found else []
            step = int(found.group(3)) if found and found.group(3) else 1
            in_range = all(low <= n <= high for n in numbers) and numbers == sorted(numbers)
            if not found or not in_range or step < 1:
                raise StxMirrorError(
                    f"`schedule` has {field!r} for the {what}: use *, numbers from {low} to "
                    f"{high}, lists, ranges and steps"
                )


def _check_image_tag(tag: Any) -> None:
    if not isinstance(tag, str) or not _IMAGE_TAG.fullmatch(tag) or len(tag) > layout.NAME_MAX:
        raise StxMirrorError(
            f"`image_tag` {tag!r} cannot begin an image tag: use letters, digits, '.', '_' and '-'"
        )


def _check_time_limit(seconds: Any) -> None:
    if isinstance(seconds, bool) or not isinstance(seconds, int) or seconds < 1:
        raise StxMirrorError(f"`time_limit` {seconds!r} is not a number of seconds above 0")


def _check_retired(retired: Any) -> None:
    if not isinstance(retired, bool):
        raise StxMirrorError(f"`retired` is {retired!r}: write true or false")


_CHECKS = {
    "name": _check_name,
    "match": _check_match,
    "identifier": layout.check_identifier,
    "profile": _check_profile_name,
    "distro": lambda word: layout.check_word(word, "distro"),
    "layer": lambda word: layout.check_word(word, "layer"),
    "manifest": _check_manifest,
    "schedule": _check_schedule,
    "retention": check_keep,
    "audience": _check_audience,
    "description": _check_description,
    "image_tag": _check_image_tag,
    "legacy_alias": layout.check_alias,
    "time_limit": _check_time_limit,
    "retired": _check_retired,
}
