"""What a build's upload must consist of, and the two lists that say so.

The manifest comes with ``begin``, before a byte is sent; SHA256SUMS comes with the build and is
what its readers check. Nothing here touches the disk.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from typing import NamedTuple

from stxmirror import lines
from stxmirror.errors import StxMirrorError
from stxmirror.layout import ARTIFACT_TYPES, PHASED_TYPES, BuildId, check_word, safe_relative_path
from stxmirror.mirror.errors import shown
from stxmirror.names import (
    CONTEXT,
    ISO,
    ISO_NAME,
    ISO_PLACE,
    MARKERS,
    RECORD,
    SIGNATURE,
    SUMS,
    UNLISTED,
)

# A large nightly has some 25,000 files; a manifest line is below 300 bytes.
MANIFEST_FILES_MAX = 50_000
MANIFEST_BYTES_MAX = 64 * 1024 * 1024
FILE_BYTES_MAX = 2**50

# The directory of createrepo_c, in the way of a phase of that name.
_METADATA = "repodata"

_PLAIN_FILES = frozenset({RECORD, SUMS, SIGNATURE, CONTEXT, *MARKERS.values()})
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_SUMS_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)", re.ASCII)


class Entry(NamedTuple):
    """One file: its SHA-256 in hexadecimal and its size in bytes."""

    sha256: str
    size: int


def read_manifest(data: bytes, build: BuildId) -> dict[str, Entry]:
    """Return ``{path: Entry}`` of a manifest for ``build``, checked as a whole, or raise."""
    if len(data) > MANIFEST_BYTES_MAX:
        raise StxMirrorError(
            f"the manifest is larger than {MANIFEST_BYTES_MAX} bytes: that is no build's; "
            "send the list that the publishing role makes"
        )
    try:
        raw = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise StxMirrorError(
            'the manifest on standard input is not JSON: send {"id": ..., "files": [...]}'
        ) from error
    if not isinstance(raw, dict) or not isinstance(raw.get("files"), list):
        raise StxMirrorError('the manifest must be {"id": ..., "files": [...]}')
    if raw.get("id") != str(build):
        raise StxMirrorError(
            f"the manifest is for {shown(str(raw.get('id')))}, not for {build}: "
            "send the one of this build"
        )
    if len(raw["files"]) > MANIFEST_FILES_MAX:
        raise StxMirrorError(
            f"the manifest has {len(raw['files'])} files, and a build may have "
            f"{MANIFEST_FILES_MAX}: leave out what its readers do not need"
        )
    files: dict[str, Entry] = {}
    for item in raw["files"]:
        path, entry = _read_item(item)
        if path in files:
            raise StxMirrorError(f"the manifest names {path} twice: name each file once")
        files[path] = entry
    _check_tree(files)
    return files


def _read_item(item: object) -> tuple[str, Entry]:
    if not isinstance(item, dict):
        raise StxMirrorError('each file of the manifest must be {"path", "sha256", "size"}')
    path, sha256, size = item.get("path"), item.get("sha256"), item.get("size")
    path = safe_relative_path(path if isinstance(path, str) else "")
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        raise StxMirrorError(f"the manifest gives no SHA-256 (64 hexadecimal digits) for {path}")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= FILE_BYTES_MAX:
        raise StxMirrorError(f"the manifest gives no usable size in bytes for {path}")
    return path, Entry(sha256, size)


def _check_tree(files: Collection[str]) -> None:
    """Refuse names that the specification's tree has no place for, and a tree without its parts."""
    names: dict[str, str] = {}
    for path in files:
        _check_place(path)
        _check_twin(path, names)
        parent = path.rpartition("/")[0]
        while parent:
            if parent in files:
                raise StxMirrorError(
                    f"the manifest has {parent} both as a file and as a directory: rename one"
                )
            _check_twin(parent, names)
            parent = parent.rpartition("/")[0]
    for path in (RECORD, SUMS):
        if path not in files:
            raise StxMirrorError(f"the manifest lacks {path}: close the build before publishing it")
    marks = [path for path in MARKERS.values() if path in files]
    if len(marks) != 1:
        raise StxMirrorError(
            "a build has either outputs/success or outputs/fail, and this manifest has "
            f"{'both' if marks else 'neither'}: close the build before publishing it"
        )
    if marks == [MARKERS["success"]] and CONTEXT not in files:
        raise StxMirrorError(f"a successful build has {CONTEXT}, and this manifest lacks it")


