"""What cron, the orchestrator and an upgrade find on a build host."""

from __future__ import annotations

import json
import time

import pytest

ROOT = "/opt/stx-mirror"


def as_orchestrator(host, command):
    return host.run("runuser -u orchestrator -- sh -c %s", command)


def test_command_runs_from_the_current_version(host):
    """A version of its own, so that an upgrade never changes the one that a build runs from."""
    current = host.check_output(f"readlink {ROOT}/current")
    assert host.file(f"{ROOT}/{current}/.ready").exists
    real = host.check_output("readlink -f /usr/local/bin/stx-mirror")
    assert real == f"{ROOT}/{current}/venv/bin/stx-mirror"
    done = as_orchestrator(host, "stx-mirror --help")
    assert done.rc == 0, done.stderr
    first = host.check_output(f"head -1 {real}")
    assert first == f"#!{ROOT}/{current}/venv/bin/python"


def test_version_is_that_of_its_content(host):
    current = host.check_output(f"readlink {ROOT}/current")
    version, _, digest = current.partition("-")
    assert version == host.check_output(
        f"{ROOT}/current/venv/bin/python -c 'import stxmirror; print(stxmirror.__version__)'"
    )
    assert len(digest) == 12


def test_project_is_what_a_build_needs_and_no_more(host):
    project = f"{ROOT}/current/project"
    for name in ("ansible.cfg", "roles/build_session", "playbooks", "filter_plugins", "library"):
        assert host.file(f"{project}/{name}").exists, name
    for name in ("tests", "molecule", ".git", ".cache", ".venv", "inventories", "build"):
        assert not host.file(f"{project}/{name}").exists, name


def test_nobody_but_root_can_change_the_project(host):
    """What cron runs with the publishing key at hand is not the orchestrator's to rewrite."""
    found = host.check_output(
        f"find {ROOT}/current/ ! -user root -o ! -type l -perm /022 | head -5"
    )
    assert found == ""


def test_playbooks_find_roles_filters_and_the_hosts_own_inventory(host):
    """As the orchestrator, in the project's directory, without any option."""
    done = as_orchestrator(
        host, f"cd {ROOT}/current/project && ../venv/bin/ansible-inventory --list --export"
    )
    assert done.rc == 0, done.stderr
    inventory = json.loads(done.stdout)
    assert inventory["build_hosts"]["hosts"] == ["localhost"]
    variables = inventory["all"]["vars"]
    assert variables["publish_host"] == "mirror.example.com"
    assert [stream["name"] for stream in variables["streams"]] == ["master", "feature", "old"]
    assert "ansible_managed" in variables
    # What role collect keeps out of everything that is published.
    assert "mol-scheduler" in variables["collect_site_secret_terms"]
    assert "ann@mol-scheduler" in variables["collect_private_terms"]
    assert "Ann Lee" in variables["collect_private_terms"]
    done = as_orchestrator(
        host,
        f"cd {ROOT}/current/project && ../venv/bin/ansible -m ansible.builtin.debug "
        "-a 'msg={{ streams | checked_streams | length }}' build_hosts",
    )
    assert done.rc == 0, done.stdout + done.stderr
    assert "3" in done.stdout


def test_inventory_is_closed_to_others(host):
    assert host.run("runuser -u nobody -- ls /etc/stx-mirror/inventory").rc != 0
    for name in ("hosts.yml", "group_vars/all/site.yml", "group_vars/all/streams.yml"):
        file = host.file(f"/etc/stx-mirror/inventory/{name}")
        assert (file.user, file.group, file.mode) == ("root", "orchestrator", 0o640)


def test_cron_builds_what_has_a_schedule_and_prunes(host):
    lines = host.file("/etc/cron.d/stx-mirror").content_string.splitlines()
    jobs = [line for line in lines if " orchestrator " in line]
    assert len(jobs) == 2
    assert jobs[0].startswith("0 2 * * * orchestrator stx-mirror build master --trigger cron ")
    assert " orchestrator stx-mirror prune " in jobs[1]


def test_cron_reckons_in_utc_though_the_host_does_not(host):
    """Debian's cron ignores CRON_TZ; here is a job that fires only if the daemon is in UTC."""
    assert host.check_output("date +%z") == "+0530"
    now = int(host.check_output("date +%s"))
    # Two minutes, because cron may have looked for new jobs of the next one before this is written.
    times = [time.gmtime(now + seconds) for seconds in (60, 120)]
    jobs = [f"{t.tm_min} {t.tm_hour} * * * root touch /root/fired\n" for t in times]
    host.check_output("rm -f /root/fired; printf %s > /etc/cron.d/probe", "".join(jobs))
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline and not host.file("/root/fired").exists:
        time.sleep(2)
    fired = host.file("/root/fired").exists
    host.check_output("rm -f /etc/cron.d/probe")
    assert fired, host.run("journalctl -u cron -n 20").stdout


def test_cron_comes_back(host):
    assert host.service("cron").is_running
    assert host.service("cron").is_enabled


def test_log_is_the_orchestrators_and_rotates(host):
    assert as_orchestrator(host, "echo line >>/var/log/stx-mirror/cron.log").rc == 0
    assert host.run("logrotate --force /etc/logrotate.d/stx-mirror").rc == 0
    assert host.file("/var/log/stx-mirror/cron.log.1").exists


@pytest.mark.parametrize(
    "call", ["build-unit start ../../etc 60", "run-as-builder reset </dev/null"]
)
def test_helpers_are_roots(host, call):
    """Nobody else may change what the orchestrator may start as root."""
    directory = "/usr/local/libexec/stx-mirror"
    helper = host.file(f"{directory}/{call.split()[0]}")
    assert (helper.user, helper.mode) == ("root", 0o755)
    assert host.check_output(f"find {directory} ! -user root -o -perm /022 ! -type l") == ""
    assert host.run(f"{directory}/{call}").rc == 2


@pytest.mark.parametrize(
    ("version", "stays"),
    # Two are kept: the new one and the newest of the old ones.
    [("0.0.1-old1", False), ("0.0.1-old2", False), ("0.0.1-old3", True), ("0.0.1-running", True)],
)
def test_old_versions_go_unless_something_runs_from_them(host, version, stays):
    assert host.file(f"{ROOT}/{version}").exists is stays
