"""A sample of all faults at all calls of all verbs; and that the checker sees what it looks for."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "mirror"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "helpers"))

import checker
from cases import NEW, OLD, ONE, basis
from mirrors import InProcess

_HERE = Path(__file__).resolve().parent
POINTS = 120


def test_a_sample_of_faults() -> None:
    if not shutil.which("gcc"):
        pytest.skip("needs gcc and libc6-dev, to build the shim")
    done = subprocess.run(
        [sys.executable, _HERE / "run.py", "--points", str(POINTS)],
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout, done.stderr)
    assert done.returncode == 0
    assert f"{POINTS} held" in done.stdout


@pytest.fixture
def mirror() -> Iterator[InProcess]:
    """A mirror at rest, in memory."""
    with tempfile.TemporaryDirectory(prefix="stx-faults-", dir="/dev/shm") as root:
        made = InProcess(Path(root), Path(root) / "nothing")
        basis(made)
        yield made


def _flipped(mirror: InProcess) -> None:
    path = mirror.public / OLD / "outputs/RPMS/std/hello-1.0-1.tis.x86_64.rpm"
    path.write_bytes(b"H" + path.read_bytes()[1:])


def _missing(mirror: InProcess) -> None:
    (mirror.public / OLD / "outputs/CONTEXT").unlink()


def _no_directory(mirror: InProcess) -> None:
    (mirror.public / OLD / "outputs/wheels").rmdir()


def _stray(mirror: InProcess) -> None:
    (mirror.public / OLD / "outputs/wheels/stray").write_text("x")


def _mode(mirror: InProcess) -> None:
    (mirror.public / OLD / "SHA256SUMS").chmod(0o666)


def _half(mirror: InProcess) -> None:
    (mirror.public / NEW).mkdir()


def _gone(mirror: InProcess) -> None:
    shutil.rmtree(mirror.public / OLD)


def _no_hold(mirror: InProcess) -> None:
    path = mirror.store / "state/builds/release/2018.10/sample/20181110T020000Z.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "hold": None}))


def _no_state(mirror: InProcess) -> None:
    (mirror.store / f"state/builds/{OLD}.json").unlink()


def _wrong_alias(mirror: InProcess) -> None:
    link = mirror.public / "master/sample/latest_build"
    link.unlink()
    link.symlink_to(OLD.rpartition("/")[2])


def _alias_to_nothing(mirror: InProcess) -> None:
    shutil.rmtree(mirror.public / ONE)


def _shared(mirror: InProcess) -> None:
    os.link(mirror.public / OLD / "SHA256SUMS", mirror.store / "incoming/shared")


def _half_a_page(mirror: InProcess) -> None:
    (mirror.public / "builds.json").write_text("{")


@pytest.mark.parametrize(
    "harm",
    [
        *(_flipped, _missing, _no_directory, _stray, _mode, _half, _gone, _no_hold, _no_state),
        *(_wrong_alias, _alias_to_nothing, _shared, _half_a_page),
    ],
)
def test_the_checker_sees_harm(mirror: InProcess, harm: Callable[[InProcess], None]) -> None:
    rest = checker.at_rest(mirror.store)
    assert list(checker.violations(mirror.store, rest, rest)) == []
    harm(mirror)
    assert list(checker.violations(mirror.store, rest, rest))


def test_the_checker_sees_what_is_left_behind(mirror: InProcess) -> None:
    rest = checker.at_rest(mirror.store)
    (mirror.public / "feature/x/sample").mkdir(parents=True)
    (mirror.public / "builds/feature/x").mkdir(parents=True)
    (mirror.store / "staging/0123").mkdir()
    (mirror.store / "state/pages-stale").touch()
    now = checker.at_rest(mirror.store)
    assert now["empty"] == ["builds/feature/x", "feature/x/sample"]
    assert now["pages"] != rest["pages"]
    assert now["leftovers"] == ["pages that are out of date", "staging/0123"]
