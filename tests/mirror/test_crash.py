"""Ended at any step, whatever it was: the tree is never wrong, and running again converges.

Every call that changes the disk is counted; the verb is run in a child that ends itself without a
word (SIGKILL) before the n-th of them, for every n.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import backdated
import pytest
from mirrors import Mirror

from stxmirror.mirror import cli

OLD = "master/sample/20260101T020000Z"
NEW = "master/sample/20260102T020000Z"
RELEASE = "release/2018.10/sample/20181110T020000Z"
RETIRED = "release/old/sample/20260101T020000Z"

_CHANGING = ("rename", "replace", "link", "symlink", "unlink", "rmdir", "mkdir")


def run(mirror: Mirror, verb: list[str], data: bytes) -> int:
    """Run a verb in this process."""
    sys.stdin = io.TextIOWrapper(io.BytesIO(data))
    with contextlib.redirect_stdout(io.StringIO()):
        return cli.main(["--config", str(mirror.config), *verb])


def killed_before(step: int, mirror: Mirror, verb: list[str], data: bytes = b"") -> bool:
    """Run a verb in a child that is killed before its ``step``-th change; say whether it was."""
    child = os.fork()
    if child == 0:
        left = step
        emptied = itertools.count()

        def counted(call: Callable[..., Any]) -> Callable[..., Any]:
            def counting(*arguments: Any, **options: Any) -> Any:
                nonlocal left
                # Emptying a directory is many like steps: every tenth of them is enough.
                if "dir_fd" not in options or next(emptied) % 10 == 0:
                    left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return call(*arguments, **options)

            return counting

        for name in _CHANGING:
            setattr(os, name, counted(getattr(os, name)))
        code = 1
        with contextlib.suppress(BaseException):
            code = run(mirror, verb, data)
        os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


def check_invariants(mirror: Mirror) -> None:
    """What readers may rely on at every moment."""
    for build in mirror.builds():
        directory = mirror.public / build
        assert (directory / "outputs/logs").is_dir()
        for line in (directory / "SHA256SUMS").read_text().splitlines():
            sha256, path = line.split("  ")
            assert hashlib.sha256((directory / path).read_bytes()).hexdigest() == sha256
    for link in mirror.public.rglob("latest_build"):
        assert (link / "outputs/success").is_file()
        assert (link / "build.json").is_file()
    for link in mirror.public.iterdir():
        assert not link.is_symlink() or link.is_dir()


def steps(call: Callable[[int], bool]) -> Iterator[int]:
    """Yield n = 1, 2, ... as long as ``call(n)`` was killed."""
    step = 1
    while call(step):
        yield step
        step += 1
    assert step > 5, "hardly anything was counted"


@pytest.fixture
def root() -> Iterator[Path]:
    """In memory: what is written a hundred times need not reach a disk."""
    path = Path(tempfile.mkdtemp(prefix="stx-mirror-test-", dir="/dev/shm"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def ready(local: Mirror) -> Mirror:
    """A mirror with one build, a release, and a build of a retired stream."""
    for build in (OLD, RELEASE, RETIRED):
        local.publish(build)
    return local


def at_rest(mirror: Mirror) -> dict[str, Any]:
    """What the tree, the state and the pages say, without the times of publication."""
    listing = mirror.listing()
    for build in listing["builds"]:
        del build["published"]
    page = json.loads((mirror.public / "builds.json").read_text())
    listing["page"] = sorted(build["id"] for build in page["builds"])
    listing["links"] = sorted(
        f"{path.relative_to(mirror.public)} -> {path.readlink()}"
        for path in mirror.public.rglob("*")
        if path.is_symlink()
    )
    listing["leftovers"] = mirror.leftovers()
    return listing


def snapshot(mirror: Mirror) -> Callable[[], None]:
    """Return a call that brings the store back to what it is now, hard links and all."""
    copy = mirror.root / "copy"
    subprocess.run(["cp", "-a", mirror.store, copy], check=True)

    def restore() -> None:
        subprocess.run(["rm", "-rf", mirror.store], check=True)
        subprocess.run(["cp", "-a", copy, mirror.store], check=True)

    return restore


def converges(mirror: Mirror, verb: list[str], data: bytes = b"") -> None:
    """Kill the verb before every change it makes; each time look, run it again, and compare."""
    restore = snapshot(mirror)
    assert not killed_before(10**9, mirror, verb, data)
    wanted = at_rest(mirror)
    for _ in steps(lambda step: (restore(), killed_before(step, mirror, verb, data))[1]):
        check_invariants(mirror)
        assert not killed_before(10**9, mirror, verb, data)
        check_invariants(mirror)
        assert at_rest(mirror) == wanted


def test_promote_killed_at_any_change(ready: Mirror) -> None:
    directory = ready.make(NEW)
    ready.send(directory, ready.begin(directory, NEW))
    converges(ready, ["promote", NEW])


def test_begin_killed_at_any_change(ready: Mirror) -> None:
    """Followed by the rest of a publication."""
    directory = ready.make(NEW)
    restore = snapshot(ready)
    data = json.dumps(backdated.manifest_of(directory, NEW)).encode()

    def call(step: int) -> bool:
        restore()
        return killed_before(step, ready, ["begin", NEW], data)

    for step in steps(call):
        check_invariants(ready)
        if step % 5 == 0:
            ready.send(directory, ready.begin(directory, NEW))
            ready.ctl("promote", NEW)
            check_invariants(ready)
            assert ready.leftovers() == []
        else:
            assert not killed_before(10**9, ready, ["begin", NEW], data)


def test_prune_killed_at_any_change(ready: Mirror) -> None:
    """One build of a stream that goes on, and the last one of a stream that is retired.

    What is asked for a second time may be gone already, so that only the end is compared.
    """
    ready.publish(NEW)
    converges(ready, ["prune"], json.dumps({"delete": [OLD, RETIRED]}).encode())


def test_hold_killed_at_any_change(ready: Mirror) -> None:
    converges(ready, ["hold", OLD, "--reason", "kept"])


def test_withdraw_killed_at_any_change(ready: Mirror) -> None:
    """The run after a cut-off one of any kind ends it."""
    ready.publish(NEW)
    restore = snapshot(ready)
    verb = ["withdraw", NEW, "--reason", "broken"]

    def call(step: int) -> bool:
        restore()
        return killed_before(step, ready, verb)

    for _ in steps(call):
        check_invariants(ready)
        before = NEW in ready.builds()
        assert not killed_before(10**9, ready, ["expire"])
        check_invariants(ready)
        gone = NEW not in ready.builds()
        assert gone or before
        assert ready.alias("master/sample") == ("20260101T020000Z" if gone else "20260102T020000Z")
        page = json.loads((ready.public / "builds.json").read_text())
        withdrawn = {build["id"] for build in page["builds"] if build["withdrawn"]}
        assert withdrawn == ({NEW} if gone else set())
        assert ready.leftovers() == []
