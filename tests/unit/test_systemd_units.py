"""The units of module config_files, with a systemd that only writes down what it is told."""

from __future__ import annotations

import grp
import os
import pwd

import pytest
from module_call import call

SYSTEMCTL = """#!/bin/sh
case $1 in
    show) cat "$STATES" ;;
    *) echo "$*" >>"$STATES.told"; case $* in *broken*) echo "it is broken" >&2; exit 1 ;; esac ;;
esac
"""
WORKS = ("loaded", "active", "enabled", "no")
ABSENT = ("not-found", "inactive", "", "no")
RESTED = ("loaded", "inactive", "disabled", "no")
MASKED = ("masked", "inactive", "masked", "no")


@pytest.fixture
def units(tmp_path):
    """Call the module on units in given states; return its reply and what systemctl was told."""
    program = tmp_path / "bin/systemctl"
    program.parent.mkdir()
    program.write_text(SYSTEMCTL)
    program.chmod(0o755)
    states = tmp_path / "states"
    environment = {**os.environ, "PATH": f"{program.parent}:/usr/bin:/bin", "STATES": str(states)}
    mine = {"owner": pwd.getpwuid(os.getuid()).pw_name, "group": grp.getgrgid(os.getgid()).gr_name}

    def bring(*wanted, files=(), check=False):
        keys = ("LoadState", "ActiveState", "UnitFileState", "NeedDaemonReload")
        keys += ("StateChangeTimestamp",)
        states.write_text(
            "\n".join(
                "".join(f"{key}={value}\n" for key, value in zip(keys, state))
                for _, state in wanted
            )
        )
        arguments = {
            "units": [unit for unit, _ in wanted],
            "files": [{**file, **mine} for file in files],
        }
        reply = call("config_files", arguments, check=check, environment=environment)
        told = tmp_path / "states.told"
        lines = told.read_text().splitlines() if told.exists() else []
        return reply, [line.removeprefix("--quiet ") for line in lines]

    return bring


def up(**more):
    return {"name": "a.service", "state": "started", "enabled": True, **more}


def test_what_is_as_it_should_be_is_left_alone(units):
    reply, told = units((up(), WORKS), (up(name="b.timer"), WORKS))
    assert (reply["changed"], told) == (False, [])


@pytest.mark.parametrize(
    ("unit", "state", "told"),
    [
        (up(), RESTED, ["enable a.service", "start a.service"]),
        (up(), ("loaded", "failed", "enabled", "no"), ["start a.service"]),
        (up(), ("loaded", "active", "enabled", "yes"), ["daemon-reload"]),
        (up(), ("loaded", "active", "static", "no"), []),
        ({"name": "a.timer", "enabled": False}, ("loaded", "active", "static", "no"), []),
        (
            {"name": "a.timer", "state": "stopped", "enabled": False},
            WORKS,
            ["stop a.timer", "disable a.timer"],
        ),
        ({"name": "a.timer", "masked": True, "state": "stopped"}, ABSENT, ["mask a.timer"]),
        ({"name": "a.timer", "masked": True, "state": "stopped"}, MASKED, []),
        ({"name": "a.timer", "enabled": True}, RESTED, ["enable a.timer"]),
    ],
)
def test_only_what_is_missing_is_done(units, unit, state, told):
    reply, done = units((unit, state))
    assert done == told
    assert reply["units"] == ([unit["name"]] if told and told != ["daemon-reload"] else [])
    assert not reply["failed"]


def test_units_read_changed_files(units, tmp_path):
    """systemd first, then the units that ask for a restart; not those that have a handler."""
    file = {"path": str(tmp_path / "etc/systemd/system/a.service"), "content": "[Unit]\n"}
    wanted = ((up(restart=True), WORKS), (up(name="b.timer"), WORKS))
    reply, told = units(*wanted, files=[file])
    assert told == ["daemon-reload", "restart a.service"]
    assert reply["units"] == ["a.service"]
    assert not units(*wanted, files=[file])[0]["changed"]


@pytest.mark.parametrize(
    ("more", "since", "told"),
    [
        ({"handled": True}, 999, []),
        ({"handled": True}, 1000, None),
        ({"handled": True}, 2000, None),
        ({"restart": True}, 999, ["restart a.service"]),
        ({"restart": True}, 1000, None),
        # Nothing of this call reads it.
        ({}, 999, None),
    ],
)
def test_what_a_run_that_was_ended_left_unread_is_read(units, tmp_path, more, since, told):
    """It had written the file, and its handler never came: no later run sees a changed file."""
    path = tmp_path / "a.conf"
    path.write_text("x\n")
    os.utime(path, (1000.9, 1000.9))
    state = ("loaded", "active", "enabled", "no", f"@{since}")
    reply, done = units((up(**more), state), files=[{"path": str(path), "content": "x\n"}])
    assert reply["units"] == ([] if told is None else ["a.service"])
    assert (reply["changed"], done) == (told is not None, told or [])


def test_a_unit_that_does_not_run_has_missed_nothing(units, tmp_path):
    """It reads its files when it starts, such as where a socket starts sshd."""
    path = tmp_path / "a.conf"
    path.write_text("x\n")
    state = ("loaded", "inactive", "enabled", "no", "@1")
    unit = {"name": "a.service", "handled": True}
    assert not units((unit, state), files=[{"path": str(path), "content": "x\n"}])[0]["changed"]


def test_check_mode_changes_nothing(units):
    """Also where the unit comes with a package that is not there yet."""
    reply, told = units((up(), ABSENT), check=True)
    assert (reply["units"], told) == (["a.service"], [])
    assert reply["diff"][0]["after"] == "systemctl enable\nsystemctl start\n"


def test_a_unit_that_does_not_exist_or_start_is_named(units):
    reply, _ = units((up(), ABSENT))
    assert reply["failed"]
    assert "no unit a.service" in reply["msg"]
    reply, _ = units((up(name="broken.service"), RESTED))
    assert "systemctl enable broken.service" in reply["msg"]
    assert "it is broken" in reply["msg"]
