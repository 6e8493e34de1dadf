"""Machines that are booted for real, from ISOs that say one line."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

MARKER = "SAMPLE: installer x ready"


def machine(iso: Path, **changes):
    """A machine that boots ``iso``, as the module wants it."""
    return {
        "name": "m",
        "firmware": "bios",
        "cdrom": str(iso),
        "log": str(iso.parent / "serial.log"),
        "steps": [{"name": "boot", "marker": MARKER}],
        **changes,
    }


@pytest.fixture
def boot(call_module):
    """The verdicts about one machine."""

    def run(asked, **arguments):
        told = {"machines": [asked], "time_limit": 30, "memory_mb": 32, **arguments}
        return call_module("iso_boot", **told)["verdicts"]

    return run


def test_a_machine_that_says_its_marker_is_well(boot, make_iso):
    iso = make_iso(f"\r\n{MARKER}\r\n")
    assert boot(machine(iso))["boot"]["result"] == "ok"
    assert MARKER in (iso.parent / "serial.log").read_text()


def test_a_machine_that_says_something_else_runs_into_the_time_limit(boot, make_iso):
    verdict = boot(machine(make_iso("SAMPLE: installer y ready\n")), time_limit=3)["boot"]
    assert verdict["result"] == "timeout"
    assert 3 <= verdict["seconds"] < 10
    assert verdict["detail"].endswith("serial line:\nSAMPLE: installer y ready")
    assert f"no '{MARKER}' within 3 s" in verdict["detail"]


def test_a_machine_that_goes_off_is_noticed_at_once(boot, make_iso):
    verdict = boot(machine(make_iso("\x1b[1;31mcannot go on\x1b[0m\n", power_off=True)))["boot"]
    assert verdict["result"] == "failed"
    assert verdict["seconds"] < 20
    assert f"the machine went off before it said '{MARKER}'" in verdict["detail"]
    assert verdict["detail"].endswith(":\ncannot go on")


def test_the_last_words_of_a_machine_count(boot, make_iso):
    assert boot(machine(make_iso(f"{MARKER}\n", power_off=True)))["boot"]["result"] == "ok"


def test_a_failure_marker_ends_the_step_at_once(boot, make_iso):
    iso = make_iso("SAMPLE: FAILED no medium\n")
    verdict = boot(machine(iso), failure_markers=["SAMPLE: FAILED"])["boot"]
    assert verdict["result"] == "failed"
    assert "the machine said 'SAMPLE: FAILED no medium'" in verdict["detail"]


def test_an_iso_that_does_not_boot_gives_a_clear_message(boot, tmp_path):
    iso = tmp_path / "bootimage.iso"
    iso.write_bytes(bytes(400_000))
    verdict = boot(machine(iso), time_limit=4)["boot"]
    assert verdict["result"] == "timeout"
    assert "it wrote nothing to its serial line" in verdict["detail"]


def test_a_step_that_could_not_begin_is_skipped(boot, make_iso):
    steps = [{"name": "boot", "marker": MARKER}, {"name": "install", "marker": "installed"}]
    verdicts = boot(machine(make_iso(power_off=True), steps=steps))
    assert [verdicts[name]["result"] for name in ("boot", "install")] == ["failed", "skipped"]


def test_a_disk_is_made_blank_and_a_path_may_hold_a_comma(boot, make_iso, tmp_path):
    odd = tmp_path / "a,b"
    odd.mkdir()
    iso = make_iso(f"{MARKER}\n").rename(odd / "c,d.iso")
    verdicts = boot(machine(iso, disk=str(odd / "disk,1.img")), disk_gb=1)
    assert verdicts["boot"]["result"] == "ok", verdicts
    assert (odd / "disk,1.img").stat().st_size == 1 << 30


def test_uefi_starts_the_iso(boot, make_iso):
    asked = machine(make_iso(f"{MARKER}\n"), firmware="uefi")
    verdict = boot(asked, time_limit=100, memory_mb=128)["boot"]
    assert verdict["result"] == "ok", verdict


def test_a_disk_keeps_what_was_installed_only_if_asked(boot, make_iso, tmp_path):
    disk = str(tmp_path / "disk.img")
    steps = [{"name": "boot", "marker": MARKER}, {"name": "install", "marker": "installed x"}]
    iso = make_iso(f"{MARKER}\n", install="installed x\n", installed="running x\n")
    started = machine(iso, cdrom=None, disk=disk, steps=[{"name": "run", "marker": "running x"}])
    assert boot(machine(iso, steps=steps, disk=disk))["install"]["result"] == "ok"
    assert boot(started, time_limit=4)["run"]["result"] == "timeout"
    assert boot(machine(iso, steps=steps, disk=disk, keep_disk=True))["install"]["result"] == "ok"
    assert boot(started)["run"]["result"] == "ok"


def test_check_mode_starts_nothing(start_module, make_iso):
    iso = make_iso(MARKER)
    process = start_module("iso_boot", check=True, machines=[machine(iso)], time_limit=30)
    said, _ = process.communicate(timeout=60)
    assert '"skipped"' in said
    assert not (iso.parent / "serial.log").exists()


def children(of: int) -> list[int]:
    """The ids of the processes that ``of`` started."""
    listing = Path(f"/proc/{of}/task/{of}/children").read_text()
    return [int(word) for word in listing.split()]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_machine_outlives_the_module(start_module, make_iso, number):
    process = start_module("iso_boot", machines=[machine(make_iso())], time_limit=60)
    deadline = time.monotonic() + 30
    while not (qemu := children(process.pid)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert qemu
    # Past the moment between fork and exec.
    time.sleep(0.5)
    os.kill(process.pid, number)
    process.communicate(timeout=30)
    while time.monotonic() < deadline and any(Path(f"/proc/{pid}").exists() for pid in qemu):
        time.sleep(0.05)
    assert not any(Path(f"/proc/{pid}").exists() for pid in qemu)
