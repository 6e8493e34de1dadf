"""Where on the mirror the bytes of a SHA-256 already lie, and when they were last read.

The index is a convenience: it can be dropped at any time and is read back from the SHA256SUMS of
the tree, without reading a file; bytes that it has no reading of are read before they are used.
What cannot be written to it now, because the disk is full, is caught up by a later run: least of
all may it stop a prune.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from stxmirror import names
from stxmirror.errors import StxMirrorError
from stxmirror.mirror import identity, manifest
from stxmirror.mirror.identity import Identity, Reading, Step

# An index of another version is dropped.
_VERSION = 2
_SCHEMA = f"""
begin;
drop table if exists files;
drop table if exists builds;
drop table if exists copies;
create table files (
    sha256 text not null, size integer not null, build text not null, path text not null
);
create index files_sha256 on files (sha256, size);
create index files_build on files (build);
create table builds (id text primary key);
create table copies (
    inode integer primary key, sha256 text not null, size integer not null,
    mtime integer not null, ctime integer not null, intact integer not null, read text
);
create index copies_sha256 on copies (sha256);
pragma user_version = {_VERSION};
commit;
"""


class Copy(NamedTuple):
    """What is known of one inode: its bytes, its identity when they were last read, the verdict.

    ``read`` is the JSON time at which the bytes were last found intact, if they ever were.
    """

    sha256: str
    identity: Identity
    is_intact: bool
    read: str | None


class Index:
    """The index of one store; used under the store's lock, as a context manager."""

    def __init__(self, state: Path, public: Path) -> None:
        """Open the index in ``state`` that tells of the tree ``public``."""
        self._public = str(public)
        self._db = sqlite3.connect(state / "index.sqlite3")
        # The store's lock keeps others out: taking SQLite's for each of thousands of look-ups too
        # would cost more than they do.
        self._db.execute("pragma locking_mode = exclusive")
        if self._db.execute("pragma user_version").fetchone()[0] != _VERSION:
            self._db.executescript(_SCHEMA)

    def __enter__(self) -> Index:
        """Use it."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it; what was not committed is gone."""
        self._db.close()

    def follow(self, published: set[str]) -> None:
        """Take in the builds that it lacks, and drop those that are no longer there."""
        known = {row[0] for row in self._db.execute("select id from builds")}
        for build_id in sorted(known - published):
            self.drop(build_id)
        for build_id in sorted(published - known):
            self._read_back(build_id)

    def add(self, build_id: str, files: Iterable[tuple[str, str, int]]) -> None:
        """Take in a build's files, each ``(path, sha256, size)``."""
        with contextlib.suppress(sqlite3.OperationalError), self._db:
            self._db.execute("delete from files where build = ?", (build_id,))
            self._db.executemany(
                "insert into files (sha256, size, build, path) values (?, ?, ?, ?)",
                ((sha256, size, build_id, path) for path, sha256, size in files),
            )
            self._db.execute("insert or replace into builds (id) values (?)", (build_id,))

    def drop(self, build_id: str) -> None:
        """Forget a build."""
        with contextlib.suppress(sqlite3.OperationalError), self._db:
            self._db.execute(
                "delete from copies where sha256 in (select sha256 from files where build = ?)"
                " and not exists (select 1 from files"
                " where files.sha256 = copies.sha256 and files.build <> ?)",
                (build_id, build_id),
            )
            self._db.execute("delete from files where build = ?", (build_id,))
            self._db.execute("delete from builds where id = ?", (build_id,))

    def find(self, sha256: str, size: int | None = None) -> Iterator[tuple[str, Identity]]:
        """Yield a place of each inode that should have these bytes, of the newest build first.

        Whoever takes the first one pays for one row, however many builds have the bytes.
        """
        seen = set()
        if size is None:
            rows = self._rows("sha256 = ?", sha256)
        else:
            rows = self._rows("sha256 = ? and size = ?", sha256, size)
        for _, _, path in rows:
            with contextlib.suppress(OSError):
                status = os.lstat(path)
                found = Identity.of(status)
                is_usable = stat.S_ISREG(status.st_mode) and size in (None, status.st_size)
                if is_usable and found.inode not in seen:
                    seen.add(found.inode)
                    yield path, found

    def sharing(self, sha256: str, inode: int | None) -> list[tuple[str, str]]:
        """Return every ``(build, path)`` of these bytes that this inode lies at.

        ``None`` stands for no inode: the places where there is nothing at all.
        """
        found = []
        for build_id, name, path in self._rows("sha256 = ?", sha256):
            try:
                here: int | None = Identity.of(os.lstat(path)).inode
            except FileNotFoundError:
                here = None
            if here == inode:
                found.append((build_id, name))
        return sorted(found)

    def verdict(self, found: Identity, sha256: str) -> bool | None:
        """Say whether a file of this identity has these bytes, ``None`` if it must be read first.

        ``True`` is said of what was read and not touched by others since, ``False`` of damage.
        """
        row = self._db.execute(
            "select intact from copies where inode = ? and size = ? and mtime = ? and ctime = ?"
            " and sha256 = ?",
            (*found, sha256),
        ).fetchone()
        return None if row is None else bool(row[0])

    def copy(self, inode: int) -> Copy | None:
        """Return what is known of an inode."""
        row = self._db.execute(f"{_COPIES} where inode = ?", (inode,)).fetchone()
        return None if row is None else _copy(row)

    def copies(self) -> dict[int, Copy]:
        """Return what is known of every inode."""
        return {copy.identity.inode: copy for copy in map(_copy, self._db.execute(_COPIES))}

    def note(self, readings: Iterable[Reading], when: str) -> None:
        """Keep what was read at ``when`` (a JSON time); a damaged copy keeps its last good time."""
        rows = []
        for reading in readings:
            found = reading.identity
            if found is None:
                continue  # touched while it was read: it is read again before it is used
            read: str | None = when
            if not reading.is_intact:
                known = self.copy(found.inode)
                read = known.read if known and known.sha256 == reading.sha256 else None
            rows.append((*found, reading.sha256, reading.is_intact, read))
        with contextlib.suppress(sqlite3.OperationalError), self._db:
            self._db.executemany(
                "insert or replace into copies (inode, size, mtime, ctime, sha256, intact, read)"
                " values (?, ?, ?, ?, ?, ?, ?)",
                rows,
            )

    def follow_steps(self, steps: Iterable[Step]) -> None:
        """Take in what this program did to ctimes, where nobody else changed them before."""
        with contextlib.suppress(sqlite3.OperationalError), self._db:
            self._db.executemany(
                "update copies set ctime = ? where inode = ? and ctime = ?",
                ((step.after, step.inode, step.before) for step in identity.joined(steps)),
            )

    def _rows(self, where: str, *values: object) -> Iterator[tuple[str, str, str]]:
        # The index on sha256 and size has the rows of one content in the order of their ids.
        rows = self._db.execute(
            f"select build, path from files where {where} order by rowid desc",  # noqa: S608
            values,
        )
        for build_id, name in rows:
            yield build_id, name, f"{self._public}/{build_id}/{name}"

    def _read_back(self, build_id: str) -> None:
        directory = Path(self._public, build_id)
        files = []
        try:
            sums = manifest.parse_sums((directory / names.SUMS).read_bytes())
        except (OSError, StxMirrorError):
            return  # `mirrorctl verify` is what tells of it
        for path, sha256 in sums.items():
            with contextlib.suppress(OSError):
                files.append((path, sha256, os.lstat(directory / path).st_size))
        self.add(build_id, files)


_COPIES = "select sha256, inode, size, mtime, ctime, intact, read from copies"


def _copy(row: tuple[str, int, int, int, int, int, str | None]) -> Copy:
    sha256, inode, size, mtime, ctime, intact, read = row
    return Copy(sha256, Identity(inode, size, mtime, ctime), bool(intact), read)


def drop_damaged(state: Path) -> None:
    """Delete an index that SQLite cannot read; the next run reads it back from the tree."""
    for suffix in ("", "-journal", "-wal", "-shm"):
        (state / f"index.sqlite3{suffix}").unlink(missing_ok=True)
