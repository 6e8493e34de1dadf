"""Opening a build: what is asked for is checked, then the build gets its id and its record."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stxmirror import records
from stxmirror.builder import keeping
from stxmirror.builder.mirror_state import compare
from stxmirror.builder.session import Session, free_bytes, now
from stxmirror.errors import StxMirrorError
from stxmirror.layout import BuildId
from stxmirror.state import status
from stxmirror.state.builds import dated
from stxmirror.state.events import Reporter
from stxmirror.state.files import read_json
from stxmirror.state.paths import Paths
from stxmirror.times import format_build_date, parse_build_date


@dataclass(frozen=True)
class Asked:
    """What is to be built, and what must hold before anything is touched.

    ``resume_id`` and ``from_stage`` go together. ``mirror`` is what known_hosts must know (empty
    for a mirror that is a path), ``min_free_bytes`` the room on each file system.
    """

    ref: str
    reason: str
    trigger: str
    resume_id: str = ""
    from_stage: str = ""
    min_free_bytes: int = 0
    mirror: str = ""
    known_hosts: str = ""


def open_build(paths: Paths, stream: Mapping[str, Any], asked: Asked) -> Session:
    """Return a new build, whose record says ``fail`` until it is closed; or leave nothing.

    ``stream`` is what :func:`stxmirror.streams.facts_for` returned.
    """
    project = str(stream["project"])
    _check_mirror(asked)
    _check_room(paths, asked.min_free_bytes)
    parent = _parent(paths, asked, project) if asked.resume_id else None
    compare(paths, asked.ref, str(stream["directory"]), Reporter.of(paths, project).note)
    previous = status.read(paths, asked.ref, project).last_success
    if previous and read_json(paths.record(previous)) is None:
        previous = None
    build_id = _next_id(paths, stream, project)
    workspace = parent or paths.workspaces(project) / BuildId.parse(build_id).build_date
    session = Session(
        paths=paths,
        id=build_id,
        ref=asked.ref,
        stream=stream,
        workspace=workspace,
        parent=asked.resume_id or None,
        from_stage=asked.from_stage,
        previous_good=previous,
        kept=keeping.newest(paths, str(stream["directory"]), previous),
    )
    record = records.new_record(
        build_id,
        stream=stream["name"],
        ref=asked.ref,
        profile=stream["profile"],
        manifest=stream["manifest"],
        reason=asked.reason,
        trigger=asked.trigger,
        started=parse_build_date(BuildId.parse(build_id).build_date),
        parent=session.parent,
        from_stage=asked.from_stage or None,
        previous_good=previous,
    )
    session.write()
    session.save(record)
    return session


def _check_mirror(asked: Asked) -> None:
    if not asked.mirror:
        return
    found = subprocess.run(
        ["ssh-keygen", "-F", asked.mirror, "-f", asked.known_hosts],
        check=False,
        capture_output=True,
    )
    if found.returncode != 0:
        raise StxMirrorError(
            f"this host knows no mirror {asked.mirror}, so nothing could be published at the end. "
            "Write publish_host in scheduler_variables (group_vars/build_hosts/scheduler.yml) as "
            "it is called in build_env_mirrors (group_vars/build_hosts/build_env.yml), or add it "
            "there; then provision the build host"
        )


def _check_room(paths: Paths, wanted: int) -> None:
    places = [paths.localdisk / name for name in ("designer", "loadbuild", "publish")]
    # Two directories of one file system are one shortage.
    short = {free: place for place in places if (free := free_bytes(place)) < wanted}
    if short:
        words = ", ".join(f"{place} has {free // 1_000_000} MB" for free, place in short.items())
        raise StxMirrorError(
            f"not enough room to begin a build: {words}; it takes {wanted // 1_000_000} MB. Free "
            "some (`stx-mirror prune`), or set build_session_min_free_bytes to what this product "
            "needs"
        )


def _parent(paths: Paths, asked: Asked, project: str) -> Path:
    """Return the workspace of the build that is resumed, or say why it cannot be."""
    anew = f"build anew: stx-mirror build {asked.ref}"
    parent = Session.load(paths, asked.resume_id)
    record = parent.record()
    why = ""
    if record["ref"] != asked.ref:
        why = f"it is a build of {record['ref']}, not of {asked.ref}"
    elif record["finished"] is None:
        why = "it has not ended"
    elif not parent.workspace.is_dir():
        why = f"its workspace {parent.workspace} is gone"
    elif not asked.from_stage:
        why = "no stage to go on from was named"
    elif parent.context() is None:
        why = "it ended before its sources were complete, so there is nothing to go on from"
    else:
        newest = dated(paths.workspaces(project))[-1:]
        if newest != [parent.workspace.name]:
            why = f"{newest[0]} was begun since, and has brought the sources to a newer state"
    if why:
        raise StxMirrorError(f"{asked.resume_id} cannot be resumed: {why}; {anew}")
    return parent.workspace


def _next_id(paths: Paths, stream: Mapping[str, Any], project: str) -> str:
    directory = str(stream["directory"])
    earlier = sorted([*dated(paths.builds / directory), *dated(paths.workspaces(project))])
    newest = earlier[-1] if earlier else ""
    # Two builds may follow each other within one second.
    for _ in range(3):
        date = format_build_date(now())
        if date > newest:
            return f"{directory}/{date}"
        time.sleep(1)
    raise StxMirrorError(
        f"the clock of this host says {format_build_date(now())}, but there is a build of {newest} "
        "already: set the clock right (chrony, `timedatectl`)"
    )
