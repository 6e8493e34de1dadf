"""Security updates install themselves, around builds; a restart waits, and comes."""

from __future__ import annotations

import json
import time

import pytest

testinfra_hosts = ["podman://mol-hardening-builder"]

STATE = "/var/lib/stx-updates/state.json"
HOLD = "/run/stx-mirror/hold-builds"
UNIT = "stx-updates.service"


def until(condition, seconds: int = 90) -> bool:
    """Whether something comes true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(1)
    return False


def journal(host) -> str:
    return host.run(f"journalctl --sync; journalctl --no-pager -n 60 -u {UNIT}").stdout


def version(host, package: str) -> str:
    return host.check_output(f"dpkg-query -W -f '${{Version}}' {package}")


def known(host, **changes) -> dict:
    """What the program knows, after a change by the test."""
    state = json.loads(host.file(STATE).content_string)
    if changes:
        state.update(changes)
        host.check_output("printf %%s %s >%s", json.dumps(state), STATE)
    return state


@pytest.fixture(scope="module", autouse=True)
def only_ours(builder, mirror):
    """The network's own repositories take their time, and may have news of their own."""
    for host in (builder, mirror):
        host.check_output("mkdir -p /root/apt; mv /etc/apt/sources.list* /root/apt/")
        host.check_output("mkdir -p /etc/apt/sources.list.d")
    yield
    for host in (builder, mirror):
        host.check_output("rm -r /etc/apt/sources.list.d; mv /root/apt/* /etc/apt/")


@pytest.fixture
def build(builder):
    """A real transient unit, as build-unit starts them."""
    builder.check_output(
        "systemd-run --quiet --collect --unit=stx-build@master-sample.service sleep 600"
    )
    yield
    builder.run("systemctl stop stx-build@master-sample.service")


def test_an_available_security_update_is_installed_by_the_timer(mirror):
    """And nothing else is: what is newer elsewhere may break a build."""
    mirror.check_output("/root/make-repositories")
    assert (version(mirror, "probe-security"), version(mirror, "probe-other")) == ("1.0", "1.0")
    mirror.check_output(
        f"rm -f {STATE}; mkdir -p /run/systemd/system/stx-updates.timer.d; printf "
        "'[Timer]\\nOnActiveSec=1s\\nAccuracySec=1s\\nRandomizedDelaySec=0\\n' "
        ">/run/systemd/system/stx-updates.timer.d/now.conf; "
        "systemctl daemon-reload; systemctl restart stx-updates.timer"
    )
    assert until(lambda: version(mirror, "probe-security") == "2.0"), journal(mirror)
    assert until(lambda: "updates installed" in journal(mirror), 60), journal(mirror)
    assert version(mirror, "probe-other") == "1.0"
    # A mail system that hangs is waited for, but for no more than a minute.
    assert until(lambda: not mirror.file(HOLD).exists)
    assert mirror.run(f"systemctl is-failed {UNIT}").stdout.strip() != "failed"
    mirror.check_output(
        "rm -r /run/systemd/system/stx-updates.timer.d /etc/apt/sources.list.d/test-*.list; "
        "systemctl daemon-reload; systemctl restart stx-updates.timer"
    )


def test_the_distribution_s_own_timers_are_off(host):
    """They would install in the middle of a build."""
    for timer in ("apt-daily.timer", "apt-daily-upgrade.timer"):
        assert host.check_output(f"systemctl is-enabled {timer} || true") == "masked"
    timer = host.service("stx-updates.timer")
    assert timer.is_running
    assert timer.is_enabled


def test_an_update_waits_for_a_build_and_a_build_for_an_overdue_update(builder, build):
    builder.check_output("/root/make-repositories")
    builder.check_output("/usr/local/libexec/stx-mirror/host-updates --now")
    assert version(builder, "probe-security") == "1.0", journal(builder)
    assert known(builder)["pending"] == ["probe-security"]
    assert not builder.file(HOLD).exists

    # A day later: what runs may end, and nothing starts.
    known(builder, pending_since=int(time.time()) - 25 * 3600)
    builder.check_output(f"systemctl start {UNIT}")
    assert version(builder, "probe-security") == "1.0"
    assert "updates wait since" in builder.file(HOLD).content_string

    builder.check_output("systemctl stop stx-build@master-sample.service")
    builder.check_output(f"systemctl start {UNIT}")
    assert version(builder, "probe-security") == "2.0", journal(builder)
    assert not builder.file(HOLD).exists
    builder.check_output("rm /etc/apt/sources.list.d/test-*.list")


def test_past_the_deadline_an_update_waits_no_longer(builder, build):
    builder.check_output("/root/make-repositories; dpkg -i /srv/repositories/other/*.deb")
    builder.check_output("/usr/local/libexec/stx-mirror/host-updates --now")
    assert version(builder, "probe-security") == "1.0", journal(builder)
    known(builder, pending_since=int(time.time()) - 73 * 3600)
    builder.check_output(f"systemctl start {UNIT}")
    assert version(builder, "probe-security") == "2.0", journal(builder)
    assert builder.service("stx-build@master-sample.service").is_running
    builder.check_output("rm /etc/apt/sources.list.d/test-*.list")


def test_a_restart_is_held_while_a_build_runs_and_comes_afterwards(builder, build):
    """The host really restarts, and its firewall is there again."""
    builder.check_output("touch /run/reboot-required /run/before")
    builder.check_output(f"systemctl start {UNIT}")
    assert "waiting: a restart stx-build@master-sample.service" in journal(builder)
    assert builder.file("/run/before").exists
    assert builder.service("stx-build@master-sample.service").is_running

    known(builder, restart_since=int(time.time()) - 25 * 3600)
    builder.check_output(f"systemctl start {UNIT}")
    assert "a restart waits since" in builder.file(HOLD).content_string
    assert builder.file("/run/before").exists

    builder.run("systemctl stop stx-build@master-sample.service")
    builder.run(f"systemctl start --no-block {UNIT}")
    assert until(
        lambda: (
            builder.run("test ! -e /run/before && systemctl is-system-running --wait").stdout
            in ("running\n", "degraded\n")
        )
    )
    assert not builder.file(HOLD).exists
    # What was logged before is gone: podman has the journal's directory in memory.
    assert "policy drop" in builder.check_output("nft list table inet filter")


def test_nothing_is_asked_of_root_s_mail_when_nothing_happens(builder):
    before = journal(builder)
    builder.check_output(f"systemctl start {UNIT}")
    assert "updates installed" not in journal(builder)[len(before) :]
