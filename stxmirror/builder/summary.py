"""What a build's tools report of themselves: packages built and taken over, images pushed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

from stxmirror.builder.session import Session
from stxmirror.builder.untrusted_files import Unusable, expand, read_inside
from stxmirror.records import Packages

# More than any build has: what is longer is no summary.
IMAGES_MAX = 1000
# registry/repository:tag, as the OCI distribution specification has them.
_IMAGE = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]{1,5})?(/[a-z0-9][a-z0-9._-]*)+:[A-Za-z0-9_][A-Za-z0-9._-]{0,127}",
    re.ASCII,
)


def _texts(session: Session, globs: Sequence[str]) -> Iterator[str]:
    for pattern in globs:
        for path in expand(pattern, str(session.workspace)):
            try:
                yield read_inside(path, session.roots).decode("utf-8", "replace")
            except Unusable:
                continue


def count_packages(session: Session, reports: Sequence[str]) -> Packages:
    """Return the sums over the reports that the globs match."""
    counts: Packages = {"built": 0, "reused": 0}
    for text in _texts(session, reports):
        try:
            report = json.loads(text)
        except ValueError:
            continue
        if not isinstance(report, dict):
            continue
        built, reused = report.get("built"), report.get("reused")
        counts["built"] += len(built) if isinstance(built, list) else 0
        counts["reused"] += len(reused) if isinstance(reused, list) else 0
    return counts


def list_images(session: Session, lists: Sequence[str]) -> list[str]:
    """Return the images that were pushed, each once, in order."""
    lines = (line.strip() for text in _texts(session, lists) for line in text.split("\n"))
    return list(dict.fromkeys(line for line in lines if _IMAGE.fullmatch(line)))[:IMAGES_MAX]
