"""What the host tests share: hosts of each distribution as Ansible's engine sees them."""

from __future__ import annotations

import os
import re
import subprocess
import warnings
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[2]
# Before Ansible is imported: where the project's filters are.
os.environ.setdefault("ANSIBLE_CONFIG", str(PROJECT / "ansible.cfg"))

# The hosts that the roles are written for, by the facts that decide.
HOSTS = {
    "debian12": ("Debian", "Debian", "12", "12.9", "bookworm"),
    "debian13": ("Debian", "Debian", "13", "13.1", "trixie"),
    "ubuntu24": ("Debian", "Ubuntu", "24", "24.04", "noble"),
    "rocky9": ("RedHat", "Rocky", "9", "9.5", "Blue Onyx"),
    "alma9": ("RedHat", "AlmaLinux", "9", "9.5", "Teal Serval"),
    "stream9": ("RedHat", "CentOS", "9", "9", "NA"),
}
# What only a run on a host finds out: here as a middling host would answer.
ANSWERS = {
    "__build_env_size": {"stdout_lines": ["33554432", "1073741824"]},
    "__build_env_mirror_keys": {"results": []},
    "__mirror_host_build_keys": {"results": []},
    "__hardening_host": {"stdout_lines": ["22", "", "000001ffffffffff"]},
    "__hardening_audit_asked": {"stdout_lines": ["", "/usr/bin/sudo"]},
    "__hardening_unused_asked": {"stdout_lines": []},
    "__packages_asked": {"rc": 0, "stdout_lines": []},
    "packages_install_names": [],
    "__users_asked": {"stdout": "connected root\npasswd root:x:0:0:root:/root:/bin/bash"},
    "__scheduler_bundled": {"stdout": '{"version": "1.0.0-abcdef"}'},
    "packages_to_install": [],
    "ansible_run_tags": ["all"],
    "ansible_skip_tags": [],
}
# What the inventory gives to all roles.
INVENTORY = {"users_admins": [], "streams": []}


def facts(name: str) -> dict[str, object]:
    """Facts of one of HOSTS, and of a host with 32 GB and SELinux where it is usual."""
    family, distribution, major, version, release = HOSTS[name]
    return {
        "os_family": family,
        "distribution": distribution,
        "distribution_major_version": major,
        "distribution_version": version,
        "distribution_release": release,
        "pkg_mgr": "dnf" if family == "RedHat" else "apt",
        "service_mgr": "systemd",
        "python_version": "3.11.2",
        "architecture": "x86_64",
        "hostname": "host",
        "fqdn": "host.example.com",
        "nodename": "host",
        "memtotal_mb": 32000,
        "processor_vcpus": 8,
        "mounts": [],
        "selinux": {"status": "enabled" if family == "RedHat" else "disabled"},
        "effective_user_id": 0,
        "date_time": {"iso8601": "2026-11-22T00:00:00Z"},
    }


def names_files(role: str, host: str) -> list[Path]:
    """The files of a role that may hold for a host, the most specific first."""
    family, distribution, major, _, _ = HOSTS[host]
    directory = PROJECT / "roles" / role / "vars"
    candidates = [directory / f"{distribution}_{major}.yml", directory / f"{family}.yml"]
    return [path for path in candidates if path.is_file()]


def yaml_files(directory: Path, stem: str) -> list[Path]:
    """``defaults/main.yml``, or the files of ``defaults/main/``."""
    single = directory / f"{stem}.yml"
    return [single] if single.is_file() else sorted((directory / stem).glob("*.yml"))


def found_out_in_a_run(role: str) -> set[str]:
    """Names that tasks of a role register or set, loops give, and who calls it must give."""
    names = {"item", "ansible_loop"}
    specs = load(PROJECT / "roles" / role / "meta/argument_specs.yml")["argument_specs"]
    for entry in specs.values():
        options = entry.get("options") or {}
        names |= {name for name, option in options.items() if option.get("required")}
    for path in (PROJECT / "roles" / role).glob("**/*.yml"):
        text = path.read_text()
        names |= set(re.findall(r"^\s*(?:register|loop_var): *(\w+)", text, re.M))
        names |= set(re.findall(r"^\s+(__\w+):", text, re.M))
    return names


def answers() -> dict[str, object]:
    """ANSWERS, with those of this machine's own ssh, which reads what is rendered."""
    known = subprocess.run(["ssh", "-Q", "kex"], check=True, capture_output=True, text=True)
    lines = ["members anna", *(f"kex {name}" for name in known.stdout.split())]
    return {**ANSWERS, "__hardening_ssh_asked": {"stdout_lines": lines}}


class RoleOnHost:
    """A role's variables on one host, as its tasks see them."""

    def __init__(self, role: str, host: str) -> None:
        from ansible.parsing.dataloader import DataLoader
        from ansible.plugins.loader import filter_loader, init_plugin_loader
        from ansible.template import Templar

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that another test did so before
            init_plugin_loader([])
        filter_loader.add_directory(str(PROJECT / "filter_plugins"))
        self.role, self.host = role, host
        self.loader = DataLoader()
        self.loader.set_basedir(str(PROJECT / "roles" / role))
        self.variables: dict[str, object] = {
            **answers(),
            **INVENTORY,
            "ansible_facts": facts(host),
            "ansible_managed": "Written by Ansible",
            "ansible_check_mode": False,
            "ansible_playbook_python": "/usr/bin/python3",
            "inventory_hostname": host,
            "group_names": ["build_hosts", "mirrors"],
            "groups": {"all": [host], "build_hosts": [host], "mirrors": [host]},
            "hostvars": {host: {}},
            "play_hosts": [host],
            "role_path": str(PROJECT / "roles" / role),
            "role_name": role,
            "playbook_dir": str(PROJECT / "playbooks"),
            "inventory_dir": str(PROJECT / "inventories/example"),
        }
        directory = PROJECT / "roles" / role
        self.own: list[str] = []
        chosen = names_files(role, host)[:1]
        for path in [
            *yaml_files(directory / "defaults", "main"),
            *yaml_files(directory / "vars", "main"),
            *chosen,
        ]:
            content = self.loader.load_from_file(str(path), trusted_as_template=True) or {}
            self.own += content
            self.variables.update(content)
        self.templar = Templar(loader=self.loader, variables=self.variables)

    def value(self, name: str) -> object:
        """The value of a variable, or an error of Ansible's."""
        return self.templar.template(self.variables[name])

    def render(self, template: Path, **more: object) -> str:
        """What a template comes to on this host."""
        from ansible.template import Templar, trust_as_template

        templar = Templar(loader=self.loader, variables={**self.variables, **more})
        text = trust_as_template(template.read_text())
        return str(templar.template(text)) + "\n"


@pytest.fixture(scope="session")
def on_host():
    """Make a RoleOnHost, each once."""
    made: dict[tuple[str, str], RoleOnHost] = {}

    def make(role: str, host: str) -> RoleOnHost:
        if (role, host) not in made:
            made[role, host] = RoleOnHost(role, host)
        return made[role, host]

    return make


def load(path: Path) -> dict:
    """A file of plain variables."""
    return yaml.safe_load(path.read_text()) or {}
