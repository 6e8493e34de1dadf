"""The check of an inventory before a host is touched."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from ansible.errors import AnsibleError, AnsibleUndefinedVariable
from ansible.parsing.vault import EncryptedString
from ansible.template import Templar
from ansible.utils.vars import load_extra_vars

from stxmirror import variables
from stxmirror.inventory import agent, judges, places, problems, references, sources
from stxmirror.inventory.places import Setting

# A setting, and what is wrong with it.
Found = Iterator[tuple[Setting, str]]

# As docs/secrets.md has secrets called.
_SECRET = "vault_"  # noqa: S105
# How Ansible begins to say that it has no password for a value.
_UNDECRYPTABLE = "undecryptable"


class Inventory:
    """What is set where, and what is wrong with it."""

    def __init__(
        self,
        loader: Any,
        project: Path,
        task_vars: Mapping[str, Any],
        *,
        roles_in: str,
        group_roles: Mapping[str, Sequence[str]],
        variables_in: Mapping[str, Sequence[str]],
        also_read: Sequence[str],
    ) -> None:
        """Read it, as Ansible's ``task_vars`` say where it is; library/ documents the others."""
        self.loader = loader
        self.project = project
        self.task_vars = task_vars
        self.roles_in = roles_in
        self.group_roles = group_roles
        self.variables_in = variables_in
        self.also_read = also_read
        self.groups: Mapping[str, Sequence[str]] = task_vars["groups"]
        self.sources = list(task_vars["ansible_inventory_sources"])
        self.known = {
            "group": {"all", "ungrouped", *self.groups},
            "host": set(task_vars["hostvars"]),
        }
        files = sorted(project.glob("roles/*/meta/argument_specs.yml"))
        self.specs = {path.parent.parent.name: _options(path) for path in files}
        self.options = {
            name: option for spec in self.specs.values() for name, option in spec.items()
        }
        self.profiles = {path.stem for path in project.glob("profiles/*.yml")}
        self.settings = list(sources.settings(loader, self.sources, self.known, list(variables_in)))
        self.settings += [
            Setting(str(name), places.COMMAND_LINE) for name in load_extra_vars(loader)
        ]
        own = task_vars["hostvars"].raw_get(task_vars["inventory_hostname"])
        # What the play sets for every host: the rest is one host's own.
        self.play_vars = {name: task_vars[name] for name in task_vars if name not in own}
        self.hosts = [self._host(str(name)) for name in task_vars["ansible_play_hosts_all"]]

    def problem_lines(self) -> list[str]:
        """Return everything that is wrong, each problem once, with its place."""
        return problems.lines(self._problems())

    def agent_warning(self) -> str:
        """Say which hosts an admin with so many keys may not reach; nothing is an empty string."""
        keys = agent.keys_held()
        tries = {host.name: host.ssh_tries() for host in self.hosts} if keys else {}
        few = [host for host in self.hosts if tries.get(host.name, keys) < keys]
        return agent.warning(keys, {h.name: tries[h.name] for h in few if h.offers_all_keys()})

    def _problems(self) -> Found:
        yield from problems.twice(self.settings)
        yield from self._stray()
        names = {*self.options, *self.also_read, *self.groups}
        yield from problems.unknown(self.settings, names, self.specs)
        used = frozenset[str]().union(*(references.references(host.raw) for host in self.hosts))
        readers: dict[str, set[str]] = {}
        for role, options in self.specs.items():
            for name in options:
                readers.setdefault(name, set()).add(role)
        yield from problems.misplaced(
            (setting for setting in self.settings if setting.name not in used),
            readers,
            self.group_roles,
            self.groups,
            self.variables_in,
        )
        for host in self.hosts:
            yield from host.problems()

    def _stray(self) -> Found:
        for base in sources.bases(self.sources):
            for directory, kind in sources.VARIABLES.items():
                entries = [
                    (str(path), path.name, path.is_dir())
                    for path in sources.entries(base, directory)
                ]
                for path, problem in problems.stray(entries, kind, self.known[kind]):
                    yield Setting("", path), problem

    def _host(self, name: str) -> _Host:
        raw = self.task_vars["hostvars"].raw_get(name)
        groups = {"all", *raw["group_names"]}
        settings = {
            setting.name: setting
            # What comes last wins.
            for setting in sorted(self.settings, key=self._weight)
            if (owner := setting.owner) is None
            or owner.name in (groups if owner.kind == "group" else {name})
        }
        return _Host(self, name, raw, settings)

    def _weight(self, setting: Setting) -> tuple[int, int]:
        """Sort by how much a setting says about one host: the smaller a group, the more."""
        if setting.owner is None:
            return 2, 0
        if setting.owner.kind == "host":
            return 1, 0
        return 0, -len(self.groups.get(setting.owner.name, ()))


