"""Streams: which branches and tags are built, under which policy, into which directory.

The inventory's list is read and checked as a whole, so that a mistake in it is one clear message
before anything is built, and two streams can never write into one directory.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stxmirror import layout
from stxmirror.errors import StxMirrorError
from stxmirror.retention import check_keep

DEFAULT_TIME_LIMIT = 21600
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

_REQUIRED = (
    "name",
    "match",
    "profile",
    "distro",
    "manifest",
    "retention",
    "audience",
    "description",
)
_OPTIONAL = (
    "identifier",
    "layer",
    "schedule",
    "image_tag",
    "legacy_alias",
    "time_limit",
    "retired",
)
_EXACT_ONLY = ("identifier", "schedule", "image_tag", "legacy_alias")


@dataclass(frozen=True)
class Stream:
    """One checked entry of the inventory's ``streams``; times are seconds."""

    name: str
    match: str
    profile: str
    distro: str
    manifest: Mapping[str, str]
    retention: Mapping[str, Any]
    audience: str
    description: str
    identifier: str | None = None
    layer: str | None = None
    schedule: str | None = None
    image_tag: str | None = None
    legacy_alias: str | None = None
    time_limit: int = DEFAULT_TIME_LIMIT
    retired: bool = False

    @property
    def is_pattern(self) -> bool:
        """Whether the stream stands for every ref that begins like its ``match``."""
        return self.match.endswith("*")

    @property
    def directory(self) -> str:
        """The stream's directory on the mirror; a pattern's has its ``*`` in the name."""
        if not self.is_pattern:
            return directory_for(self, self.match)
        # The `x` completes a prefix such as `f/` to a ref, and is taken off again.
        identifier = layout.release_identifier(self.match[:-1] + "x")
        return "/".join(p for p in (identifier[:-1] + "*", self.distro, self.layer) if p)

    def as_dict(self) -> dict[str, Any]:
        """Return the stream as plain values, every default filled in."""
        return {
            **{key: getattr(self, key) for key in (*_REQUIRED, *_OPTIONAL)},
            "manifest": dict(self.manifest),
            "retention": dict(self.retention),
        }


def check_streams(entries: Sequence[Mapping[str, Any]]) -> list[Stream]:
    """Return the streams of the inventory, or raise one error that names every problem."""
    if isinstance(entries, (str, Mapping)) or not isinstance(entries, Sequence):
        raise StxMirrorError("`streams` is not a list: write one entry for each stream")
    problems: list[str] = []
    streams: list[Stream] = []
    for number, entry in enumerate(entries, start=1):
        if not isinstance(entry, Mapping):
            problems.append(f"stream {number} is not a mapping")
            continue
        label = f"stream {entry.get('name') or number}"
        found = _entry_problems(entry)
        problems.extend(f"{label}: {problem}" for problem in found)
        if not found:
            streams.append(_stream(entry))
    problems.extend(_conflicts(streams))
    if problems:
        raise StxMirrorError(
            f"the streams have {_count(len(problems), 'problem')}: {'; '.join(problems)}"
        )
    return streams


def _stream(entry: Mapping[str, Any]) -> Stream:
    given = {key: entry[key] for key in (*_REQUIRED, *_OPTIONAL) if entry.get(key) is not None}
    manifest = {str(key): str(value) for key, value in entry["manifest"].items()}
    return Stream(
        **{**given, "manifest": manifest, "retention": check_keep(entry["retention"])},
    )


