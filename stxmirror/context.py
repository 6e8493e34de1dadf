"""CONTEXT: which commit of every repository went into a build.

The line shape is StarlingX's, byte for byte, because its release tools parse it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from stxmirror.errors import StxMirrorError

_PATH = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.+-]*(?:/[A-Za-z0-9_.][A-Za-z0-9_.+-]*)*", re.ASCII)
_SHA = re.compile(r"[0-9a-f]{40}", re.ASCII)


def _check_path(path: str) -> str:
    if (
        not isinstance(path, str)
        or not _PATH.fullmatch(path)
        or any(part in (".", "..") for part in path.split("/"))
    ):
        raise StxMirrorError(
            f"{path!r} cannot be the path of a repository in CONTEXT: "
            "use a relative path of letters, digits and . _ + -"
        )
    return path


def render(commits: Mapping[str, str]) -> str:
    """Return the text of CONTEXT for ``{repository path: commit}``, sorted by path."""
    rendered = []
    for path in sorted(commits):
        commit = commits[path]
        if not isinstance(commit, str) or not _SHA.fullmatch(commit):
            raise StxMirrorError(
                f"{path} is at {commit!r}, which is not a commit: give all 40 hex digits"
            )
        rendered.append(f"(cd ./{_check_path(path)} && git checkout -f {commit})\n")
    return "".join(rendered)


def difference(old: Mapping[str, str], new: Mapping[str, str]) -> list[dict[str, str | None]]:
    """Return what differs between two contexts, as ``{"path", "from", "to"}`` sorted by path.

    ``from`` is ``None`` for a repository that is new, ``to`` for one that has gone.
    """
    return [
        {"path": path, "from": old.get(path), "to": new.get(path)}
        for path in sorted(set(old) | set(new))
        if old.get(path) != new.get(path)
    ]
