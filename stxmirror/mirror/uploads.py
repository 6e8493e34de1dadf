"""The sender's side of the store: one directory an upload, owned by the account that receives.

The tree's owner only reads here; what is made or removed here is made and removed by the owner of
``incoming``, so that neither account needs rights over the other.
"""

from __future__ import annotations

import contextlib
import re
import stat
from collections.abc import Collection
from pathlib import Path

from stxmirror.mirror import fs
from stxmirror.mirror.config import Config

_TOKEN = re.compile(r"[0-9a-f]{32}", re.ASCII)


def is_token(text: str) -> bool:
    """Say whether a text has the shape of an upload's name."""
    return bool(_TOKEN.fullmatch(text))


def open_directory(config: Config, token: str) -> None:
    """Make the upload's directory: its owner writes, the group, which is the mirror's, reads.

    What an earlier attempt sent stays, unless there is something in it that the mirror refuses.
    """
    path = config.incoming / token
    if _has_foreign(path):
        fs.remove_tree(path)
    # The group comes from `incoming` itself, which has the set-group-id bit.
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o750)
    keep_readable(config, token)


def keep_readable(config: Config, token: str) -> None:
    """Open the upload's directory to its group again: rsync -a gives it the sender's mode."""
    path = config.incoming / token
    with contextlib.suppress(FileNotFoundError):
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o750 != 0o750:
            path.chmod(mode | 0o750)


def _has_foreign(path: Path) -> bool:
    return any(
        not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode))
        for _, status in fs.walk_received(path)
    )


def close_directory(config: Config, token: str) -> None:
    """Remove an upload that was promoted."""
    fs.remove_tree(config.incoming / token)


def listed(config: Config) -> set[str]:
    """Return the names of the upload directories that exist."""
    return {path.name for path in config.incoming.iterdir() if is_token(path.name)}


def sweep(config: Config, candidates: Collection[str], is_open: Collection[str]) -> None:
    """Remove those of ``candidates`` that belong to no open upload.

    The candidates are listed before it is asked which uploads are open: an upload is opened before
    its directory is made, so that one begun in between is not among them.
    """
    for name in sorted(set(candidates) - set(is_open)):
        fs.remove_tree(config.incoming / name)
