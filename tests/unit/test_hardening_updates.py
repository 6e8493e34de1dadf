"""When security updates and restarts happen, around builds."""

from __future__ import annotations

import doctest
import importlib.util
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "roles/hardening/files/host_updates.py"
_spec = importlib.util.spec_from_file_location("host_updates", PROGRAM)
updates = importlib.util.module_from_spec(_spec)
sys.modules["host_updates"] = updates
_spec.loader.exec_module(updates)

HOUR = 3600
# Midnight UTC of some day.
DAY = 20000 * 24 * HOUR
NIGHT = (20 * 60, 23 * 60)
POLICY = updates.Policy(
    overdue_seconds=24 * HOUR, deadline_seconds=72 * HOUR, restart=True, window=NIGHT
)
BUILD = ["stx-build@master-sample.service"]


def decide(now, builds=(), policy=POLICY, **state):
    return updates.decide(now, builds, updates.State(**state), policy)


def test_examples():
    assert doctest.testmod(updates).failed == 0


def test_nothing_to_do():
    assert decide(DAY + 21 * HOUR) == updates.Decision(install=False, restart=False, hold="")


def test_an_update_is_installed_at_once_where_no_build_runs():
    """A mirror never builds: there it simply happens."""
    assert decide(DAY, pending_since=DAY).install


def test_an_update_waits_for_a_build_until_the_deadline():
    assert not decide(DAY, BUILD, pending_since=DAY).install
    assert not decide(DAY, BUILD, pending_since=DAY - 72 * HOUR + 1).install
    assert decide(DAY, BUILD, pending_since=DAY - 72 * HOUR).install


def test_no_build_starts_while_an_update_is_overdue():
    assert decide(DAY, BUILD, pending_since=DAY - 24 * HOUR + 1).hold == ""
    assert "updates wait" in decide(DAY, BUILD, pending_since=DAY - 24 * HOUR).hold


def test_no_build_starts_while_a_restart_is_overdue():
    assert decide(DAY, restart_since=DAY - 24 * HOUR + 1).hold == ""
    assert "a restart waits" in decide(DAY, restart_since=DAY - 24 * HOUR).hold


@pytest.mark.parametrize(
    ("hour", "builds", "waited", "expected"),
    [
        (21, [], 1, True),
        (12, [], 1, False),
        (21, BUILD, 1, False),
        (21, BUILD, 72, True),
        (12, BUILD, 72, False),
        (12, [], 1000, False),
        (23, [], 1, False),
        (20, [], 1, True),
    ],
)
def test_a_restart_waits_for_its_hours_and_for_a_build(hour, builds, waited, expected):
    """The hours hold whatever else: past the deadline, too."""
    now = DAY + hour * HOUR
    assert decide(now, builds, restart_since=now - waited * HOUR).restart is expected


def test_a_restart_that_is_not_wanted_holds_no_builds():
    """Where a person restarts the host, builds go on until then."""
    policy = updates.Policy(24 * HOUR, 72 * HOUR, restart=False, window=NIGHT)
    now = DAY + 21 * HOUR
    assert decide(now, policy=policy, restart_since=now - 100 * HOUR) == updates.Decision(
        install=False, restart=False, hold=""
    )


def test_updates_come_before_the_restart():
    """Otherwise the host would restart twice."""
    now = DAY + 21 * HOUR
    decision = decide(now, pending_since=now, restart_since=now)
    assert decision.install
    assert not decision.restart


def test_after_a_failure_the_next_attempt_takes_its_time():
    assert not decide(DAY, pending_since=DAY - HOUR, failed=DAY - 60).install
    assert decide(DAY, pending_since=DAY - HOUR, failed=DAY - HOUR).install


def test_a_broken_update_does_not_put_off_a_restart():
    now = DAY + 21 * HOUR
    assert decide(now, pending_since=now - HOUR, failed=now - 60, restart_since=now).restart


def test_names_of_pending_packages_apt():
    commands = {
        "pending": ["unattended-upgrade"],
        "pending_pattern": r"Packages that will be upgraded: *(\S.*)$",
    }
    output = "Checking\nPackages that will be upgraded: libc6 openssl\nWriting dpkg log"
    assert updates.parse_pending(output, 0, commands) == ("libc6", "openssl")
    nothing = "Packages that will be upgraded: \nNo packages found that can be upgraded unattended"
    assert updates.parse_pending(nothing, 0, commands) == ()
    with pytest.raises(RuntimeError, match="status 1"):
        updates.parse_pending("lock", 1, commands)


def test_names_of_pending_packages_dnf():
    commands = {"pending": ["dnf"], "pending_status": 100}
    output = "\nopenssl.x86_64  1:3.0.7-28  baseos\n    obsoleted\nkernel.x86_64 5.14 baseos"
    assert updates.parse_pending(output, 100, commands) == ("openssl.x86_64", "kernel.x86_64")
    assert updates.parse_pending("", 0, commands) == ()
    with pytest.raises(RuntimeError, match="status 1"):
        updates.parse_pending("no network", 1, commands)


@pytest.mark.parametrize("by_a_person", ["alice moves the disk\n", ""])
def test_a_hold_by_a_person_stays(tmp_path, by_a_person):
    """Somebody who works on the host must not find builds started; `touch` is enough."""
    hold = tmp_path / "run/hold-builds"
    host = updates.Host({"commands": {}, "builds": "", "hold_file": str(hold), "mail_to": ""})
    host.hold("updates wait")
    assert hold.read_text() == "host-updates: updates wait\n"
    host.hold("")
    assert not hold.exists()
    hold.write_text(by_a_person)
    for reason in ("updates wait", ""):
        host.hold(reason)
        assert hold.read_text() == by_a_person


def test_a_mail_system_that_hangs_holds_up_no_update(tmp_path, monkeypatch, capsys):
    """Postfix that was installed and never started waits for its queue for ever."""
    sendmail = tmp_path / "sendmail"
    sendmail.write_text("#!/bin/sh\nsleep 600\n")
    sendmail.chmod(0o755)
    monkeypatch.setattr(updates, "SENDMAIL", sendmail)
    monkeypatch.setattr(updates, "MAIL_TIMEOUT_SECONDS", 0.2)
    host = updates.Host({"commands": {}, "builds": "", "hold_file": "/x", "mail_to": "root"})
    host.mail("updates installed", "zlib1g")
    assert "could not be sent" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pending": 3}', '{"unknown": 1}'])
def test_a_broken_state_is_forgotten(tmp_path, text):
    """A power cut must not end updates for good."""
    path = tmp_path / "state.json"
    path.write_text(text)
    assert updates.load_state(path) == updates.State()


def test_state_survives(tmp_path):
    state = updates.State(checked=1, pending_since=2, pending=("a", "b"))
    updates.save_state(tmp_path / "x/state.json", state)
    assert updates.load_state(tmp_path / "x/state.json") == state
