"""All checks of an ISO, in a process of their own, as a build runs them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from conftest import MARKER, PROJECT

GOOD = {"install": "installed x\n", "installed": "running x\n"}


@pytest.fixture
def start():
    """Start the checks of a request."""

    def run(request: str, **environment: str) -> subprocess.Popen[str]:
        with tempfile.TemporaryFile("w+") as given:
            given.write(request)
            given.seek(0)
            return subprocess.Popen(
                [sys.executable, "-m", "stxmirror.builder.iso_checks"],
                env={**os.environ, "PYTHONPATH": str(PROJECT), **environment},
                stdin=given,
                stderr=subprocess.PIPE,
                text=True,
            )

    return run


@pytest.fixture
def checked(start, make_request, tmp_path):
    """The content of the result file."""

    def run(iso: Path, **changes):
        process = start(make_request(iso, **changes))
        _, errors = process.communicate(timeout=300)
        assert (process.returncode, errors) == (0, "")
        return json.loads((tmp_path / "result.json").read_text())

    return run


def test_an_iso_that_is_well_passes_and_leaves_its_serial_lines_only(checked, make_iso, tmp_path):
    iso = make_iso(f"{MARKER}\n", **GOOD).rename(tmp_path / "c,d.iso")
    content = checked(iso, memory_mb=128, time_limit=100)
    verdicts = content["verdicts"]
    assert {name: verdict["result"] for name, verdict in verdicts.items()} == {
        "static": "ok",
        "boot-bios": "ok",
        "install": "ok",
        "boot-uefi": "ok",
        "installed-boot": "ok",
    }, verdicts
    assert {tuple(verdict) for verdict in verdicts.values()} == {
        ("result", "seconds", "detail", "attempts")
    }
    assert content["accelerator"] in ("kvm", "tcg")
    assert sorted(path.name for path in (tmp_path / "a,b").iterdir()) == [
        "installed-bios.log",
        "iso-bios.log",
        "iso-uefi.log",
    ]
    assert (tmp_path / "a,b" / "installed-bios.log").read_text() == "running x\n"


def test_an_iso_of_another_build_is_not_booted(checked, make_iso, tmp_path):
    """And nothing of an earlier run is taken for the serial lines of this one."""
    (tmp_path / "a,b").mkdir()
    (tmp_path / "a,b" / "iso-bios.log").write_text(MARKER)
    (tmp_path / "a,b" / "installed-bios-2.log").write_text(MARKER)
    verdicts = checked(make_iso(), build_id="master/sample/20261123T000000Z")["verdicts"]
    assert verdicts["static"]["result"] == "failed"
    assert verdicts["static"]["detail"].startswith("static: its file /BUILD names build")
    others = {name for name in verdicts if name != "static"}
    assert others == {"boot-bios", "install", "boot-uefi", "installed-boot"}
    assert {(verdicts[name]["result"], verdicts[name]["detail"]) for name in others} == {
        ("skipped", "static was not ok")
    }
    assert list((tmp_path / "a,b").iterdir()) == []


def test_a_host_without_qemu_says_what_to_install(start, make_iso, make_request, tmp_path):
    if Path("/usr/libexec/qemu-kvm").exists():
        pytest.skip("this host has QEMU where no PATH is needed")
    process = start(make_request(make_iso()), PATH=str(tmp_path))
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors == (
        "The ISO cannot be checked: QEMU is not installed: install qemu-system-x86 (Debian) or "
        "qemu-kvm (EL)\n"
    )
    assert not (tmp_path / "result.json").exists()


@pytest.mark.parametrize("request_text", ["missing.json", "[]", '{"iso": "/x"}'])
def test_a_request_that_is_none_is_refused(start, request_text):
    process = start(request_text)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors.count("\n") == 1
    assert "this is not a request for checks" in errors


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_outlives_the_checks(start, make_iso, make_request, tmp_path, number):
    process = start(make_request(make_iso(MARKER), time_limit=60))
    listing = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    deadline = time.monotonic() + 60
    # Past the moment between fork and exec.
    while not any((tmp_path / "a,b").glob("*.log")) or not listing.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.5)
    machines = [Path("/proc", word) for word in listing.read_text().split()]
    assert machines
    os.kill(process.pid, number)
    _, errors = process.communicate(timeout=30)
    assert ("SIGTERM" in errors) == (number == signal.SIGTERM)
    while time.monotonic() < deadline and any(path.exists() for path in machines):
        time.sleep(0.05)
    assert not any(path.exists() for path in machines)
    assert {path.suffix for path in (tmp_path / "a,b").iterdir()} == {".log"}
