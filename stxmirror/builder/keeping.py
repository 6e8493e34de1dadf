"""What a build leaves for the next one: copies that the orchestrator owns.

``/localdisk/kept/<id>/`` has what the profile names: ``reuse/`` (of the last good build: results
that the next one may take over) and ``downloads/``. No stage can write there, so nothing in it has
to be verified again: it is what lay in the workspace when the last process of the build was gone.
Equal files are kept once, by their digest, as links to one of them.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from stxmirror.builder.session import Session
from stxmirror.builder.untrusted_files import BLOCK, Unusable, expand, open_inside
from stxmirror.state.builds import dated
from stxmirror.state.files import make_directory
from stxmirror.state.paths import Paths

REUSE = "reuse"
DOWNLOADS = "downloads"
# Beside both: which build the results are of, and the digest of each file.
_ORIGIN = "reuse-of"
_DIGESTS = "digests"


def keep(session: Session, *, good: bool) -> None:
    """Keep what the profile names; of a build that failed, its downloads only.

    Results of the last good build are handed on by a build that failed. What earlier builds kept
    goes once it is not needed any more.
    """
    profile = session.profile()
    base = session.paths.kept / session.id
    part = base.with_name(f".{base.name}.part")
    make_directory(part.parent)
    # Also of a build that was killed here.
    for left in part.parent.glob(".*.part"):
        shutil.rmtree(left)
    part.mkdir()
    old = _Old(session.kept_tree)
    known: dict[str, str] = {}
    downloads = session.paths.downloads(session.project)
    copy = _Copies(session, old, known)
    for pattern in profile.downloads:
        copy.take(pattern, downloads, part / DOWNLOADS)
    if good:
        for pattern in profile.reuse:
            copy.take(pattern, session.workspace, part / REUSE)
        (part / _ORIGIN).write_text(f"{session.id}\n", encoding="ascii")
    elif old.base is not None and (old.base / REUSE).is_dir():
        shutil.copytree(old.base / REUSE, part / REUSE, copy_function=os.link)
        shutil.copy2(old.base / _ORIGIN, part / _ORIGIN)
        known.update({p: d for p, d in old.digests.items() if p.startswith(REUSE + "/")})
    lines = "".join(f"{digest}  {path}\n" for path, digest in sorted(known.items()))
    (part / _DIGESTS).write_text(lines, encoding="utf-8")
    shutil.rmtree(base, ignore_errors=True)
    part.replace(base)
    _forget_older(session, base)


def newest(paths: Paths, directory: str, previous_good: str | None) -> str:
    """Return the id of the build whose kept files the next one of a stream is shown, or nothing.

    With results only of the build that its changes are compared with: after a withdrawal, say,
    that is another. What was downloaded is as good whoever downloaded it.
    """
    ids = [f"{directory}/{date}" for date in dated(paths.kept / directory)]
    fitting = [build_id for build_id in ids if _origin(paths.kept / build_id) == previous_good]
    return (fitting or ids or [""])[-1]


def _origin(kept: Path) -> str:
    try:
        return (kept / _ORIGIN).read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return ""


def reuse_directory(session: Session) -> str:
    """Return where a build finds the results of the last good one, or nothing."""
    kept = session.kept_tree
    if kept is None or _origin(kept) != session.previous_good:
        return ""
    return str(kept / REUSE) if (kept / REUSE).is_dir() else ""


class _Old:
    """What an earlier build kept, to link to where nothing has changed."""

    def __init__(self, base: Path | None) -> None:
        self.base = base
        self.digests: dict[str, str] = {}
        if base is not None and (base / _DIGESTS).is_file():
            lines = (base / _DIGESTS).read_text(encoding="utf-8").split("\n")
            self.digests = {path: digest for digest, _, path in (x.partition("  ") for x in lines)}
        self.places = {digest: path for path, digest in self.digests.items()}

    def with_digest(self, digest: str) -> Path | None:
        """Return a kept file with this content."""
        place = self.places.get(digest)
        return self.base / place if self.base is not None and place else None


@dataclass(frozen=True)
class _Copies:
    """Takes copies of what a build names, and notes their digests in ``known``."""

    session: Session
    old: _Old
    known: dict[str, str]

    def take(self, pattern: str, source: Path, target: Path) -> None:
        """Copy what a glob matches below ``source``, or link what is the same as before."""
        for path in expand(pattern, str(source)):
            inside = Path(path).relative_to(source)
            place = target / inside
            # A link is its tools' own business, and is made again by them. A name with a line's end
            # would be another entry in the list of digests, and one in no encoding none at all.
            if Path(path).is_symlink() or not str(inside).isprintable() or place.exists():
                continue
            try:
                with open_inside(path, self.session.roots) as file:
                    place.parent.mkdir(parents=True, exist_ok=True)
                    digest = _take(file.fileno(), place)
            except Unusable:
                continue  # a socket or a pipe is nothing to keep
            same = self.old.with_digest(digest)
            # Of an empty script and an empty list only one can be executed.
            if same is not None and same.is_file() and _mode(same) == _mode(place):
                place.unlink()
                os.link(same, place)
            self.known[str(place.relative_to(target.parent))] = digest


def _take(handle: int, place: Path) -> str:
    """Copy an open file with its time and whether it can be executed; return its digest."""
    total = hashlib.sha256()
    info = os.fstat(handle)
    with place.open("wb") as out:
        while block := os.read(handle, BLOCK):
            out.write(block)
            total.update(block)
    place.chmod(0o755 if info.st_mode & 0o100 else 0o644)
    os.utime(place, ns=(info.st_atime_ns, info.st_mtime_ns))
    return total.hexdigest()


def _mode(path: Path) -> int:
    return path.stat().st_mode


def _forget_older(session: Session, base: Path) -> None:
    """Remove what earlier builds of the stream kept and the next one has no use for.

    Until this build is on the mirror, that is what the last good build left besides.
    """
    names = [date for date in dated(base.parent) if date < base.name]
    good = [date for date in names if _origin(base.parent / date) == session.previous_good]
    for date in names:
        if date not in good[-1:]:
            shutil.rmtree(base.parent / date)
