"""The checks of an ISO: what is asked of them, and what their verdicts make of a build."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest
from build_host import PROFILE, opened

from stxmirror.builder.sandbox import Outcome
from stxmirror.builder.sanity import check_iso
from stxmirror.builder.session import PartFailed

NOW = datetime(2026, 11, 1, 2, 0, tzinfo=timezone.utc)
ISO = {
    "from": "export/*.iso",
    "memory_mb": 1024,
    "disk_gb": 2,
    "markers": {"boot": "a", "install": "b", "installed": "c"},
    "failure_markers": ["SAMPLE: FAILED"],
    "time_limit": 300,
}
OK = {"result": "ok", "seconds": 1.0}


class Checker:
    """Stands in for the sandbox: it keeps the task, and writes verdicts where they are expected."""

    def __init__(self, verdicts: dict) -> None:
        self.verdicts = verdicts
        self.tasks: list = []

    def run(self, task):
        self.tasks.append(task)
        result = Path(json.loads(task.input)["result"])
        result.write_text(json.dumps({"verdicts": self.verdicts}))
        return Outcome("ok", "", 0, NOW, NOW, 1.0, 1.0, 1)


@pytest.fixture
def checked(paths, make_stream):
    """Return a build with an ISO whose checks end with these verdicts, and its checker."""

    def make(verdicts: dict, iso: dict | None = ISO, files=("export/bootimage.iso",)):
        profile = PROFILE if iso is None else {**PROFILE, "iso": iso}
        session = opened(paths, make_stream(), profile)
        for name in files:
            (session.workspace / name).parent.mkdir(parents=True, exist_ok=True)
            (session.workspace / name).write_text("x")
        checker = Checker(verdicts)
        return replace(session, make_sandbox=lambda *_: checker), checker

    return make


def check(session):
    return check_iso(session, min_bytes=7, failure_markers=["panic"], installed_uefi=True)


def test_what_is_asked_of_the_checks(checked):
    session, checker = checked({"static": OK})
    assert check(session) == {"static": OK}
    assert session.record()["sanity"] == {"static": OK}
    (task,) = checker.tasks
    request = json.loads(task.input)
    del request["result"]
    assert request == {
        "iso": str(session.workspace / "export/bootimage.iso"),
        "build_id": session.id,
        "scratch": str(session.workspace / "sanity"),
        **{"min_bytes": 7, "memory_mb": 1024, "disk_gb": 2, "time_limit": 300},
        "markers": ISO["markers"],
        "failure_markers": ["panic", "SAMPLE: FAILED"],
        "installed_uefi": True,
    }
    assert task.command[-1] == "stxmirror.builder.iso_checks"
    # More than all six checks, tried twice, may take by the clock.
    assert task.time_limit == 12 * 6 * 300
    assert (task.environment, task.sources) == ({}, "none")


def test_a_profile_without_an_iso_has_nothing_to_check(checked):
    session, checker = checked({}, iso=None)
    assert check(session) == {}
    assert checker.tasks == []


@pytest.mark.parametrize("result", ["failed", "timeout"])
def test_an_iso_that_fails_a_check_is_not_published_and_the_record_says_why(checked, result):
    bad = {"result": result, "seconds": 3.0, "detail": "boot: no marker\nlast line"}
    session, _ = checked({"static": OK, "boot": bad})
    with pytest.raises(PartFailed, match=r"not fit to be published: boot: no marker$") as failure:
        check(session)
    assert failure.value.excerpt == ["boot: no marker", "last line"]
    assert session.record()["sanity"] == {"static": OK, "boot": bad}


@pytest.mark.parametrize(("files", "count"), [((), 0), (("export/a.iso", "export/b.iso"), 2)])
def test_a_build_has_one_iso(checked, files, count):
    session, checker = checked({}, files=files)
    with pytest.raises(PartFailed, match=f"as the ISO, and {count} files are called so"):
        check(session)
    assert checker.tasks == []
