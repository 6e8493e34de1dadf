"""One build, found by its id: its places, its record, and what its parts leave for each other.

All of it lies in ``/var/lib/stx-mirror/builds/<id>/``: ``build.json`` (the record),
``session.json`` (places and what was asked for, never published), ``profile.json``,
``sources.json``, ``CONTEXT``, and ``failure.json`` once a part has failed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, cast

from stxmirror import names, parts, records
from stxmirror.builder.sandbox import RealSandbox, Sandbox
from stxmirror.errors import StxMirrorError
from stxmirror.layout import BuildId
from stxmirror.profiles import Profile, check_profile
from stxmirror.records import BuildRecord
from stxmirror.state.events import Reporter
from stxmirror.state.files import read_json, write_json
from stxmirror.state.paths import Paths


def now() -> datetime:
    """Return the current time, aware, in UTC."""
    return datetime.now(timezone.utc)


class PartFailed(StxMirrorError):
    """A part of a build failed; ``excerpt`` are the lines that show it, ``part`` a stage's name."""

    def __init__(self, why: str, excerpt: Sequence[str] = (), part: str | None = None) -> None:
        """Keep all three."""
        super().__init__(why)
        self.excerpt = list(excerpt)
        self.part = part


@dataclass(frozen=True)
class Failure:
    """Why a build fails: the part, one sentence, and the lines that show it."""

    part: str
    why: str
    excerpt: list[str]


@dataclass(frozen=True)
class Session:
    """A build that was opened.

    ``stream`` is what profiles may name of the stream (:func:`stxmirror.streams.facts_for`),
    ``kept`` the id of the build whose kept files this one may take over, or empty.
    """

    paths: Paths
    id: str
    ref: str
    stream: Mapping[str, Any]
    workspace: Path
    parent: str | None
    from_stage: str
    previous_good: str | None
    kept: str
    # How a test gives a sandbox of its own.
    make_sandbox: Callable[..., Sandbox] = RealSandbox

    @classmethod
    def load(cls, paths: Paths, build_id: str) -> Session:
        """Return the build with this id, or raise if this host has no record of it."""
        content = read_json(paths.session(build_id))
        if content is None or read_json(paths.record(build_id)) is None:
            raise StxMirrorError(
                f"this host has no record of a build {build_id}: name one that `stx-mirror status` "
                f"shows or that lies in {paths.builds}"
            )
        try:
            return cls(
                paths=paths,
                id=build_id,
                ref=content["ref"],
                stream=content["stream"],
                workspace=Path(content["workspace"]),
                parent=content["parent"],
                from_stage=content["from_stage"],
                previous_good=content["previous_good"],
                kept=content["kept"],
            )
        except (KeyError, TypeError) as error:
            raise StxMirrorError(
                f"{paths.session(build_id)} is of another version ({error}): build anew"
            ) from error

    def write(self) -> None:
        """Write down where the build works."""
        write_json(
            self.paths.session(self.id),
            {
                "ref": self.ref,
                "stream": dict(self.stream),
                "workspace": str(self.workspace),
                "logs": str(self.logs),
                "parent": self.parent,
                "from_stage": self.from_stage,
                "previous_good": self.previous_good,
                "kept": self.kept,
            },
        )

    @property
    def directory(self) -> Path:
        """Where all that is known of the build lies."""
        return self.paths.build(self.id)

    @property
    def _profile(self) -> Path:
        return self.directory / "profile.json"

    @property
    def _failure(self) -> Path:
        return self.directory / "failure.json"

    @property
    def project(self) -> str:
        """The name that the branch's directories on this host carry."""
        return str(self.stream["project"])

    @property
    def sources(self) -> Path:
        """The checkout (StarlingX's MY_REPO_ROOT_DIR)."""
        return self.paths.sources(self.project)

    @property
    def logs(self) -> Path:
        """Where the stages' own logs are."""
        return self.workspace / "logs"

    @property
    def tree(self) -> Path:
        """Where the build is collected."""
        return self.paths.trees / self.id

    @property
    def kept_tree(self) -> Path | None:
        """What the build may take over of earlier ones."""
        return self.paths.kept / self.kept if self.kept else None

    @property
    def reporter(self) -> Reporter:
        """Who tells people how far the build is."""
        return Reporter.of(self.paths, self.project)

    @property
    def sandbox(self) -> Sandbox:
        """Where what the build runs is shut in."""
        return self.make_sandbox(
            self.paths.run_as_builder, self.project, self.workspace.name, self.kept
        )

    @property
    def roots(self) -> list[Path]:
        """The directories that a file which the build names may really lie in."""
        return [self.workspace, self.sources, self.paths.downloads(self.project)]

    def record(self) -> BuildRecord:
        """Return the record as it is on the disk."""
        content = read_json(self.paths.record(self.id))
        if content is None:
            raise StxMirrorError(f"{self.paths.record(self.id)} is gone or damaged: build anew")
        return cast(BuildRecord, content)

    def save(self, record: BuildRecord) -> None:
        """Replace the record."""
        write_json(self.paths.record(self.id), record, mode=0o644)

    def profile(self) -> Profile:
        """Return the build's profile, as it was when the build was opened."""
        content = read_json(self._profile)
        if content is None:
            raise StxMirrorError(f"{self._profile} is gone or damaged: build anew")
        return check_profile(content, self.profile_roots)

    def keep_profile(self, profile: Profile) -> None:
        """Write down the build's profile."""
        write_json(self._profile, profile.as_dict())

    @property
    def profile_roots(self) -> list[str]:
        """What an absolute path in a profile may begin with, as a stage sees it."""
        return [str(self.workspace), str(self.sources), str(self.paths.inputs)]

    @property
    def context_file(self) -> Path:
        """CONTEXT, once the sources are complete."""
        return self.directory / Path(names.CONTEXT).name

    def context(self) -> str | None:
        """Return CONTEXT; ``None`` for a build that failed before its sources were complete."""
        try:
            return self.context_file.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None

    @contextmanager
    def part(self, word: str) -> Iterator[None]:
        """Do a part of the build: report it, and keep why it failed."""
        try:
            with self.reporter.part(word):
                yield
        except Exception as error:
            self.fail(word, error)
            raise

    def fail(self, word: str, error: Exception) -> None:
        """Keep why a part failed, for whoever closes the build."""
        known = isinstance(error, (StxMirrorError, OSError))
        why = str(error) if known else f"{type(error).__name__}: {error}"
        given = error if isinstance(error, PartFailed) else PartFailed(why)
        content = {
            "part": given.part or word,
            "why": why,
            "excerpt": given.excerpt or why.split("\n"),
        }
        write_json(self._failure, content)

    def failure(self) -> Failure | None:
        """Return why the build fails, if a part has said so."""
        content = read_json(self._failure)
        return Failure(**content) if content else None


