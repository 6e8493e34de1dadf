"""The sender's side of the store: one directory an upload, owned by the account that receives.

The tree's owner only reads here; what is made or removed here is made and removed by the owner of
``incoming``, so that neither account needs rights over the other. Beside the directory lies what
the upload may hold, ``<token>.json``, out of its sender's reach.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from stxmirror import fields
from stxmirror.errors import StxMirrorError
from stxmirror.mirror import fs
from stxmirror.mirror.config import Config

_TOKEN = re.compile(r"[0-9a-f]{32}", re.ASCII)
# Beyond what was announced: a file system rounds sizes up, and rsync keeps a file's old copy until
# the new one is whole.
_ENTRY_BYTES = 8 * 1024
_MARGIN_BYTES = 1024 * 1024
_MARGIN_ENTRIES = 100


@dataclass(frozen=True)
class Quota:
    """What an upload may hold: bytes in all, files and directories, bytes of its largest file.

    ``key`` names the key that began it; empty for a mirror that is a path.
    """

    bytes: int
    entries: int
    largest: int
    key: str

    @classmethod
    def of(cls, sizes: Mapping[str, int], key: str) -> Quota:
        """Return the quota of an upload that was promised files of these sizes, in bytes."""
        entries = len(sizes) + len(_directories(sizes))
        largest = max(sizes.values(), default=0)
        return cls(
            bytes=sum(sizes.values()) + largest + entries * _ENTRY_BYTES + _MARGIN_BYTES,
            entries=entries + _MARGIN_ENTRIES,
            largest=largest,
            key=key,
        )


def is_token(text: str) -> bool:
    """Say whether a text has the shape of an upload's name."""
    return bool(_TOKEN.fullmatch(text))


def open_directory(config: Config, token: str, sizes: Mapping[str, int], key: str) -> None:
    """Make the upload's directory: its owner writes, the group, which is the mirror's, reads.

    ``sizes`` has the files that are to come. What an earlier attempt sent of them stays, and all
    else in the directory goes.
    """
    path = config.incoming / token
    keep_readable(config, token)
    is_reader = config.public.stat().st_uid == os.geteuid()
    _clean(path, sizes, None if is_reader else config.incoming.stat().st_gid)
    # The group comes from `incoming` itself, which has the set-group-id bit.
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o750)
    _quota_path(config, token).write_text(json.dumps(asdict(Quota.of(sizes, key))), "ascii")


def keep_readable(config: Config, token: str) -> None:
    """Open the upload's directory to its group again: rsync -a gives it the sender's mode."""
    path = config.incoming / token
    with contextlib.suppress(FileNotFoundError):
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o750 != 0o750:
            path.chmod(mode | 0o750)


def _clean(path: Path, sizes: Mapping[str, int], group: int | None) -> None:
    """Take away what was not promised, and what the tree's owner could not read.

    That account is in ``group``; ``None`` if it is this one.
    """
    found = list(fs.walk_received(path))
    is_closed = path.is_dir() and not _is_readable(path.stat(), group)
    if is_closed or any(_is_foreign(status, group) for _, status in found):
        fs.remove_tree(path)
        return
    wanted = _directories(sizes)
    # What lies in a directory comes after it.
    for name, status in reversed(found):
        # A connection that has just dropped may still have its rsync here.
        with contextlib.suppress(OSError):
            if stat.S_ISDIR(status.st_mode):
                if name not in wanted:
                    (path / name).rmdir()
            elif status.st_size > sizes.get(name, -1) or not _is_readable(status, group):
                (path / name).unlink()


def _is_foreign(status: os.stat_result, group: int | None) -> bool:
    if stat.S_ISDIR(status.st_mode):
        return not _is_readable(status, group)
    return not stat.S_ISREG(status.st_mode)


def _is_readable(status: os.stat_result, group: int | None) -> bool:
    bits = 0o5 if stat.S_ISDIR(status.st_mode) else 0o4
    return (
        group is None
        or status.st_mode & bits == bits
        or (status.st_gid == group and status.st_mode >> 3 & bits == bits)
    )


def _directories(paths: Collection[str]) -> set[str]:
    found: set[str] = set()
    for path in paths:
        parent = path.rpartition("/")[0]
        while parent and parent not in found:
            found.add(parent)
            parent = parent.rpartition("/")[0]
    return found


def quota(config: Config, token: str) -> Quota | None:
    """Return what an upload may hold; ``None`` for one that is not open."""
    path = _quota_path(config, token)
    try:
        raw = fields.mapping(json.loads(path.read_bytes()), str(path))
        return Quota(
            bytes=fields.required(raw, "bytes", int, str(path)),
            entries=fields.required(raw, "entries", int, str(path)),
            largest=fields.required(raw, "largest", int, str(path)),
            key=fields.required(raw, "key", str, str(path)),
        )
    except (OSError, ValueError, StxMirrorError):
        return None  # of another version, or cut off: beginning again writes it


def _quota_path(config: Config, token: str) -> Path:
    return config.incoming / f"{token}.json"


def is_beyond(config: Config, token: str, quota: Quota) -> bool:
    """Say whether an upload holds more than it may."""
    total = entries = 0
    for _, status in fs.walk_received(config.incoming / token):
        entries += 1
        size = status.st_size if stat.S_ISREG(status.st_mode) else 0
        total += max(size, status.st_blocks * 512)
    return total > quota.bytes or entries > quota.entries


def check_limit(config: Config, token: str, open_tokens: Collection[str], key: str) -> None:
    """Raise unless ``key`` may open the upload ``token`` beside those that are open."""
    quotas = [quota(config, other) for other in open_tokens if other != token]
    count = sum(1 for other in quotas if other and other.key == key)
    if count >= config.uploads_per_key:
        raise StxMirrorError(
            f"this key has {count} uploads open, as many as it may (uploads_per_key): promote "
            "some, or begin again when they have expired, "
            f"{config.upload_expiry_hours:g} hours after they were begun"
        )


def empty_directory(config: Config, token: str) -> None:
    """Remove all that an upload has sent; it stays open."""
    fs.remove_tree(config.incoming / token)
    (config.incoming / token).mkdir(mode=0o750)


def close_directory(config: Config, token: str) -> None:
    """Remove an upload that was promoted."""
    fs.remove_tree(config.incoming / token)
    _quota_path(config, token).unlink(missing_ok=True)


def listed(config: Config) -> set[str]:
    """Return the names of the uploads that something is left of."""
    return {path.stem for path in config.incoming.iterdir() if is_token(path.stem)}


def sweep(config: Config, candidates: Collection[str], is_open: Collection[str]) -> None:
    """Remove those of ``candidates`` that belong to no open upload.

    The candidates are listed before it is asked which uploads are open: an upload is opened before
    its directory is made, so that one begun in between is not among them.
    """
    for name in sorted(set(candidates) - set(is_open)):
        close_directory(config, name)