def _check_twin(path: str, names: dict[str, str]) -> None:
    """Refuse a name that differs from another in case only; ``names`` are those met so far."""
    other = names.setdefault(path.casefold(), path)
    if other != path:
        raise StxMirrorError(
            f"{other} and {path} differ in case only, and not every reader's file system keeps "
            "them apart: rename one"
        )


def _check_place(path: str) -> None:
    if path in _PLAIN_FILES:
        return
    side, _, rest = path.partition("/")
    kind, _, inner = rest.partition("/")
    if inner and kind in ARTIFACT_TYPES.get(side, ()):
        if side == "outputs" and kind in PHASED_TYPES:
            phase, slash, _ = inner.partition("/")
            if not slash:
                raise StxMirrorError(
                    f"{path} lies in no build phase: packages go to outputs/{kind}/<phase>/"
                )
            check_word(phase, "build phase")
            if phase == _METADATA and not _is_metadata(inner):
                raise StxMirrorError(
                    f"{path} lies among the metadata of the package repository outputs/{kind}: no "
                    f"build phase is called {_METADATA}, rename it"
                )
        elif side == "outputs" and kind == "iso" and _names_iso(inner) and path != ISO:
            raise StxMirrorError(
                f"{path} is not the ISO's constant name: send {ISO}, the dated link is made here"
            )
        return
    raise StxMirrorError(
        f"{path} has no place in a build's tree: only {RECORD}, {SUMS}, {SIGNATURE}, {CONTEXT}, "
        "a result and files below " + ", ".join(artifact_directories()) + " are published"
    )


def _is_metadata(inner: str) -> bool:
    """Say whether createrepo_c may have written a file of ``repodata``."""
    return inner.count("/") == 1 and not inner.endswith(".rpm")


def _names_iso(inner: str) -> bool:
    """Say whether a file or a directory in its path is called like an ISO."""
    return any(part.lower().endswith(".iso") for part in inner.split("/"))


def artifact_directories() -> list[str]:
    """Return the specification's directories, which every build has, be they empty."""
    return [f"{side}/{kind}" for side in sorted(ARTIFACT_TYPES) for kind in sorted(_kinds(side))]


def _kinds(side: str) -> frozenset[str]:
    return ARTIFACT_TYPES[side]


def needed_directories(files: Collection[str]) -> list[str]:
    """Return every directory of the build's tree, parents before what lies in them."""
    found = {"inputs", "outputs", *artifact_directories()}
    for path in files:
        parent = path.rpartition("/")[0]
        while parent and parent not in found:
            found.add(parent)
            parent = parent.rpartition("/")[0]
    return sorted(found)


def links(build: BuildId, files: Collection[str]) -> dict[str, str]:
    """Return the symbolic links that a build's tree gets, ``{path: target}``."""
    made = {}
    if CONTEXT in files:
        made[f"{CONTEXT}.sh"] = CONTEXT.rpartition("/")[2]
    if ISO in files:
        made[f"{ISO_PLACE}/bootimage-{build.build_date}.iso"] = ISO_NAME
    return made


def digest(data: bytes) -> str:
    """Return the SHA-256 of bytes as both lists write it."""
    return hashlib.sha256(data).hexdigest()


def parse_sums(data: bytes) -> dict[str, str]:
    """Return ``{path: sha256}`` of a SHA256SUMS file as ``sha256sum`` writes it, or raise."""
    try:
        listed = lines.split(data.decode("ascii"))
    except UnicodeDecodeError as error:
        raise StxMirrorError(f"{SUMS} has bytes that are not ASCII: write it again") from error
    sums: dict[str, str] = {}
    for number, line in enumerate(listed, 1):
        found = _SUMS_LINE.fullmatch(line)
        if not found or found.group(2) in sums:
            raise StxMirrorError(
                f"line {number} of {SUMS} is not '<sha256>  <path>' of a file not yet listed: "
                "write the list with sha256sum"
            )
        sums[found.group(2)] = found.group(1)
    return sums


def check_sums(sums: Mapping[str, str], files: Mapping[str, Entry]) -> None:
    """Raise unless SHA256SUMS lists exactly the manifest's files with the manifest's hashes."""
    listed = {path: entry.sha256 for path, entry in files.items() if path not in UNLISTED}
    for path in sorted(listed.keys() | sums.keys()):
        if path not in sums:
            problem = f"does not list {path}"
        elif path not in listed:
            problem = f"lists {shown(path)}, which was not sent"
        elif sums[path] != listed[path]:
            problem = f"has another hash for {path} than the file"
        else:
            continue
        raise StxMirrorError(f"{SUMS} {problem}: close the build again and publish that")