def close_success(session: Session) -> BuildRecord:
    """Close the build as a success; what is found wrong later still makes it a failure."""
    closed = records.close(session.record(), result="success", finished=now())
    session.save(closed)
    return closed


def close_failure(session: Session, why: str) -> BuildRecord:
    """Close the build as a failure. ``why`` counts only if no part has kept a better reason."""
    failure = session.failure() or Failure("open", why, why.split("\n"))
    record = session.record()
    closed = records.close(
        record,
        result="fail",
        finished=now(),
        failed_stage=record["failed_stage"] or failure.part,
        excerpt=failure.excerpt,
    )
    session.save(closed)
    return closed


def set_profile(session: Session, profile: Mapping[str, Any]) -> None:
    """Check the rendered profile of a build and keep it."""
    checked = check_profile(profile, session.profile_roots)
    stages = [stage.name for stage in checked.stages]
    # A person could not tell a stage and another part of one name apart.
    taken = sorted(set(stages) & set(parts.WORDS))
    if taken:
        raise StxMirrorError(
            f"profile {checked.name} has a stage {', '.join(taken)}, and other parts of a build "
            f"are called {', '.join(parts.WORDS)}: rename the stage"
        )
    allowed = parts.resumable(stages)
    if session.from_stage and session.from_stage not in allowed:
        raise StxMirrorError(
            f"profile {checked.name} has no stage {session.from_stage!r}: resume from one of "
            f"{', '.join(allowed)}"
        )
    session.keep_profile(checked)


def discard(session: Session) -> None:
    """Take back a build that has nothing new to build: its workspace and its record."""
    if session.parent is None:
        session.sandbox.remove()
    for file in sorted(session.directory.iterdir()):
        file.unlink()
    session.directory.rmdir()


def free_bytes(path: Path) -> int:
    """Return the room on the file system that a path is on, or would be."""
    while not path.exists():
        path = path.parent
    volume = os.statvfs(path)
    return volume.f_bavail * volume.f_frsize


def build_date(build_id: str) -> str:
    """Return the build-date of a build."""
    return BuildId.parse(build_id).build_date
