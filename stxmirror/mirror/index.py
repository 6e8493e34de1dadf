"""Where on the mirror the bytes of a SHA-256 already lie.

The index is a convenience: it can be dropped at any time and is read back from the SHA256SUMS of
the tree; a line of it counts only while the file is there with its size. What cannot be written to
it now, because the disk is full, is caught up by a later run: least of all may it stop a prune.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType

from stxmirror import names
from stxmirror.errors import StxMirrorError
from stxmirror.mirror import manifest

_SCHEMA = """
create table if not exists files (
    sha256 text not null, size integer not null, build text not null, path text not null
);
create index if not exists files_sha256 on files (sha256, size);
create index if not exists files_build on files (build);
create table if not exists builds (id text primary key);
"""


class Index:
    """The index of one store; used under the store's lock, as a context manager."""

    def __init__(self, state: Path, public: Path) -> None:
        """Open the index in ``state`` that tells of the tree ``public``."""
        self._public = public
        self._db = sqlite3.connect(state / "index.sqlite3")
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
            self._db.execute("delete from files where build = ?", (build_id,))
            self._db.execute("delete from builds where id = ?", (build_id,))

    def find(self, sha256: str, size: int) -> Iterator[Path]:
        """Yield the published files that have these bytes, whatever build they belong to."""
        rows = self._db.execute(
            "select build, path from files where sha256 = ? and size = ?", (sha256, size)
        ).fetchall()
        for build_id, path in rows:
            found = self._public / build_id / path
            with contextlib.suppress(OSError):
                status = os.lstat(found)
                if stat.S_ISREG(status.st_mode) and status.st_size == size:
                    yield found

    def _read_back(self, build_id: str) -> None:
        directory = self._public / build_id
        files = []
        try:
            sums = manifest.parse_sums((directory / names.SUMS).read_bytes())
        except (OSError, StxMirrorError):
            return  # `mirrorctl verify` is what tells of it
        for path, sha256 in sums.items():
            with contextlib.suppress(OSError):
                files.append((path, sha256, os.lstat(directory / path).st_size))
        self.add(build_id, files)


def drop_damaged(state: Path) -> None:
    """Delete an index that SQLite cannot read; the next run reads it back from the tree."""
    for suffix in ("", "-journal", "-wal", "-shm"):
        (state / f"index.sqlite3{suffix}").unlink(missing_ok=True)