class _Host:
    """The values that Ansible makes for one host, and where each is set."""

    def __init__(
        self,
        inventory: Inventory,
        name: str,
        raw: Mapping[str, Any],
        settings: Mapping[str, Setting],
    ) -> None:
        self.inventory = inventory
        self.name = name
        self.raw = raw
        self.settings = settings
        self.variables = {**inventory.play_vars, **raw}
        self.templar = Templar(loader=inventory.loader, variables=self.variables)

    def look(self, name: str, default: Any) -> Any:
        return self.templar.template(self.variables.get(name, default))

    def problems(self) -> Found:
        roles = set(self.look(self.inventory.roles_in, []))
        wrong: set[Setting] = set()
        for setting, problem in (*self._values(roles), *self._held()):
            wrong.add(setting)
            yield setting, problem
        for name, (readers, judge) in judges.JUDGES.items():
            if name in self.settings and self.settings[name] not in wrong and readers & roles:
                yield from self._judged(self.settings[name], judge)
        if "streams" in self.settings:
            yield from self._judged(self.settings["streams"], self._profiles)

    def ssh_tries(self) -> int:
        """Return how many keys the host's sshd lets a client offer."""
        name = "hardening_ssh_max_tries"
        return int(self.look(name, self.inventory.options[name]["default"]))

    def offers_all_keys(self) -> bool:
        """Whether ssh would offer the host every key of the agent."""
        try:
            address = str(self.look("ansible_host", self.name))
            arguments = shlex.split(str(self.look("ansible_ssh_common_args", "")))
            by_ssh = self.look("ansible_connection", "ssh") == "ssh"
        except AnsibleError:
            # They stand on what exists later.
            return False
        return bool(by_ssh) and agent.offers_all(address, arguments)

    def _profiles(self, value: Any, _look: judges.Look) -> list[judges.Problem]:
        return judges.profile_problems(value, self.inventory.profiles)

    def _judged(self, setting: Setting, judge: judges.Judge) -> Found:
        """Judge what a type cannot say, of a value whose type is right."""
        try:
            found = judge(self.look(setting.name, None), self.look)
        except AnsibleError:
            # It stands on what exists later; the role's own check sees it.
            return
        for problem, keys in found:
            yield setting.at(keys), f"{setting.name}: {problem}"

    def _values(self, roles: Iterable[str]) -> Found:
        for role in sorted(roles):
            for name, option in self.inventory.specs.get(role, {}).items():
                if name in self.settings and name in self.raw:
                    yield from self._value(name, self.raw[name], option, self.settings[name])
                elif option.get("required") and name not in self.raw:
                    problem = (
                        f"{name} is set nowhere, and role {role} needs it: "
                        f"{variables.first_sentence(option)} Set it in group_vars."
                    )
                    yield Setting(name, ""), problem

    def _held(self) -> Found:
        """Look into the mappings that hold variables of other playbooks."""
        for holder in self.inventory.variables_in:
            held = self.raw.get(holder)
            for name, value in held.items() if isinstance(held, Mapping) else ():
                option = self.inventory.options.get(name)
                setting = self.settings.get(name) or self.settings.get(holder)
                if option and setting:
                    yield from self._value(name, value, option, setting)

    def _value(self, name: str, value: Any, option: Mapping[str, Any], setting: Setting) -> Found:
        try:
            # Deep inside, values are rendered when they are looked at.
            rendered = self.templar.template(value)
            found = variables.value_problems(name, rendered, option, secret=self._secret(value))
        except AnsibleUndefinedVariable as error:
            yield from self._undefined(name, value, setting, str(error.message))
            return
        except AnsibleError as error:
            found = [f"{name} {_unusable(str(error.message))}"]
        for problem in found:
            yield setting, problem

    def _secret(self, value: Any) -> bool:
        """Whether a value is encrypted or refers to what is, or to a secret by its name."""
        needed = references.all_references(value, self.variables)
        return any(name.startswith(_SECRET) for name in needed) or any(
            references.holds(each, EncryptedString)
            for each in (value, *(self.variables.get(name) for name in needed))
        )

    def _undefined(self, name: str, value: Any, setting: Setting, message: str) -> Found:
        missing, later = references.missing(name, value, self.variables, self.inventory.options)
        for needed, holder in missing.items():
            if needed.startswith(_SECRET):
                advice = f"put it into a vault beside (docs/secrets.md), or take {holder} out"
            else:
                meant = variables.suggestion(needed, self.variables)
                advice = f"write {meant}" if meant else "set it, or take the reference out"
            elsewhere = any(needed == each.name for each in self.inventory.settings)
            where = "not set for every host that needs it" if elsewhere else "set nowhere"
            refers = f"{holder} refers to {needed}, which is {where}: {advice}"
            yield self.settings.get(holder, setting), refers
        # What it stands on may exist once the role runs; the role's own check sees it.
        if not missing and not later:
            yield setting, f"{name} cannot be worked out: {message}"


def _unusable(message: str) -> str:
    if _UNDECRYPTABLE in message:
        return (
            "needs a value that is encrypted, and no password was given that opens it: "
            "add --ask-vault-pass (docs/secrets.md has other ways)"
        )
    return f"cannot be worked out: {message}"


def _options(path: Path) -> dict[str, Any]:
    """Return the options of all entry points of a role; those of ``main`` win.

    What another entry point requires, its caller gives: only ``main`` asks the inventory.
    """
    entries = yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"]
    main = entries.get("main", {}).get("options") or {}
    options = {
        name: {**option, "required": False}
        for entry in entries.values()
        for name, option in (entry.get("options") or {}).items()
    }
    return {**options, **main}
