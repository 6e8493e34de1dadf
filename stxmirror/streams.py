"""Streams: which branches and tags are built, under which policy, into which directory.

The inventory's list is read and checked as a whole, so that a mistake in it is one clear message
before anything is built, and two streams can never write into one directory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from stxmirror import images, layout, schema
from stxmirror.errors import StxMirrorError
from stxmirror.stream_entries import SCHEMA_NAME, entry_problems, given


@dataclass(frozen=True)
class Stream:
    """One entry of the inventory's ``streams``, made by :func:`check_streams` alone.

    Times are seconds. The keys, their defaults and what they mean are those of
    ``schemas/stream-1.schema.json``.
    """

    name: str
    match: str
    profile: str
    distro: str
    manifest: Mapping[str, str]
    retention: Mapping[str, Any]
    audience: str
    description: str
    identifier: str | None
    layer: str | None
    schedule: str | None
    image_tag: str | None
    legacy_alias: str | None
    time_limit: int
    retired: bool

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
        return asdict(self)


def check_streams(entries: Sequence[Mapping[str, Any]]) -> list[Stream]:
    """Return the streams of the inventory, or raise one error that names every problem."""
    if isinstance(entries, (str, Mapping)) or not isinstance(entries, Sequence):
        raise StxMirrorError("`streams` is not a list: write one entry for each stream")
    problems: list[str] = []
    streams: list[Stream] = []
    for number, entry in enumerate(entries, start=1):
        if not isinstance(entry, Mapping):
            problems.append(
                f"stream {number} is not a mapping: write its keys, beginning with name and match"
            )
            continue
        said = given(entry)
        found = entry_problems(said)
        problems.extend(f"stream {said.get('name', number)}: {problem}" for problem in found)
        if not found:
            streams.append(Stream(**schema.completed(said, schema.load(SCHEMA_NAME))))
    problems.extend(_conflicts(streams))
    if problems:
        raise StxMirrorError(
            f"the streams have {_count(len(problems), 'problem')}: {'; '.join(problems)}"
        )
    return streams


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


def _share(one: Stream, other: Stream, place_of: Callable[[Stream], str]) -> bool:
    """Whether some ref of one stream gets the same place as another ref of the other.

    A ref that both could match belongs to one of them alone (see :func:`stream_for`), and refs
    under one pattern keep distinct places, so two patterns never share one.
    """
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


def facts_for(entries: Sequence[Mapping[str, Any]], ref: str) -> dict[str, Any]:
    """Return the stream of the inventory that builds a ref, and all that follows from the ref.

    Beside the stream's own keys: ``ref``, ``identifier`` and ``directory`` (on the mirror),
    ``project`` (the name of its directories on the build host), ``image_prefix`` (of image tags).
    """
    stream = stream_for(check_streams(entries), ref)
    return {
        **stream.as_dict(),
        "manifest": {"branch": ref, **stream.manifest},
        "ref": ref,
        "identifier": identifier_for(stream, ref),
        "directory": directory_for(stream, ref),
        "project": layout.project_name(ref),
        "image_prefix": images.tag_prefix(ref, stream.image_tag),
    }


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
