"""What is asked of the helper that makes the sandbox, and what its answers become."""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path

import pytest

from stxmirror.builder.sandbox import RealSandbox, Task
from stxmirror.errors import StxMirrorError

FILES = Path(__file__).resolve().parents[2] / "roles" / "scheduler" / "files"
REPLY = {
    "result": "timeout",
    "why": "it ran for 60 seconds",
    "exit_code": None,
    "started": 1793498400.25,
    "finished": 1793498460,
    "seconds": 60.0,
    "cpu_seconds": 1.5,
    "peak_memory_bytes": 4096,
}


@pytest.fixture
def helper(tmp_path, monkeypatch):
    """Stand in for sudo and the helper behind it; return what it was asked, and how it answers."""

    def answers(reply: str, status: int = 0) -> None:
        (tmp_path / "reply").write_text(reply)
        script = f"#!/bin/sh\nprintf '%s\\n' \"$*\" >{tmp_path}/called\ncat >{tmp_path}/request\n"
        script += f"cat {tmp_path}/reply {'>&2' if status else ''}\nexit {status}\n"
        (tmp_path / "sudo").write_text(script)
        (tmp_path / "sudo").chmod(0o755)

    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    answers(json.dumps(REPLY))
    return answers


@pytest.fixture
def box() -> RealSandbox:
    return RealSandbox(Path("/x/run-as-builder"), "f-x", "20261101T020000Z", "master/a/b")


def task() -> Task:
    return Task(
        command=["build-pkgs", "--std"],
        chdir=Path("/w"),
        log=Path("/w/logs/packages.log"),
        time_limit=60,
        environment={"A": "1"},
    )


def test_a_command_is_asked_for_as_the_helper_takes_it(helper, box, tmp_path, monkeypatch):
    """It refuses a request with a key too many or too few."""
    outcome = box.run(task())
    monkeypatch.setattr(sys, "path", [str(FILES), *sys.path])
    places = importlib.import_module("run_as_builder.places")
    request = json.loads((tmp_path / "request").read_text())
    assert set(request) == set(places.Request._fields)
    assert (tmp_path / "called").read_text() == "-n /x/run-as-builder run\n"
    assert (request["project"], request["workspace"]) == ("f-x", "20261101T020000Z")
    # Nothing is allowed that was not asked for.
    assert (request["network"], request["sources"]) == (False, "read")
    assert (outcome.result, outcome.exit_code, outcome.seconds) == ("timeout", None, 60.0)
    assert outcome.started.tzinfo is not None
    assert (outcome.finished - outcome.started).total_seconds() == 59.75


def test_what_is_removed_and_made_anew_is_named_and_nothing_else(helper, box, tmp_path):
    box.remove()
    assert json.loads((tmp_path / "request").read_text()) == {
        "project": "f-x",
        "workspace": "20261101T020000Z",
    }
    box.reset_sources()
    assert (tmp_path / "called").read_text() == "-n /x/run-as-builder reset\n"
    assert json.loads((tmp_path / "request").read_text()) == {"project": "f-x"}


@pytest.mark.parametrize(
    ("reply", "status", "words"),
    [
        ("run-as-builder: time_limit -1\nis not allowed", 2, "time_limit -1 is not allowed"),
        ("", 1, "exit status 1"),
    ],
)
def test_a_helper_that_refuses_is_one_sentence(helper, box, reply, status, words):
    helper(reply, status)
    with pytest.raises(StxMirrorError, match=words) as refusal:
        box.run(task())
    assert "\n" not in str(refusal.value)
    assert "Provision the build host again" in str(refusal.value)


@pytest.mark.parametrize("reply", ["", "{}", "[]", "{half"])
def test_an_answer_that_is_none_is_an_error_for_people(helper, box, reply):
    """A helper of another version, or one that was killed."""
    helper(reply)
    with pytest.raises(StxMirrorError, match="run-as-builder"):
        box.run(task())
