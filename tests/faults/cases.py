"""The verbs that are cut off, each with a store that gives it something to do."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import backdated
from mirrors import InProcess

OLD = "master/sample/20260101T020000Z"
ONE = "master/sample/20260102T020000Z"
NEW = "master/sample/20260103T020000Z"
RELEASE = "release/2018.10/sample/20181110T020000Z"
RETIRED = "release/old/sample/20260101T020000Z"


@dataclass(frozen=True)
class Case:
    """A verb, what prepares the store and returns the verb's input, and the exit codes with which
    it may end when it is run again. ``has_verdict``: exit code 1 may be its answer.
    """

    words: tuple[str, ...]
    prepare: Callable[[InProcess], Any]
    codes_again: tuple[int, ...] = (0,)
    has_verdict: bool = False


def basis(mirror: InProcess) -> None:
    """Two builds of a stream, a release, the last build of a retired stream; one is held."""
    for build in (OLD, ONE, RELEASE, RETIRED):
        mirror.publish(build)
    mirror.admin("hold", RELEASE, "--reason", "a customer's test")


def _nothing(mirror: InProcess) -> None:
    pass


def _manifest(mirror: InProcess) -> Any:
    return backdated.manifest_of(mirror.make(NEW), NEW)


def _sent(mirror: InProcess) -> None:
    directory = mirror.make(NEW)
    mirror.send(directory, mirror.begin(directory, NEW))


def _two_to_prune(mirror: InProcess) -> Any:
    mirror.publish(NEW)
    return {"delete": [OLD, RETIRED]}


def _expired(mirror: InProcess) -> None:
    _sent(mirror)
    mirror.edit_upload(began="2026-01-01T00:00:00Z")


def _old_pages(mirror: InProcess) -> None:
    for path in ("index.html", "builds.json", f"builds/{OLD}/index.html"):
        (mirror.public / path).write_text("{}")
    page = Path(f"{mirror.public}/builds/feature/x/sample/20260101T020000Z/index.html")
    page.parent.mkdir(parents=True)
    page.write_text("of a build that is gone")


def _held(mirror: InProcess) -> None:
    mirror.admin("hold", OLD, "--reason", "kept")


def _asked(mirror: InProcess) -> Any:
    return {"builds": [OLD, NEW]}


def _damaged(mirror: InProcess) -> None:
    """One that can still be read in part, one that cannot, one that is lost, and a tombstone."""
    mirror.publish(NEW)
    mirror.admin("withdraw", NEW, "--reason", "broken")
    states = mirror.store / "state/builds"
    path = states / f"{OLD}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "hold": "kept"}))
    (states / f"{ONE}.json").write_bytes(b"\0" * 300)
    (states / f"{RETIRED}.json").unlink()
    (states / f"{NEW}.json").write_bytes(b"")


CASES = {
    "begin": Case(("begin", NEW), _manifest),
    "promote": Case(("promote", NEW), _sent),
    "prune": Case(("prune",), _two_to_prune),
    "hold": Case(("hold", OLD, "--reason", "kept"), _nothing),
    "unhold": Case(("unhold", OLD), _held),
    # It is refused once it was carried out, be that by the run that begins with the rest of it.
    "withdraw": Case(("withdraw", ONE, "--reason", "broken"), _nothing, (0, 2)),
    "expire": Case(("expire",), _expired),
    "pages": Case(("pages",), _old_pages),
    "list": Case(("list",), _nothing),
    "known": Case(("known",), _asked),
    "verify": Case(("verify",), _nothing, has_verdict=True),
    "repair-state": Case(("repair-state",), _damaged),
    "list-damaged": Case(("list",), _damaged),
}
