"""Reading the published bytes again: what the disk has done to them since."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from stxmirror import names
from stxmirror.errors import StxMirrorError
from stxmirror.layout import BuildId
from stxmirror.mirror import damage, fs, manifest
from stxmirror.mirror.store import Store

_CHUNK = 1024 * 1024


def verify(store: Store, build: BuildId | None) -> dict[str, object]:
    """Compare one build, or all of them, with their SHA256SUMS; change nothing.

    Bytes that several builds share are read once.
    """
    store.prepare()
    published = store.published()
    if build is not None:
        if str(build) not in published:
            raise StxMirrorError(f"{build} is not on this mirror: `mirrorctl list` shows what is")
        published = {str(build)}
    read: dict[tuple[int, int], str] = {}
    problems = damage.problems(store, published)
    if build is not None:
        problems = [problem for problem in problems if problem["id"] == str(build)]
    for build_id in sorted(published):
        directory = store.path(build_id)
        found = _problems(BuildId.parse(build_id), directory, read)
        # A build that was pruned meanwhile is no fault of the disk.
        if directory.is_dir():
            problems += [{"id": build_id, "path": path, "why": why} for path, why in found]
    return {"verified": len(published), "problems": problems}


def _problems(
    build: BuildId, directory: Path, read: dict[tuple[int, int], str]
) -> list[tuple[str, str]]:
    try:
        sums = manifest.parse_sums((directory / names.SUMS).read_bytes())
    except (OSError, StxMirrorError) as error:
        return [(names.SUMS, str(error))]
    found = []
    for path, sha256 in sorted(sums.items()):
        try:
            if _sha256(directory / path, read) != sha256:
                found.append((path, "its bytes are not the published ones"))
        except OSError as error:
            found.append((path, error.strerror or "cannot be read"))
    links = manifest.links(build, sums)
    for path, status in fs.walk(directory):
        if stat.S_ISDIR(status.st_mode) or path in sums or path in names.UNLISTED:
            continue
        is_link = stat.S_ISLNK(status.st_mode)
        if not is_link or links.get(path) != str((directory / path).readlink()):
            found.append((path, "it is not part of the build"))
    return found


def _sha256(path: Path, read: dict[tuple[int, int], str]) -> str:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(fd, "rb", buffering=0) as stream:
        status = os.fstat(fd)
        key = (status.st_dev, status.st_ino)
        if key not in read:
            digest = hashlib.sha256()
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
            read[key] = digest.hexdigest()
        return read[key]
