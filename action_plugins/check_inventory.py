# Copyright the StarlingX build tools authors
# SPDX-License-Identifier: Apache-2.0
"""Action check_inventory: refuse variables that nothing reads, or whose values cannot be meant."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from ansible.errors import AnsibleError, AnsibleUndefinedVariable
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.action import ActionBase
from ansible.utils.vars import load_extra_vars

try:
    from stxmirror import admins, networks, streams, variables
    from stxmirror.errors import StxMirrorError
except ImportError as problem:
    MISSING = str(problem)
else:
    MISSING = ""

# Returns the value of a variable, or what is given where it is not set.
_Look = Callable[[str, Any], Any]

_ROLES = Path(__file__).resolve().parent.parent / "roles"
# As docs/secrets.md has secrets called.
_VAULTED = re.compile(r"\bvault_\w+")
_COMMAND_LINE = "the command line (-e)"
_YAML = frozenset({".yml", ".yaml", ".json", ""})


class ActionModule(ActionBase):
    """Looks at what people wrote, on the controller alone."""

    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict:
        """Return how many variables were looked at, or fail with everything that is wrong."""
        result = super().run(tmp, task_vars)
        task_vars = task_vars or {}
        if MISSING:
            raise AnsibleError(
                f"The project's own package is not installed ({MISSING}): run script/bootstrap"
            )
        _, arguments = self.validate_argument_spec(
            argument_spec={
                "roles": {"type": "list", "elements": "str", "required": True},
                "variables_in": {"type": "list", "elements": "str", "default": []},
                "also_read": {"type": "list", "elements": "str", "default": []},
            }
        )
        specs = {path.parent.parent.name: _options(path) for path in _spec_files()}
        known = {name: option for spec in specs.values() for name, option in spec.items()}
        places, problems = self._places(task_vars, arguments["variables_in"])
        problems += _stray(task_vars)
        names = {*known, *arguments["also_read"], *task_vars["groups"]}
        for name, place in places.items():
            problem = variables.name_problem(name, names, specs)
            if problem:
                problems.append(f"{place}: {problem}")
        problems += self._values(task_vars, arguments, specs, known, places)
        problems += self._meanings(task_vars, arguments["roles"], places, problems)
        if problems:
            result["failed"] = True
            result["msg"] = "\n".join(
                ["Nothing was changed. Mend this in the inventory first:", *problems]
            )
            return result
        result["checked"] = len(places)
        return result

    def _places(
        self, task_vars: Mapping[str, Any], nested: list[str]
    ) -> tuple[dict[str, str], list[str]]:
        """Return every variable that people set, and where; and what one group sets twice."""
        places: dict[str, str] = {}
        problems = []
        for source in map(Path, task_vars.get("ansible_inventory_sources") or []):
            base = source if source.is_dir() else source.parent
            for owner, paths in _variable_files(base).items():
                found: dict[str, str] = {}
                for path in paths:
                    for name, place in _keys(_composed(self._loader, path), path, nested):
                        if name in found:
                            problems.append(
                                f"{place}: {name} is set in {found[name]} for {owner.name} "
                                "too, and one of them is not read: keep one"
                            )
                        found[name] = place
                places.update(found)
            for path in sorted(base.iterdir()) if source.is_dir() else [source]:
                if path.is_file():
                    places.update(_names_of_hosts(self._loader, path, nested))
        places.update(dict.fromkeys(load_extra_vars(self._loader), _COMMAND_LINE))
        return places, problems

    def _values(
        self,
        task_vars: Mapping[str, Any],
        arguments: Mapping[str, Any],
        specs: Mapping[str, Mapping[str, Any]],
        known: Mapping[str, Any],
        places: Mapping[str, str],
    ) -> Iterator[str]:
        for role in arguments["roles"]:
            for name, option in specs.get(role, {}).items():
                if name in places and name in task_vars:
                    yield from self._value(name, task_vars[name], option, places[name])
                elif option.get("required") and name not in task_vars:
                    yield (
                        f"{name} is set nowhere, and role {role} needs it: "
                        f"{variables.first_sentence(option)} Set it in group_vars."
                    )
        for holder in arguments["variables_in"]:
            held = task_vars.get(holder)
            for name, value in held.items() if isinstance(held, Mapping) else ():
                if name in known:
                    yield from self._value(name, value, known[name], places.get(name, holder))

    def _meanings(
        self,
        task_vars: Mapping[str, Any],
        roles: list[str],
        places: Mapping[str, str],
        problems: list[str],
    ) -> list[str]:
        """Judge what a type cannot say, of values whose type is right."""
        found = []
        for name, (readers, judge) in _MEANINGS.items():
            wrong = any(problem.startswith(f"{places.get(name)}: ") for problem in problems)
            if name not in places or name not in task_vars or wrong or not readers & {*roles}:
                continue
            try:
                said = judge(self._templar.template(task_vars[name]), self._look(task_vars))
            except AnsibleError:
                # It stands on what exists later; the role's own check sees it.
                continue
            found += [f"{places[name]}: {name}: {problem}" for problem in said]
        return found

    def _look(self, task_vars: Mapping[str, Any]) -> _Look:
        return lambda name, default: self._templar.template(task_vars.get(name, default))

    def _value(self, name: str, value: Any, option: Mapping[str, Any], place: str) -> list[str]:
        try:
            rendered = self._templar.template(value)
            # Deep inside, values are rendered when they are looked at.
            found = variables.value_problems(name, rendered, option)
        except AnsibleUndefinedVariable as error:
            # What it stands on may exist once the role runs; the role's own check sees it. A
            # secret will not.
            secret = _VAULTED.search(str(error.message))
            if secret is None:
                return []
            found = [
                f"{name} refers to {secret.group()}, which is set nowhere: put it into a vault "
                f"beside (docs/secrets.md), or take {name} out"
            ]
        except AnsibleError as error:
            found = [f"{name} cannot be worked out: {error.message}"]
        return [f"{place}: {problem}" for problem in found]


def _network_problems(value: Any, look: _Look) -> list[str]:
    if not look("hardening_firewall_enabled", True):
        return []
    return networks.network_problems(value, everybody=look("hardening_admin_networks_open", False))


def _mirror_problems(value: Mapping[str, Any], look: _Look) -> list[str]:
    """Say now what a build would learn at its end."""
    if "publish_host" not in value:
        return ["lacks publish_host: write the mirror's name as build_env_mirrors has it"]
    host, port = value["publish_host"], value.get("publish_port", 22)
    if not host or "publish_known_hosts" in value:
        return []
    name = host if port == 22 else f"[{host}]:{port}"
    mirrors = look("build_env_mirrors", [])
    if isinstance(mirrors, str) or not all(isinstance(mirror, Mapping) for mirror in mirrors):
        return []  # said already
    known = [str(mirror.get("name")) for mirror in mirrors]
    if name in known:
        return []
    others = f"write {' or '.join(known)} instead, or " if known else ""
    return [
        f"publish_host is {host}, and build_env_mirrors has no {name}, so that publishing would be "
        f"refused: {others}add an entry with that name there"
    ]


def _stream_problems(value: Any, _look: _Look) -> list[str]:
    try:
        streams.check_streams(value)
    except StxMirrorError as problem:
        return [str(problem)]
    return []


# What is wrong with a value as a whole, and the roles that would say so once they are on the host.
_MEANINGS: dict[str, tuple[set[str], Callable[[Any, _Look], list[str]]]] = {
    "users_admins": ({"users"}, lambda value, _look: admins.admin_problems(value)),
    "hardening_admin_networks": ({"hardening"}, _network_problems),
    "scheduler_variables": ({"scheduler"}, _mirror_problems),
    "streams": ({"scheduler", "mirror_host"}, _stream_problems),
}


def _spec_files() -> list[Path]:
    return sorted(_ROLES.glob("*/meta/argument_specs.yml"))


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


def _variable_files(base: Path) -> dict[Path, list[Path]]:
    """Return the files of each group and host, by the path that carries its name."""
    files: dict[Path, list[Path]] = {}
    for kind in ("group_vars", "host_vars"):
        for path in sorted((base / kind).rglob("*")):
            if path.is_file() and path.suffix in _YAML and not path.name.startswith("."):
                first = path.relative_to(base / kind).parts[0]
                files.setdefault(base / kind / Path(first).stem, []).append(path)
    return files


def _stray(task_vars: Mapping[str, Any]) -> list[str]:
    """Return what lies in group_vars and host_vars under a name that is no group or host."""
    problems = []
    names = {
        "group_vars": {"all", "ungrouped", *task_vars["groups"]},
        "host_vars": set(task_vars["hostvars"]),
    }
    for source in map(Path, task_vars.get("ansible_inventory_sources") or []):
        base = source if source.is_dir() else source.parent
        for kind, known in names.items():
            directory = base / kind
            for path in sorted(directory.iterdir()) if directory.is_dir() else []:
                name = path.name if path.is_dir() else path.stem
                if name not in known and not name.startswith("."):
                    what = kind.removesuffix("_vars")
                    meant = variables.suggestion(name, known)
                    advice = f"rename it to {meant}" if meant else f"add that {what}, or remove it"
                    problems.append(
                        f"{path}: is never read, there is no {what} {name} in the inventory: "
                        f"{advice}"
                    )
    return problems


def _composed(loader: DataLoader, path: Path) -> yaml.Node | None:
    """Parse a file, as a vault has it too, keeping line numbers and making no values."""
    try:
        text = loader.get_text_file_contents(str(path))
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except (AnsibleError, yaml.YAMLError):
        # An inventory of another format. What Ansible could not read itself stopped it earlier.
        return None


def _keys(node: yaml.Node | None, path: Path, nested: list[str]) -> Iterator[tuple[str, str]]:
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        yield key.value, f"{path}:{key.start_mark.line + 1}"
        if key.value in nested:
            yield from _keys(value, path, [])


def _names_of_hosts(loader: DataLoader, path: Path, nested: list[str]) -> dict[str, str]:
    """Return the variables that an inventory file sets beside its hosts and groups."""
    found: dict[str, str] = {}

    def group(node: yaml.Node) -> None:
        if not isinstance(node, yaml.MappingNode):
            return
        for key, value in node.value:
            if key.value == "vars":
                found.update(_keys(value, path, nested))
            elif key.value in ("hosts", "children") and isinstance(value, yaml.MappingNode):
                for _, below in value.value:
                    if key.value == "children":
                        group(below)
                    else:
                        found.update(_keys(below, path, nested))

    root = _composed(loader, path) if path.suffix in _YAML else None
    if isinstance(root, yaml.MappingNode):
        for _, node in root.value:
            group(node)
    return found
