"""How a run ended, written where people and programs look for it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from stxmirror import parts
from stxmirror.builder.mirror import Mirror, Published
from stxmirror.builder.session import Session, now
from stxmirror.errors import StxMirrorError
from stxmirror.layout import project_name
from stxmirror.names import NOTHING_NEW
from stxmirror.state import status
from stxmirror.state.files import read_json, write_json
from stxmirror.state.paths import Paths
from stxmirror.state.status import Attempt

_PUBLICATION = "publication.json"
_WHY_MAX = 1000


def publish(session: Session, mirror: Mirror) -> Published:
    """Bring the build's tree to the mirror; whether that succeeded is kept with the record.

    The way to the mirror is kept, too: it is asked later what it still has of this host's builds.
    """
    write_json(session.paths.way, asdict(mirror.way))
    try:
        with session.reporter.part(parts.PUBLISH.word):
            done = mirror.publish(session.id, session.tree)
    except StxMirrorError as error:
        _keep(session, published=False, why=str(error))
        raise
    _keep(session, published=True, why="")
    return done


def _keep(session: Session, *, published: bool, why: str) -> None:
    write_json(session.directory / _PUBLICATION, {"published": published, "why": why})


@dataclass(frozen=True)
class Run:
    """What was asked for, and how far it came.

    ``id`` is empty for a run that became no build, ``nothing_new`` of one that was taken back.
    ``why`` counts where no record says more.
    """

    request: str
    started: str
    ref: str
    reason: str
    trigger: str
    id: str = ""
    nothing_new: bool = False
    why: str = ""


def report(paths: Paths, run: Run) -> Attempt:
    """Write the status of the branch; return how the run ended."""
    project = project_name(run.ref)
    attempt = _attempt(paths, run, project)
    status.write_attempt(paths, run.ref, project, attempt)
    return attempt


def _attempt(paths: Paths, run: Run, project: str) -> Attempt:
    begun = Attempt(
        request=run.request,
        reason=run.reason,
        trigger=run.trigger,
        started=run.started,
        finished=status.now_text(now()),
        result="fail",
        failed_stage=parts.OPEN.word,
        why=_line(run.why),
    )
    if run.nothing_new:
        good = status.read(paths, run.ref, project).last_success
        why = f"no source has changed since {good}"
        return replace(begun, result=NOTHING_NEW, failed_stage=None, why=why)
    if not run.id:
        return begun
    session = Session.load(paths, run.id)
    record = session.record()
    failure = session.failure()
    publication = read_json(session.directory / _PUBLICATION) or {}
    failed = record["result"] == "fail"
    why = ""
    if failed:
        why = failure.why if failure else run.why or (record["excerpt"] or [""])[-1]
    published = publication.get("published") is True
    return replace(
        begun,
        result="fail" if failed else "success",
        id=run.id,
        parent=record["parent"],
        failed_stage=record["failed_stage"],
        why=_line(why),
        missing=record["missing"],
        published=published,
        unpublished_why="" if published else _line(str(publication.get("why") or run.why)),
    )


def _line(text: str) -> str:
    """Return a reason as one printable line: it may quote what a build wrote."""
    return "".join(c if c.isprintable() else " " for c in text)[:_WHY_MAX]
