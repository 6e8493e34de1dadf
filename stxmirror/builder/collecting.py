"""The part *collect*: what a build made becomes a tree that can be published."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from stxmirror import records
from stxmirror.builder import keeping, sealing, summary
from stxmirror.builder.collect import REPORT_MAX, Collector, Gathered, Wanted
from stxmirror.builder.host_terms import host_terms
from stxmirror.builder.secret_terms import Terms
from stxmirror.builder.session import PartFailed, Session, close_success
from stxmirror.errors import StxMirrorError
from stxmirror.layout import ARTIFACT_TYPES
from stxmirror.profiles import Profile
from stxmirror.records import BuildRecord


@dataclass(frozen=True)
class Words:
    """What must not be published beside what is found out about this host.

    ``secret`` words stop a publication wherever they are but in logs, ``private`` ones are only
    cut out of logs and free texts (:mod:`stxmirror.redact`).
    """

    secret: Sequence[str]
    private: Sequence[str]


def close_good(session: Session) -> None:
    """Close a build whose stages and checks went well, with what its tools report."""
    profile = session.profile()
    record = session.record()
    record["packages"] = summary.count_packages(session, profile.package_reports)
    record["images"] = summary.list_images(session, profile.image_lists)
    session.save(record)
    close_success(session)


def collect(session: Session, words: Words, sign: Sequence[str]) -> Gathered:
    """Fill the build's tree and sign it; raise if it must not be published as it is.

    Of a build that failed, only logs and record are taken. ``sign`` is a command that signs its
    standard input.
    """
    # Everybody may read what is published, and its owner alone write it.
    os.umask(0o022)
    record = session.record()
    if record["finished"] is None:
        raise PartFailed(
            f"{session.id} has not ended: wait for it (`stx-mirror follow {session.ref}`)"
        )
    good = record["result"] == "success"
    profile = _profile(session, good=good)
    secret = [*host_terms(), *words.secret]
    terms, log_terms = Terms(secret), Terms([*secret, *words.private])
    collector = Collector(
        session.tree,
        workspace=session.workspace,
        roots=session.roots,
        view={str(session.paths.inputs): str(session.paths.downloads(session.project))},
        terms=terms,
        log_terms=log_terms,
    )
    # Both read and hash what the build made, and neither waits for the other's disk.
    with ThreadPoolExecutor(max_workers=1) as beside:
        kept = beside.submit(keeping.keep, session, good=good) if profile else None
        try:
            _fill(session, profile, record, collector)
        except OSError as error:
            raise PartFailed(f"{session.tree} cannot be filled: {error}") from error
        if kept is not None:
            kept.result()
    found = collector.found
    for line in found.left_out[:REPORT_MAX]:
        session.reporter.note(f"not collected: {line}")
    if found.problems:
        raise PartFailed("\n".join(found.problems[:REPORT_MAX]))
    record["artifacts"] = found.totals
    record["iso"] = found.iso
    session.save(records.check(record))
    sealing.seal(
        session.tree,
        record,
        context=session.context(),
        digests=found.digests,
        terms=log_terms,
        sign=sign,
    )
    return found


def _profile(session: Session, *, good: bool) -> Profile | None:
    """Return the build's profile; a failure can be shown without one that was refused or lost."""
    try:
        return session.profile()
    except StxMirrorError:
        if good:
            raise
        return None


def _fill(
    session: Session, profile: Profile | None, record: BuildRecord, collector: Collector
) -> None:
    """Gather artifacts, logs and metadata; the collector notes what must not be published."""
    good = record["result"] == "success"
    session.tree.mkdir(parents=True, exist_ok=True)
    for wanted in _wanted(profile, record) if profile and good else []:
        collector.collect(wanted)
    collector.collect_logs("**", str(session.logs))
    for stage in profile.stages if profile else []:
        for pattern in stage.log_files:
            collector.collect_logs(pattern, str(session.workspace))
    # The metadata names every package that lies there, also of an earlier try.
    collector.tidy(DIRECTORIES if good else (), sealing.kept_names(record))
    if not collector.found.problems:
        collector.make_metadata()


# The specification's directories: a successful build has them all, be they empty.
DIRECTORIES = tuple(
    f"{side}/{kind}" for side, kinds in sorted(ARTIFACT_TYPES.items()) for kind in sorted(kinds)
)


def _wanted(profile: Profile, record: BuildRecord) -> list[Wanted]:
    """Return what the stages promised.

    What a stage that ran promised must be there. A stage that was skipped ran in the build that
    this one resumes, and whatever it made lies in the same workspace.
    """
    results = {run["name"]: run["result"] for run in record["stages"]}
    ran = [stage for stage in profile.stages if results.get(stage.name) == "ok"]
    skipped = [stage for stage in profile.stages if results.get(stage.name) == "skipped"]
    return [
        Wanted(
            source=entry.source,
            place="/".join(filter(None, (entry.type, entry.phase))),
            required=stage in ran,
        )
        for stage in [*ran, *skipped]
        for entry in stage.yields
    ]
