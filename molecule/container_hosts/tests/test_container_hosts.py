"""Hosts made by role container_hosts: what is promised to those who work on them."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest
import testinfra

PROJECT = Path(__file__).parents[3]
CACHE = PROJECT / ".cache"
FIRST, SECOND = "mol-container_hosts", "mol-container_hosts-b"


def run(*command: str) -> str:
    """Output of a command on the machine itself."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="module")
def first():
    return testinfra.get_host(f"podman://{FIRST}")


@pytest.fixture(scope="module")
def second():
    return testinfra.get_host(f"podman://{SECOND}")


def test_systemd_started_everything(first):
    """A unit that cannot start here would make every later answer of `systemctl` doubtful."""
    assert first.check_output("systemctl is-system-running") == "running"
    assert first.check_output("systemctl list-units --failed --plain --no-legend") == ""


def test_each_host_has_control_groups_of_its_own(first, second):
    """Two systemds in one tree remove each other's groups; podman then cannot enter them."""
    for host, name in ((first, FIRST), (second, SECOND)):
        assert host.check_output("systemctl restart ssh; systemctl is-active ssh") == "active"
        identity = run("podman", "inspect", "--format", "{{.Id}}", name)
        pid = run("podman", "inspect", "--format", "{{.State.Pid}}", name)
        trees = [
            line.split(":", 2) for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines()
        ]
        held = [path for _, names, path in trees if names in ("", "name=systemd")]
        assert held, trees
        assert all(identity in path for path in held), trees


def test_memory_limits_hold(first):
    """Stages are limited by systemd; a limit that is ignored would hide that until production."""
    command = "systemd-run --quiet --wait -p MemoryMax=30M python3 -c 'b\"x\" * 200_000_000'"
    assert first.run(command).rc != 0
    assert first.run(command.replace("30M", "600M")).rc == 0


def test_services_are_confined(first):
    """ProtectSystem that silently does nothing would let every hardening test pass."""
    assert first.run("systemd-run --quiet --wait -p ProtectSystem=strict touch /etc/here").rc != 0
    assert not first.file("/etc/here").exists


def test_network_settings_are_the_hosts_own(first):
    """A firewall and net.* can be tried inside, and do not reach the machine."""
    before = Path("/proc/sys/net/ipv4/conf/lo/log_martians").read_text()
    assert first.run("sh -c 'echo 1 >/proc/sys/net/ipv4/conf/lo/log_martians'").rc == 0
    assert Path("/proc/sys/net/ipv4/conf/lo/log_martians").read_text() == before


def test_machine_is_out_of_reach(first):
    """Neither the kernel's settings nor the clock of the machine can be changed from inside."""
    assert first.run("sh -c 'echo 1 >/proc/sys/kernel/panic'").rc != 0
    assert first.run("date --set '@1'").rc != 0


def test_hosts_find_each_other_by_name(first, second):
    """By container name and by alias, in both directions."""
    for name in (SECOND, "beta"):
        assert first.run("getent hosts %s", name).rc == 0
    assert second.run("getent hosts alpha").rc == 0


def test_ssh_lets_root_in_by_key_and_knows_the_host():
    """What Ansible and people use; a host key that nobody checked would make the test worthless."""
    config = str(CACHE / FIRST / "ssh" / "config")
    assert run("ssh", "-F", config, "alpha", "hostname") == "mol-container-hosts"
    stranger = subprocess.run(
        ["ssh", "-F", config, "-o", "HostKeyAlias=stranger", "alpha", "true"],
        check=False,
        capture_output=True,
    )
    assert stranger.returncode == 255


def test_hosts_do_not_share_keys(first, second):
    """Made at first start, not baked into the image that both come from."""
    key = "cat /etc/ssh/ssh_host_ed25519_key.pub"
    assert first.check_output(key).split()[1] != second.check_output(key).split()[1]
    identity = "cat /etc/machine-id"
    assert len(first.check_output(identity)) == 32
    assert first.check_output(identity) != second.check_output(identity)


def test_bare_host_is_bare_and_prepared_host_is_not(first, second):
    """A scenario of role packages on a prepared host would prove nothing."""
    assert not first.exists("rsync")
    # One bare host makes the whole scenario bare.
    assert not second.exists("rsync")


def test_certificate_authorities_of_the_site_are_trusted(first):
    """Behind a site's own proxy nothing could be fetched otherwise; a plain machine has none."""
    for certificate in Path("/usr/local/share/ca-certificates").glob("*.crt"):
        assert first.file(str(certificate)).content == certificate.read_bytes()


def test_package_lists_are_there(first):
    """Without them a rehearsal knows no package and fails."""
    assert first.run("apt-cache show rsync").rc == 0


