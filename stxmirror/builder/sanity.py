"""The ISO of a build, looked at, booted and installed before anybody else does it.

Which checks there are, and how they end, is in ``iso_checks``, which runs as the builder.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

from stxmirror.builder import iso_checks, sandbox
from stxmirror.builder.deadline import WALL_FACTOR
from stxmirror.builder.session import PartFailed, Session
from stxmirror.builder.untrusted_files import expand
from stxmirror.profiles import IsoChecks
from stxmirror.records import Verdict

_FAILED = ("failed", "timeout")
# All of them, one after the other, each a second time.
_CHECKS = 12


def check_iso(
    session: Session, *, min_bytes: int, failure_markers: Sequence[str], installed_uefi: bool
) -> dict[str, Verdict]:
    """Check the ISO and note the verdicts in the record; raise if it is not fit to be published.

    ``min_bytes`` is the size below which it has lost something; ``failure_markers`` are looked for
    beside those of the profile. A profile without an ISO has nothing to check.
    """
    profile = session.profile()
    if profile.iso is None:
        return {}
    request = {
        "iso": str(_find(session, profile.name, profile.iso)),
        "build_id": session.id,
        "scratch": str(session.workspace / "sanity"),
        "min_bytes": min_bytes,
        "memory_mb": profile.iso.memory_mb,
        "disk_gb": profile.iso.disk_gb,
        "time_limit": profile.iso.time_limit,
        "markers": dict(profile.iso.markers),
        "failure_markers": [*failure_markers, *profile.iso.failure_markers],
        "installed_uefi": installed_uefi,
    }
    found = sandbox.run_program(
        session.sandbox,
        iso_checks.__name__,
        request,
        workspace=session.workspace,
        task={
            # Each check ends by its own limits; this is only for a fault of the program itself.
            "time_limit": _CHECKS * WALL_FACTOR * profile.iso.time_limit,
            "environment": {},
            "sources": "none",
        },
    )
    verdicts = cast("dict[str, Verdict]", found["verdicts"])
    record = session.record()
    record["sanity"] = verdicts
    session.save(record)
    bad = [verdict["detail"] for verdict in verdicts.values() if verdict["result"] in _FAILED]
    if bad:
        lines = [line for detail in bad for line in detail.split("\n")]
        raise PartFailed(f"the ISO is not fit to be published: {lines[0]}", lines)
    return verdicts


def _find(session: Session, profile: str, iso: IsoChecks) -> Path:
    found = expand(iso.source, str(session.workspace))
    if len(found) != 1:
        raise PartFailed(
            f"profile {profile} names {iso.source} as the ISO, and {len(found)} files are called "
            "so: correct `iso.from`, or the stage that makes it"
        )
    return Path(found[0])
