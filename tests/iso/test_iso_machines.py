"""Machines that are booted for real, from ISOs that say one line."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from conftest import MARKER
from tiny_iso import POWER_OFF, SPIN

from stxmirror.builder import iso_checks, machine
from stxmirror.builder.deadline import Limits


def children() -> list[int]:
    """The ids of the processes that this one started."""
    listing = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text()
    return [int(word) for word in listing.split()]


@pytest.mark.parametrize(
    "text",
    [f"\r\n{MARKER}\r\n", "SAMPLE: instal[    5.1] usb 1-1: new device\r\nler x ready\r\n"],
)
def test_a_machine_that_says_its_marker_is_well(boot, make_iso, tmp_path, text):
    verdict = boot(make_iso(text))
    assert (verdict.result, verdict.attempts) == ("ok", 1)
    assert (tmp_path / "a,b" / "m.log").read_bytes() == text.encode()


def test_a_machine_that_spins_meets_the_limit_of_its_own_time(boot, make_iso):
    verdict = boot(make_iso("SAMPLE: y\n", at_end=SPIN), limits=Limits(2, 60, 300))
    assert verdict.result == "timeout"
    assert verdict.detail.startswith(
        f"boot: the machine did not print '{MARKER}' within 2 s of its own CPU time (wall "
    )
    assert verdict.detail.endswith(".log\nSAMPLE: y")


def test_a_machine_that_halts_stands_still(boot, make_iso):
    verdict = boot(make_iso("SAMPLE: y\n"), limits=Limits(60, 2, 300))
    assert verdict.result == "timeout"
    assert verdict.detail.startswith("boot: the machine stood still for 2 s and did not print")


def test_an_iso_that_does_not_boot_gives_a_clear_message(boot, tmp_path):
    iso = tmp_path / "bootimage.iso"
    iso.write_bytes(bytes(400_000))
    verdict = boot(iso, limits=Limits(60, 3, 300))
    assert verdict.result == "timeout"
    assert verdict.detail.endswith("\nNothing was written to the serial line.")


class StoppedHost(iso_checks.QemuHost):
    """Stops its machines as soon as they run."""

    def wait(self, guests):
        """Stop the machines, and wait."""
        for child in children():
            os.kill(child, signal.SIGSTOP)
        return super().wait(guests)


def test_a_machine_that_is_stopped_stands_still(boot, make_iso):
    limits = Limits(60, 2, 300)
    verdict = boot(make_iso(f"{MARKER}\n", at_end=SPIN), host_type=StoppedHost, limits=limits)
    assert verdict.result == "timeout"
    assert verdict.detail.startswith("boot: the machine stood still for 2 s and did not print")
    assert children() == []


class SlowHost(iso_checks.QemuHost):
    """Lets its machines run for a small part of the time, as a busy host does."""

    def wait(self, guests):
        """Let the machines run for a moment, and stop them for a longer one."""
        for number, seconds in ((signal.SIGCONT, 0.03), (signal.SIGSTOP, 0.4)):
            for child in children():
                os.kill(child, number)
            time.sleep(seconds)
        return super().wait(guests)


def test_a_slow_machine_that_gets_on_is_well(boot, make_iso):
    """It needs more time of the clock than it may use of the processor."""
    verdict = boot(make_iso(f"{MARKER}\n"), host_type=SlowHost, limits=Limits(2, 300, 300))
    assert verdict.result == "ok", verdict
    assert verdict.seconds > 2


def test_a_machine_that_goes_off_is_noticed_at_once(boot, make_iso):
    iso = make_iso("\x1b[1;31mcannot go on\x1b[0m\n", at_end=POWER_OFF)
    verdict = boot(iso)
    assert verdict.result == "failed"
    assert f"switched itself off and did not print '{MARKER}'" in verdict.detail
    assert verdict.detail.endswith("\ncannot go on")


def test_the_last_words_of_a_machine_count(boot, make_iso):
    assert boot(make_iso(f"{MARKER}\n", at_end=POWER_OFF)).result == "ok"


def test_a_failure_marker_ends_the_check_at_once(boot, make_iso):
    iso = make_iso("SAMPLE: FAILED no medium")
    verdict = boot(iso, failure_markers=["SAMPLE: FAILED"])
    assert verdict.result == "failed"
    assert "the machine printed 'SAMPLE: FAILED no medium' instead of" in verdict.detail


def test_an_emulator_that_cannot_start_is_quoted(boot, tmp_path):
    verdict = boot(tmp_path / "missing.iso")
    assert verdict.result == "failed"
    assert "message of QEMU" in verdict.detail.split("\n")[0]
    assert "missing.iso" in verdict.detail.split("\n")[0]


def test_uefi_starts_the_iso(boot, make_iso):
    verdict = boot(make_iso(f"{MARKER}\n"), firmware="uefi", memory_mb=128)
    assert verdict.result == "ok", verdict


def test_what_a_machine_uses_is_measured(make_iso, tmp_path):
    guest = machine.Guest(
        machine.Machine("bios", 32, cdrom=make_iso("x", at_end=SPIN)),
        program=machine.find_qemu(),
        accelerator="tcg",
        log=tmp_path / "log",
        folder=tmp_path,
    )
    try:
        deadline = time.monotonic() + 60
        while guest.usage().cpu < 1 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert guest.usage().cpu >= 1
        assert guest.read() == b"x"
    finally:
        before = guest.usage()
        guest.stop()
    assert guest.usage() == before


@pytest.mark.parametrize(
    ("script", "accelerator"),
    [
        ("exit 67", "kvm"),
        ("echo no KVM >&2; exit 1", "tcg"),
        # It boots nothing and does not end.
        ("exec sleep 60", "tcg"),
    ],
)
def test_kvm_is_used_only_if_a_machine_boots_with_it(tmp_path, monkeypatch, script, accelerator):
    program = tmp_path / "qemu"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(machine, "_KVM", program)
    probe = machine.Probe(str(program), tmp_path)
    assert [probe.result(), probe.result()] == [accelerator] * 2
    assert children() == []


def test_nothing_is_probed_where_there_is_no_kvm(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "_KVM", tmp_path / "kvm")
    assert machine.Probe("/nonexistent", tmp_path).result() == "tcg"
