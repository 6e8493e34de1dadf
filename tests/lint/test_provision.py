"""What is checked before provisioning is what provisioning does."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

PLAYBOOKS = Path(__file__).resolve().parents[2] / "playbooks"
GROUPS = {"build_hosts", "mirrors", "registries"}


def _planned() -> dict[str, set[str]]:
    """The roles that each group gets by vars/host_roles.yml."""
    text = yaml.safe_load((PLAYBOOKS / "vars/host_roles.yml").read_text())["host_roles"]
    planned: dict[str, set[str]] = {"all": set()}
    for roles, group in re.findall(
        r"\[([^\]]*)\](?: if inventory_hostname in groups\['(\w+)'\])?", text
    ):
        names = set(re.findall(r"'(\w+)'", roles))
        if names and not names <= GROUPS:
            planned.setdefault(group or "all", set()).update(names)
    return planned


def _played() -> dict[str, set[str]]:
    """The roles that each group gets by provision.yml."""
    played: dict[str, set[str]] = {}
    for play in yaml.safe_load((PLAYBOOKS / "provision.yml").read_text()):
        if "hosts" not in play:
            continue
        groups = set(play["hosts"].split(":")) - {"!disabled"}
        names = {entry["role"] for entry in play.get("roles", [])}
        names |= {
            task["ansible.builtin.import_role"]["name"]
            for task in play.get("tasks", [])
            if "ansible.builtin.import_role" in task
        }
        played.setdefault("all" if groups == GROUPS else groups.pop(), set()).update(names)
    return played


def test_every_role_is_looked_at_before_it_is_played():
    assert _planned() == _played()
