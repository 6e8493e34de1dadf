"""The sources of a build: brought to the manifest, written down, compared with the last good build.

What runs git runs as the builder (``prepare``); what it found is checked here before it counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, cast

from stxmirror import context
from stxmirror.builder import prepare, sandbox
from stxmirror.builder.checkout import Project, Source
from stxmirror.builder.session import Session, build_date
from stxmirror.errors import StxMirrorError
from stxmirror.records import BuildRecord, Change
from stxmirror.state.files import read_json, write_bytes, write_json
from stxmirror.state.paths import UNIT, Paths
from stxmirror.times import parse_build_date

# Which projects at which commits a build is made of, beside its record.
_SOURCES = "sources.json"

_BUILD_FILE = """\
OS="{distro}"
SW_VERSION="{version}"
BUILD_TARGET="Host Installer"
BUILD_ID="{date}"
BUILD_PATH="{id}"
SRC_BUILD_ID="{source}"
BUILD_DATE="{when}"
"""


def nothing_new(session: Session) -> bool:
    """Whether every source is what the last good build had; nothing is fetched for that.

    What does not answer may be new: the sync that follows says what is wrong.
    """
    good = _sources_of(session, session.previous_good)
    if good is None or session.parent is not None:
        return False
    source = _source(session.record(), {"attempts": 1})
    try:
        return bool(_prepare(session, source, known=good, only_ask=True)["unchanged"])
    except StxMirrorError:
        return False


def sync(
    session: Session, *, options: Mapping[str, Any], commits: int, ask_first: bool = False
) -> bool:
    """Bring the sources to the manifest; return whether there is anything new to build.

    ``options`` are fields of :class:`~stxmirror.builder.checkout.Source`; of more than ``commits``
    commits in one repository the record lists the newest. ``ask_first`` is for a build that
    :func:`nothing_new` was not asked about: what has not changed is not fetched. A resumed build
    keeps its parent's.
    """
    record = session.record()
    if session.parent is not None:
        _prepare(session, None)
        _take_parents(session, record)
        return True
    good = _sources_of(session, session.previous_good)
    # What stages left there may be anybody's, and belongs to no later build.
    session.sandbox.reset_sources()
    old = {p["path"]: p["commit"] for p in good["projects"]} if good else None
    known = good if ask_first else None
    found = _prepare(session, _source(record, options), old=old, known=known, commits=commits)
    return _keep(session, record, found)


def _source(record: BuildRecord, options: Mapping[str, Any]) -> Source:
    manifest = record["manifest"]
    return Source(
        url=manifest["url"],
        file=manifest["file"],
        branch=manifest["branch"],
        stream=record["stream"],
        **options,
    )


def _prepare(session: Session, source: Source | None, **asked: Any) -> dict[str, Any]:
    """Run the program that makes the workspace ready; raise with its own words if it failed."""
    date = build_date(session.id)
    origin = build_date(session.parent) if session.parent else date
    identifier = str(session.stream["identifier"])
    request = {
        "workspace": str(session.workspace),
        "logs_aside": f"logs-{origin}" if session.parent else "",
        "build_file": _BUILD_FILE.format(
            distro=session.stream["distro"],
            version=identifier.rpartition("/")[2],
            date=date,
            id=session.id,
            source=origin,
            when=f"{parse_build_date(date):%Y-%m-%d %H:%M:%S} +0000",
        ),
        "kept": str(session.kept_tree or ""),
        "inputs": str(session.paths.inputs),
        "root": str(session.sources),
        "cache": str(session.paths.source_cache(session.project)),
        "source": asdict(source) if source else None,
        "known": None,
        "only_ask": False,
        **asked,
    }
    found = sandbox.run_program(
        session.sandbox,
        prepare.__name__,
        request,
        workspace=session.workspace,
        task={
            # A sync that hangs has ended long before: each of its commands has a limit.
            "time_limit": 24 * 3600,
            "environment": site_environment(session.paths),
            "network": source is not None,
            "sources": "write" if source else "read",
        },
    )
    if found.get("error"):
        raise StxMirrorError(str(found["error"]))
    _check_unit(str(found.get("cgroup")))
    return found


def site_environment(paths: Paths) -> dict[str, str]:
    """Return the site's own variables, such as a proxy, for what uses the network."""
    try:
        text = paths.environment.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    lines = [line.strip() for line in text.split("\n")]
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name: value.strip('"') for name, _, value in pairs}


def _check_unit(cgroup: str) -> None:
    """Refuse a builder whose processes leave the stream's unit."""
    if UNIT in Path("/proc/self/cgroup").read_text(encoding="utf-8") and UNIT not in cgroup:
        raise StxMirrorError(
            "sudo moves the builder's processes out of the stream's unit, so that nothing would "
            "end them with the build. Put `Defaults:orchestrator !pam_session` into sudoers, as "
            "role build_env does"
        )


def _keep(session: Session, record: BuildRecord, found: Mapping[str, Any]) -> bool:
    """Check what the builder found, write it down, and say whether anything is new."""
    _check_found(found)
    commits = {str(p["path"]): str(p["commit"]) for p in found["projects"]}
    try:
        text = context.render(commits)
    except StxMirrorError as error:
        manifest = record["manifest"]
        raise StxMirrorError(
            f"the manifest {manifest['file']} at {manifest['url']} has a project that cannot be "
            f"built: {error}; change its path there"
        ) from error
    changes = cast("list[Change] | None", found["changes"])
    write_bytes(session.context_file, text.encode("ascii"), 0o644)
    write_json(
        session.directory / _SOURCES,
        {key: found[key] for key in ("manifest_revision", "projects")},
    )
    record["manifest"]["revision"] = str(found["manifest_revision"])
    record["changes"] = changes or []
    session.save(record)
    for sentence in found["mended"]:
        session.reporter.note(str(sentence))
    good = _sources_of(session, session.previous_good)
    return (
        changes is None
        or bool(changes)
        or good is None
        or good["manifest_revision"] != found["manifest_revision"]
    )


def _check_found(found: Mapping[str, Any]) -> None:
    """Refuse what is no answer of ``prepare``; what is in the changes, the record's schema says."""
    if not (
        _are_sources(found)
        and isinstance(found.get("changes", ""), (list, type(None)))
        and isinstance(found.get("mended"), list)
    ):
        raise StxMirrorError(
            "prepare did not say what it has checked out: provision the build host again"
        )


def _are_sources(content: Mapping[str, Any] | None) -> bool:
    if content is None or not isinstance(content.get("projects"), list):
        return False
    keys = {field.name for field in fields(Project)}
    return isinstance(content.get("manifest_revision"), str) and all(
        isinstance(project, dict) and set(project) == keys for project in content["projects"]
    )


def _take_parents(session: Session, record: BuildRecord) -> None:
    """Keep what the resumed build was made of with this one, too."""
    parent = Session.load(session.paths, str(session.parent))
    for name in (session.context_file.name, _SOURCES):
        file = parent.directory / name
        write_bytes(session.directory / name, file.read_bytes(), 0o644)
    before = parent.record()
    record["manifest"] = before["manifest"]
    record["changes"] = before["changes"]
    session.save(record)


def _sources_of(session: Session, build_id: str | None) -> dict[str, Any] | None:
    """Return what a build was made of, if it was written down, and by this version."""
    if build_id is None:
        return None
    content = read_json(session.paths.build(build_id) / _SOURCES)
    return content if _are_sources(content) else None
