"""The files of an inventory, read as Ansible reads them."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from ansible import constants
from ansible.errors import AnsibleError
from ansible.inventory.data import InventoryData
from ansible.inventory.manager import IGNORED
from ansible.plugins.loader import inventory_loader

from stxmirror.inventory.places import (
    YAML_SUFFIXES,
    NotYamlError,
    Owner,
    Setting,
    compose,
    in_ini_inventory,
    in_variables,
    in_yaml_inventory,
    located,
    quoted_line,
)
from stxmirror.inventory.problems import owner_name

VARIABLES = {"group_vars": "group", "host_vars": "host"}
# What Ansible itself sets for each host that it finds in a file.
_OWN = frozenset({"inventory_file", "inventory_dir"})
_VAULT = b"$ANSIBLE_VAULT"


@dataclass(frozen=True)
class Unread:
    """A file that cannot be read, and why; ``locked`` if only for want of a password."""

    path: Path
    line: int
    problem: str
    locked: Owner | None = None

    def __str__(self) -> str:
        """Return it with its place."""
        place = f"{self.path}:{self.line}" if self.line else str(self.path)
        return f"{place}: {self.problem}"


def bases(sources: Sequence[str]) -> list[Path]:
    """Return the directories that group_vars and host_vars are looked for in."""
    paths = [Path(source) for source in sources if "," not in source]
    return list(dict.fromkeys(path if path.is_dir() else path.parent for path in paths))


def inventory_files(sources: Sequence[str]) -> Iterator[Path]:
    """Yield the files that hosts are looked for in; a source that does not exist is one, too."""
    for source in sources:
        if "," not in source:
            yield from _files_of(Path(source))


def _files_of(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    for entry in sorted(path.iterdir()):
        if not IGNORED.search(os.fsencode(entry.name)):
            yield from _files_of(entry)


def entries(base: Path, kind: str) -> list[Path]:
    """Return what lies in group_vars or host_vars, what Ansible prefers first."""
    directory = base / kind
    found = list(directory.iterdir()) if directory.is_dir() else []
    order = {suffix: number for number, suffix in enumerate(YAML_SUFFIXES)}
    return sorted(found, key=lambda path: (path.stem, order.get(path.suffix, 0)))


def variable_files(
    base: Path, known: Mapping[str, Collection[str]]
) -> Iterator[tuple[Path, Owner]]:
    """Yield the files of variables, and whose they are; ``known`` are names by kind."""
    for directory, kind in VARIABLES.items():
        for entry in entries(base, directory):
            owner = Owner(kind, owner_name(entry.name, entry.is_dir(), known[kind]))
            for path in sorted(entry.rglob("*")) if entry.is_dir() else [entry]:
                hidden = any(part[0] == "." for part in path.relative_to(base).parts)
                if path.is_file() and not hidden and (path == entry or _is_yaml(path)):
                    yield path, owner


def _is_yaml(path: Path) -> bool:
    return path.suffix in YAML_SUFFIXES and not path.name.endswith("~")


def settings(
    loader: Any, sources: Sequence[str], known: Mapping[str, Collection[str]], nested: list[str]
) -> Iterator[Setting]:
    """Yield every variable that the inventory sets; what cannot be read has been refused before."""
    for base in bases(sources):
        for path, owner in variable_files(base, known):
            try:
                text = _text(loader, path)
                yield from in_variables(compose(text), str(path), owner, nested)
            except (AnsibleError, NotYamlError):
                # A vault without a password, of a group that has no hosts.
                continue
    for path in inventory_files(sources):
        yield from _beside_hosts(loader, path, nested)


def _beside_hosts(loader: Any, path: Path, nested: list[str]) -> Iterator[Setting]:
    """Yield what a file sets beside its hosts and groups, by what Ansible finds in it."""
    data, _ = _parsed(loader, path)
    if data is None:
        return
    owned = [
        (Owner(kind, name), item.vars)
        for kind, found in (("group", data.groups), ("host", data.hosts))
        for name, item in found.items()
    ]
    written = list(_written(loader, path, nested)) if any(held for _, held in owned) else []
    for owner, held in owned:
        for name in held:
            if name not in _OWN:
                yield from located(Setting(str(name), str(path), 0, owner), written)


def _written(loader: Any, path: Path, nested: list[str]) -> Iterator[Setting]:
    kind = _kind(path)
    if kind == "yaml":
        yield from in_yaml_inventory(compose(_text(loader, path)), str(path), nested)
    elif kind == "ini":
        yield from in_ini_inventory(_text(loader, path), str(path))


def _kind(path: Path) -> str:
    """Return the inventory plugin whose word about a file counts."""
    if path.suffix in YAML_SUFFIXES[1:]:
        return "yaml"
    return "script" if os.access(path, os.X_OK) else "ini"


def _text(loader: Any, path: Path) -> str:
    return str(loader.get_text_file_contents(str(path)))


def _parsed(loader: Any, path: Path) -> tuple[InventoryData | None, dict[str, str]]:
    """Return what the first of Ansible's inventory plugins that can read a file finds in it.

    If none can, return why, by the name of each plugin that tried.
    """
    failures: dict[str, str] = {}
    for name in constants.INVENTORY_ENABLED:
        plugin = inventory_loader.get(name)
        if plugin is None or not plugin.verify_file(str(path)):
            continue
        data = InventoryData()
        data.current_source = str(path)
        try:
            plugin.parse(data, loader, str(path), cache=True)
        except Exception as error:  # a plugin may raise anything
            failures[name] = _cause(error)[0]
            continue
        return data, {}
    return None, failures


def _cause(error: BaseException) -> tuple[str, int]:
    """Return the innermost reason of an error, on one line, and its line in the file or 0."""
    while error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        return str(error.problem), error.problem_mark.line + 1
    text = " ".join(str(getattr(error, "message", "") or error).split())
    # The name of a class says nothing to people.
    return re.sub(r",? (and )?found \"?<class.*", "", text).rstrip("."), 0


def unread(
    loader: Any, sources: Sequence[str], known: Mapping[str, Collection[str]]
) -> Iterator[Unread]:
    """Yield every file of the inventory that Ansible cannot read."""
    for base in bases(sources):
        for path, owner in variable_files(base, known):
            yield from _unread_variables(loader, path, owner)
    for path in inventory_files(sources):
        yield from _unread_inventory(loader, path)


def _unread_variables(loader: Any, path: Path, owner: Owner) -> Iterator[Unread]:
    encrypted = path.read_bytes().startswith(_VAULT)
    try:
        text = _text(loader, path)
    except AnsibleError as error:
        if encrypted:
            problem = (
                "is encrypted, and no password was given that opens it: "
                "add --ask-vault-pass (docs/secrets.md has other ways)"
            )
            yield Unread(path, 0, problem, owner)
        else:
            yield Unread(path, 0, f"cannot be read ({_cause(error)[0]}): correct it")
        return
    try:
        node = compose(text)
    except NotYamlError as error:
        # What the parser says about a vault may quote a secret.
        problem = "is no YAML: correct this line or the ones before it"
        yield Unread(path, error.line, problem if encrypted else str(error))
        return
    if node is None:
        return
    try:
        value = loader.load_from_file(str(path), cache="none")
    except AnsibleError as error:
        reason, line = _cause(error)
        told = "" if encrypted else f" ({reason})"
        yield Unread(path, line or 1, f"is nothing that Ansible can read{told}: correct it")
        return
    if value is not None and not isinstance(value, Mapping):
        line = node.start_mark.line + 1
        yield Unread(path, line, f"has no variables: write `name: value` for {owner}")


def _unread_inventory(loader: Any, path: Path) -> Iterator[Unread]:
    if not path.exists():
        problem = "does not exist: name your inventory, such as -i inventories/mysite"
        yield Unread(path, 0, problem)
        return
    data, failures = _parsed(loader, path)
    if data is not None:
        return
    kind = _kind(path)
    reason = failures.get(kind, "no inventory plugin accepts it")
    if kind == "script":
        yield Unread(path, 0, f"gives no inventory ({reason}): run `{path} --list` to see why")
        return
    try:
        text = _text(loader, path)
        if kind == "yaml":
            compose(text)
    except NotYamlError as error:
        yield Unread(path, error.line, str(error))
    except AnsibleError as error:
        yield Unread(path, 0, f"cannot be read ({_cause(error)[0]}): correct it")
    else:
        problem = f"is no inventory ({reason}): compare it with inventories/example"
        yield Unread(path, quoted_line(text, reason), problem)