def test_own_configuration_of_the_user_is_untouched():
    """Ours is named by the environment, for these hosts alone."""
    ours = (CACHE / "containers.conf").read_text()
    assert 'cgroup_manager = "cgroupfs"' in ours
    for path in (Path("/etc/containers/containers.conf"), Path.home() / ".config/containers"):
        if path.is_file():
            assert "Written by Ansible" not in path.read_text()


def test_host_comes_back_after_a_restart_with_its_volume(first):
    """`reboot` inside is a restart of the host: same files, same keys."""
    first.check_output("touch /data/kept")
    key = first.check_output("cat /etc/ssh/ssh_host_ed25519_key.pub")
    began = first.check_output("stat -c %Z /proc/1")
    first.run("systemctl reboot")
    for _ in range(180):
        time.sleep(1)
        again = first.run("stat -c %Z /proc/1")
        state = first.run("systemctl is-system-running")
        if again.rc == 0 and again.stdout.strip() != began and state.stdout.strip() == "running":
            break
    else:
        pytest.fail(f"did not come back: {again} {state}")
    assert first.file("/data/kept").exists
    assert first.check_output("cat /etc/ssh/ssh_host_ed25519_key.pub") == key


def test_absent_removes_what_was_made_and_nothing_else(tmp_path):
    """The role's promise to a machine that is also used for other things."""
    play = tmp_path / "play.yml"
    play.write_text(
        """
- hosts: localhost
  connection: local
  gather_facts: false
  vars:
    ansible_managed: a test
    ansible_python_interpreter: "{{ ansible_playbook_python }}"
    container_hosts_project: mol-ch-other
    container_hosts_image: localhost/mol-ch-image
    container_hosts_list:
      - {name: mol-ch-other-a, ports: ["127.0.0.1:2298:22"], volumes: ["data:/data"]}
  roles: [container_hosts]
"""
    )

    def play_it(*more: str) -> None:
        result = subprocess.run(
            ["ansible-playbook", "--inventory", "localhost,", str(play), *more],
            check=False,
            capture_output=True,
            text=True,
            cwd=PROJECT,
            env={**os.environ, "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg")},
        )
        assert result.returncode == 0, result.stdout

    def objects() -> set[str]:
        kinds = (("ps", "--all", "Names"), ("volume", "ls", "Name"), ("network", "ls", "Name"))
        return {
            f"{kind} {name}"
            for kind, option, field in kinds
            for name in run("podman", kind, option, "--format", f"{{{{.{field}}}}}").splitlines()
            if name.startswith("mol-ch-other") or name.startswith("mol-container_hosts")
        }

    # It starts from an image that somebody else made, as a registry would have it.
    made = run("podman", "inspect", "--format", "{{.ImageName}}", FIRST)
    subprocess.run(
        ["podman", "build", "--quiet", "--tag", "localhost/mol-ch-image", "-"],
        input=f"FROM {made}\nRUN rm /usr/local/sbin/container-init\nCMD /sbin/init\n",
        text=True,
        check=True,
        capture_output=True,
    )
    run("podman", "volume", "create", "mol-ch-other-of-a-person")
    try:
        before = objects()
        play_it()
        assert objects() - before == {
            "ps mol-ch-other-a",
            "volume mol-ch-other-data",
            "network mol-ch-other",
        }
        assert (CACHE / "mol-ch-other/ssh/id_ed25519").stat().st_mode & 0o777 == 0o600
        # A newer recipe does not take the host away, with all that was done on it.
        identity = run("podman", "inspect", "--format", "{{.Id}}", "mol-ch-other-a")
        play_it("-e", '{"container_hosts_image": ""}')
        assert run("podman", "inspect", "--format", "{{.Id}}", "mol-ch-other-a") == identity
        # Somebody stops it with podman's own settings, which do not know its network: its address
        # stays in the rules of the published port. The role waits until the host answers there.
        own = {key: value for key, value in os.environ.items() if key != "CONTAINERS_CONF"}
        stop = ["podman", "stop", "--time", "1", "mol-ch-other-a"]
        subprocess.run(stop, check=True, env=own, capture_output=True)
        play_it("-e", '{"container_hosts_image": ""}')
        assert run("podman", "inspect", "--format", "{{.Id}}", "mol-ch-other-a") == identity
        # Or takes it away altogether.
        remove = ["podman", "rm", "--force", "--time", "1", "mol-ch-other-a"]
        subprocess.run(remove, check=True, env=own, capture_output=True)
        play_it("-e", '{"container_hosts_image": ""}')
        assert run("podman", "inspect", "--format", "{{.Id}}", "mol-ch-other-a") != identity
        play_it("-e", "container_hosts_state=absent")
        assert objects() == before
        assert not (CACHE / "mol-ch-other/ssh").exists()
    finally:
        run("podman", "volume", "rm", "mol-ch-other-of-a-person")
        run("podman", "rmi", "--force", "localhost/mol-ch-image")
