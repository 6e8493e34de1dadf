"""A build host that the tests of run-as-builder can do anything to."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from sandbox_host import INSTALLED, TESTS, Build, Host, builders_processes

NEEDED = {
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "du": "coreutils",
    "python3": "python3",
    "curl": "curl",
    "git": "git",
}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    if os.geteuid() != 0:
        pytest.skip("name spaces are made by root: run it as root")
    for program, package in NEEDED.items():
        if shutil.which(program) is None:
            pytest.skip(f"{program} is missing: install {package}")
    upper = tmp_path_factory.mktemp("host")
    words = ["unshare", "--mount", "--fork", "--kill-child", "--propagation", "private", "sh"]
    keeper = subprocess.Popen(
        [*words, str(TESTS / "host.sh"), str(upper), *map(str, INSTALLED)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert keeper.stdout is not None
    assert keeper.stderr is not None
    try:
        if keeper.stdout.readline() != "ready\n":
            pytest.skip(f"no name spaces can be made here: {keeper.stderr.read()}")
        children = Path(f"/proc/{keeper.pid}/task/{keeper.pid}/children").read_text().split()
        yield Host(int(children[0]))
    finally:
        keeper.kill()
        keeper.wait()


@pytest.fixture
def master(host: Host) -> Build:
    return Build(host, "master", "20261101T020000Z")


@pytest.fixture
def later(host: Host) -> Build:
    """The next build of the same stream."""
    return Build(host, "master", "20261102T020000Z")


@pytest.fixture
def evil(host: Host) -> Build:
    """A build of a branch that anybody may write."""
    return Build(host, "f-evil", "20261101T030000Z")


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    yield
    left = builders_processes()
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left
