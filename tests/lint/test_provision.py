"""What is checked before provisioning is what provisioning does."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

PLAYBOOKS = Path(__file__).resolve().parents[2] / "playbooks"
GROUPS = {"build_hosts", "mirrors", "registries"}


def _planned() -> dict[str, set[str]]:
    """The roles that each group gets by vars/host_roles.yml."""
    variables = _host_roles()
    everywhere = re.findall(r"\[([^\]]*)\]", variables["host_roles"])
    planned = {"all": {name for roles in everywhere for name in re.findall(r"'(\w+)'", roles)}}
    planned.update({group: set(roles) for group, roles in variables["group_roles"].items()})
    return planned


def _host_roles() -> dict:
    return yaml.safe_load((PLAYBOOKS / "vars/host_roles.yml").read_text())


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


def test_roles_of_builds_are_listed():
    """Their variables are refused outside of scheduler_variables, where no build reads them."""
    roles = {path.name for path in (PLAYBOOKS.parent / "roles").iterdir()}
    played = {
        name
        for playbook in ("build", "publish", "prune")
        for name in re.findall(
            r"\b(?:role|name): (\w+)$", (PLAYBOOKS / f"{playbook}.yml").read_text(), re.MULTILINE
        )
    }
    assert set(_host_roles()["build_roles"]) == played & roles
