"""What is known to be wrong with published builds, as ``state/verify.json`` has it.

Written by `mirrorctl verify`, and by publishing when it meets damage; read by `mirrorctl repair`,
by `begin` for a build with holes, and by `stx-watch`. A file that is lost or unreadable costs
nothing but a run of `verify`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace

from stxmirror import fields
from stxmirror.mirror import fs, log
from stxmirror.mirror.identity import Reading
from stxmirror.mirror.index import Index
from stxmirror.mirror.store import Store
from stxmirror.times import format_time

_FILE = "verify.json"
_SHOWN = 5

# What a problem can be: of the bytes, which only an intact copy mends; of the tree, which the
# mirror can put right alone; something that only a person can judge; or of what the mirror knows.
BYTES, TREE, FOREIGN, STATE = "bytes", "tree", "foreign", "state"


@dataclass(frozen=True)
class Problem:
    """Something that is not as it was published.

    ``id`` is the build, ``None`` for what lies outside of them; ``found`` the JSON time at which
    it was noticed, ``since`` that at which damaged bytes were last read intact, if it is known.
    """

    id: str | None
    path: str
    kind: str
    why: str
    found: str
    since: str | None = None

    @classmethod
    def parse(cls, raw: object, what: str) -> Problem:
        """Read one, or raise."""
        entry = fields.mapping(raw, what)
        return cls(
            id=fields.optional(entry, "id", str, what),
            path=fields.required(entry, "path", str, what),
            kind=fields.required(entry, "kind", str, what),
            why=fields.required(entry, "why", str, what),
            found=fields.required(entry, "found", str, what),
            since=fields.optional(entry, "since", str, what),
        )

    def to_json(self) -> dict[str, object]:
        """Return what :meth:`parse` reads."""
        return {
            "id": self.id,
            "path": self.path,
            "kind": self.kind,
            "why": self.why,
            "found": self.found,
            "since": self.since,
        }


@dataclass(frozen=True)
class Health:
    """The problems, and how far the reading has come.

    ``checked`` is when a run last looked at all builds, ``days`` within how many every byte is to
    be read, ``oldest`` when the bytes that were read longest ago were read, and ``unread`` the
    number of files that were never read since the index was made. Times are JSON times.
    """

    checked: str | None = None
    days: float | None = None
    oldest: str | None = None
    unread: int = 0
    problems: tuple[Problem, ...] = ()

    def holes(self, build_id: str) -> set[str]:
        """Return the paths of a build whose bytes are known to be damaged or gone."""
        return {item.path for item in self.problems if (item.id, item.kind) == (build_id, BYTES)}


def load(store: Store) -> Health:
    """Return what is known; nothing, if the file is not there or damaged."""
    path = store.config.state / _FILE
    try:
        raw = fields.mapping(json.loads(path.read_bytes()), str(path))
        return Health(
            checked=fields.optional(raw, "checked", str, str(path)),
            days=None if raw.get("days") is None else fields.number(raw, "days", str(path)),
            oldest=fields.optional(raw, "oldest", str, str(path)),
            unread=fields.required(raw, "unread", int, str(path)),
            problems=tuple(
                Problem.parse(item, str(path)) for item in fields.items(raw, "problems", str(path))
            ),
        )
    except FileNotFoundError:
        return Health()
    except (ValueError, RecursionError):
        return Health()  # the next `mirrorctl verify` writes it anew


def save(store: Store, health: Health) -> None:
    """Replace what is known; under the store's lock."""
    content = {
        "checked": health.checked,
        "days": health.days,
        "oldest": health.oldest,
        "unread": health.unread,
        "problems": [problem.to_json() for problem in health.problems],
    }
    data = (json.dumps(content, indent=1) + "\n").encode("ascii")
    fs.write_file(store.config.state / _FILE, data, store.scratch)


def forget(store: Store, mended: Iterable[tuple[str, str]]) -> None:
    """Drop the problems of what was mended, each ``(build, path)``; under the store's lock."""
    gone = set(mended)
    _keep(store, lambda item: (item.id, item.path) not in gone)


def forget_builds(store: Store, builds: Collection[str]) -> None:
    """Drop the problems of builds that leave the tree; under the store's lock."""
    _keep(store, lambda item: item.id not in builds)


def _keep(store: Store, is_left: Callable[[Problem], bool]) -> None:
    health = load(store)
    left = tuple(item for item in health.problems if is_left(item))
    if left != health.problems:
        save(store, replace(health, problems=left))


def record(store: Store, index: Index, readings: Iterable[Reading]) -> None:
    """Keep what publishing read; damage is named, with every build that has it."""
    readings = list(readings)
    when = format_time(store.now)
    index.note(readings, when)
    found: list[Problem] = []
    for reading in readings:
        if not reading.is_intact and reading.identity:
            found += damaged(index, reading.sha256, reading.identity.inode, when)
    health = load(store)
    known = {(item.id, item.path) for item in health.problems}
    new = [item for item in found if (item.id, item.path) not in known]
    if not new:
        return
    save(store, replace(health, problems=(*health.problems, *new)))
    log.note(store, "damage", problems=[item.to_json() for item in new])
    places = [f"{item.id}/{item.path}" for item in new]
    more = f" and {len(places) - _SHOWN} more" if len(places) > _SHOWN else ""
    print(
        "mirrorctl: warning: damaged on this mirror, and not used: "
        f"{', '.join(places[:_SHOWN])}{more}: run `mirrorctl repair` there",
        file=sys.stderr,
    )


def damaged(index: Index, sha256: str, inode: int, when: str) -> list[Problem]:
    """Return a problem for each place of an inode that should be ``sha256`` and is not.

    ``when`` is the JSON time at which that was found.
    """
    known = index.copy(inode)
    return [
        Problem(
            id=build_id,
            path=path,
            kind=BYTES,
            why="its bytes are not the published ones",
            found=when,
            since=known.read if known and known.sha256 == sha256 else None,
        )
        for build_id, path in index.sharing(sha256, inode)
    ]