def _entry_problems(entry: Mapping[str, Any]) -> list[str]:
    problems = [f"`{key}` is missing" for key in _REQUIRED if entry.get(key) in (None, "")]
    problems += [
        f"`{key}` is not a setting of a stream (known: {', '.join((*_REQUIRED, *_OPTIONAL))})"
        for key in entry
        if key not in _REQUIRED and key not in _OPTIONAL
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


def _conflicts(streams: Sequence[Stream]) -> list[str]:
    problems = []
    kinds = {stream.directory.partition("/")[0] for stream in streams}
    aliases: dict[str, str] = {}
    for index, stream in enumerate(streams):
        for other in streams[:index]:
            pair = f"streams {other.name} and {stream.name}"
            if stream.name == other.name:
                problems.append(f"two streams are called {stream.name}: give each its own name")
            if stream.match == other.match:
                problems.append(f"{pair} both match {stream.match!r}: each ref has one stream")
            elif _share(stream, other, _directories):
                problems.append(
                    f"{pair} can share the directory {_narrower(stream, other).directory}: "
                    "give one another `identifier`, `distro` or `layer`"
                )
            elif _share(stream, other, _projects):
                problems.append(
                    f"{pair} would share a work directory on the build host, where '/' becomes "
                    "'-': rename one of the refs"
                )
        alias = stream.legacy_alias
        if alias in aliases or alias in kinds:
            problems.append(
                f"stream {stream.name}: `legacy_alias` {alias!r} is already "
                f"{'that of ' + aliases[alias] if alias in aliases else 'a directory'}"
            )
        elif alias is not None:
            aliases[alias] = stream.name
    return problems


def _directories(stream: Stream) -> str:
    return stream.directory


def _projects(stream: Stream) -> str:
    return stream.match.replace("/", "-")


def _narrower(one: Stream, other: Stream) -> Stream:
    return other if one.is_pattern else one


def _share(one: Stream, other: Stream, place_of: Any) -> bool:
    """Whether some ref of one stream gets the same place as another ref of the other.

    A ref that both could match belongs to one of them alone (see :func:`stream_for`), and refs
    under one pattern keep distinct places, so two patterns never share one.
    """
    if one.is_pattern and other.is_pattern:
        return False
    narrow = _narrower(one, other)
    wide = other if narrow is one else one
    place = place_of(narrow)
    if not wide.is_pattern:
        return place == place_of(wide)
    prefix, _, suffix = place_of(wide).partition("*")
    name = place[len(prefix) : len(place) - len(suffix)]
    fits = place.startswith(prefix) and place.endswith(suffix) and name and "/" not in name
    return bool(fits) and narrow.match != wide.match[:-1] + name


def stream_for(streams: Sequence[Stream], ref: str) -> Stream:
    """Return the stream that builds a ref: the exact match, else the longest pattern."""
    layout.check_ref(ref)
    for stream in streams:
        if stream.match == ref:
            return stream
    fitting = [s for s in streams if s.is_pattern and _fits(s, ref)]
    if fitting:
        return max(fitting, key=lambda stream: len(stream.match))
    try:
        layout.release_identifier(ref)
    except StxMirrorError as problem:
        raise StxMirrorError(f"no stream builds {ref!r}: {problem}") from problem
    known = ", ".join(f"{stream.name} ({stream.match})" for stream in streams) or "none"
    raise StxMirrorError(
        f"no stream builds {ref!r}: name a ref of one of the known streams ({known}), "
        "or add a stream for it to the inventory"
    )


def _fits(stream: Stream, ref: str) -> bool:
    prefix = stream.match[:-1]
    return ref.startswith(prefix) and len(ref) > len(prefix) and "/" not in ref[len(prefix) :]


def identifier_for(stream: Stream, ref: str) -> str:
    """Return the release identifier that builds of ``ref`` get in their stream."""
    if stream.identifier is not None:
        return layout.check_identifier(stream.identifier)
    return layout.release_identifier(ref)


def directory_for(stream: Stream, ref: str) -> str:
    """Return the directory on the mirror that builds of ``ref`` go to."""
    return layout.stream_directory(identifier_for(stream, ref), stream.distro, stream.layer)


def mirror_rules(streams: Sequence[Stream]) -> list[dict[str, Any]]:
    """Return what the mirror needs of the streams: a retention rule for each directory.

    A pattern's ``directory`` has a ``*`` for the rest of one name; of several rules that fit, the
    one without a ``*``, else the longest, counts (:func:`stxmirror.retention.rule_for`).
    """
    return [
        {
            "stream": stream.name,
            "directory": stream.directory,
            "keep": dict(stream.retention),
            "audience": stream.audience,
            "description": stream.description,
            "legacy_alias": _alias_of(stream),
            "retired": stream.retired,
        }
        for stream in streams
    ]


def _alias_of(stream: Stream) -> str | None:
    if stream.legacy_alias is not None or stream.is_pattern:
        return stream.legacy_alias
    return layout.legacy_alias(identifier_for(stream, stream.match))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
