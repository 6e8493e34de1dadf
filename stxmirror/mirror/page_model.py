"""What the pages know of a build and of a stream's directory, read out of what the mirror has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from stxmirror import names
from stxmirror.layout import BuildId
from stxmirror.mirror.state import BuildState, Tombstone
from stxmirror.records import BuildRecord
from stxmirror.retention import Rule, rule_for
from stxmirror.times import format_time, parse_time

AUDIENCES = {
    "try": ("For trying out", "Tested, and kept as it is."),
    "develop": ("For developers", "Changes daily and may break."),
}


@dataclass(frozen=True)
class Known:
    """What the mirror knows of a build: its own state, and the build.json that came with it.

    ``is_signed`` says whether its list of files has a signature beside it.
    """

    state: BuildState
    record: BuildRecord
    is_signed: bool = True


@dataclass(frozen=True)
class Build:
    """One build: its id, its build.json, and what the mirror says of it."""

    id: BuildId
    record: BuildRecord
    mirrored: BuildState
    is_latest: bool
    is_signed: bool

    @property
    def path(self) -> str:
        """The build's place below the mirror's root."""
        return str(self.id)

    @property
    def page(self) -> str:
        """The place of the build's own page, as a directory."""
        return f"builds/{self.id}/"

    @property
    def withdrawn(self) -> Tombstone | None:
        """Why and when a person took the build away, or ``None``."""
        return self.mirrored.tombstone

    @property
    def is_good(self) -> bool:
        """Whether it is a success that is still there."""
        return self.record["result"] == "success" and not self.withdrawn

    @property
    def seconds(self) -> float | None:
        """How long the build took."""
        if self.record["finished"] is None:
            return None
        began, ended = parse_time(self.record["started"]), parse_time(self.record["finished"])
        return (ended - began).total_seconds()

    @property
    def started(self) -> str:
        """The build-date as a JSON time."""
        return format_time(self.id.when)

    @property
    def state(self) -> str:
        """``good``, ``partial``, ``failed`` or ``withdrawn``; the style sheet has a colour each."""
        if self.withdrawn:
            return "withdrawn"
        if self.record["result"] != "success":
            return "failed"
        return "partial" if self.record["missing"] else "good"

    @property
    def reason_in_short(self) -> str | None:
        """One line on what went wrong, ``None`` for a success."""
        if self.record["result"] == "success":
            return None
        lines = [line.strip() for line in self.record["excerpt"] if line.strip()]
        stage = self.record["failed_stage"]
        where = f"stage {stage}" if stage else "before the first stage"
        return f"{where}: {lines[-1]}" if lines else where

    def has(self, kind: str) -> bool:
        """Whether the build published files of an artifact type, in whatever phase."""
        return any(
            content["files"] > 0 and (path == kind or path.startswith(f"{kind}/"))
            for path, content in self.record["artifacts"].items()
        )


@dataclass(frozen=True)
class Directory:
    """A stream's directory with its builds, newest first."""

    path: str
    rule: Rule | None
    builds: Sequence[Build]

    @property
    def name(self) -> str:
        """What people call it: the release identifier, and what tells it from its neighbours."""
        return self.builds[0].id.identifier

    @property
    def variant(self) -> str:
        """The distro and the layer."""
        return self.path[len(self.name) + 1 :]

    @property
    def latest(self) -> Build | None:
        """The build that ``latest_build`` points at."""
        return next((build for build in self.builds if build.is_latest), None)

    @property
    def audience(self) -> str | None:
        """``try``, ``develop``, or ``None`` without a rule."""
        return self.rule.audience if self.rule else None

    @property
    def exists(self) -> bool:
        """Whether it lies in the tree: with its last build it goes as well."""
        return any(not build.withdrawn for build in self.builds)

    @property
    def is_retired(self) -> bool:
        """Whether it gets no more builds."""
        return self.rule is not None and self.rule.retired

    @property
    def kept(self) -> str:
        """The retention rule in words."""
        if self.rule is None:
            return "No stream has this directory: its builds are kept until a person decides."
        words = str(self.rule.keep)
        return (
            f"Builds are kept {words}." if words == "for ever" else f"Builds are kept for {words}."
        )


def read(
    builds: Iterable[Known],
    rules: Sequence[Rule],
    aliases: Mapping[str, Mapping[str, str]],
) -> list[Directory]:
    """Return the directories that have builds, in the order of their rules, then by name."""
    grouped: dict[str, list[Build]] = {}
    for known in builds:
        build = known.state.id
        latest = aliases.get(build.directory, {}).get(names.LATEST)
        grouped.setdefault(build.directory, []).append(
            Build(build, known.record, known.state, build.build_date == latest, known.is_signed)
        )
    directories = [
        Directory(
            path,
            rule_for(rules, path),
            sorted(group, key=lambda build: build.id.build_date, reverse=True),
        )
        for path, group in grouped.items()
    ]
    order = {rule.stream: number for number, rule in enumerate(rules)}

    def rank(directory: Directory) -> tuple[int, str]:
        place = order.get(directory.rule.stream, len(order)) if directory.rule else len(order)
        return place, directory.path

    return sorted(directories, key=rank)


def newest_first(directories: Sequence[Directory]) -> list[Build]:
    """Return every build of a mirror, newest first; of the same moment by id."""
    everything = [build for directory in directories for build in directory.builds]
    everything.sort(key=lambda build: build.path)
    everything.sort(key=lambda build: build.id.build_date, reverse=True)
    return everything
