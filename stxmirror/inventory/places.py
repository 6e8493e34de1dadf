"""Which variables a file of an inventory sets, and on which line."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace

import yaml

from stxmirror.errors import StxMirrorError

# The endings under which Ansible reads YAML.
YAML_SUFFIXES = ("", ".yml", ".yaml", ".json")
COMMAND_LINE = "the command line (-e)"

_QUOTED = re.compile(r"'([^']+)'|\"([^\"]+)\"")
_SECTION = re.compile(r"\[([^:\]\s]+)(?::(\w+))?\]")


@dataclass(frozen=True)
class Owner:
    """A group or a host that variables are set for."""

    kind: str
    name: str

    def __str__(self) -> str:
        """Return it in words, such as `group mirrors`."""
        return f"{self.kind} {self.name}"


@dataclass(frozen=True)
class Setting:
    """One variable that somebody set; without ``owner`` it holds for every host.

    ``line`` 0 means that the file, a program for example, has none. ``holder`` is the mapping
    that the variable is a key of, if it is one.
    """

    name: str
    path: str
    line: int = 0
    owner: Owner | None = None
    holder: str = ""
    value: yaml.Node | None = field(default=None, compare=False)

    @property
    def place(self) -> str:
        """The file and the line, or who it is set for in a file without lines."""
        if self.line:
            return f"{self.path}:{self.line}"
        return f"{self.path} ({self.owner})" if self.owner else self.path

    def at(self, keys: Sequence[str | int]) -> Setting:
        """Return it with the line of what lies deeper in its value, as far as that is found."""
        return replace(self, line=_line_of(self.value, keys) or self.line)


class NotYamlError(StxMirrorError):
    """A text that does not parse."""

    def __init__(self, what: str, line: int) -> None:
        """Keep the line, counted from 1, beside the sentence."""
        super().__init__(what)
        self.line = line


def compose(text: str) -> yaml.Node | None:
    """Parse YAML, keeping line numbers and making no values; raise NotYamlError."""
    try:
        node: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        if "'\\t'" in str(error.problem):
            what = "has a tab where YAML takes spaces only: replace it"
        else:
            what = f"is no YAML ({error.problem}): correct this line or the ones before it"
        raise NotYamlError(what, mark.line + 1 if mark else 1) from error
    except yaml.reader.ReaderError as error:
        # Ansible decodes a byte that is no UTF-8 to a surrogate.
        code = ord(text[error.position])
        byte = 0xDC80 <= code <= 0xDCFF
        what = f"the byte {code - 0xDC00:#04x}, no UTF-8" if byte else f"the character U+{code:04X}"
        line = text.count("\n", 0, error.position) + 1
        raise NotYamlError(f"has {what}, which YAML does not allow: take it out", line) from error
    return node


def quoted_line(text: str, reason: str) -> int:
    """Return the line of a file that an error message quotes, in whole or a word; 0 if none."""
    numbered = list(enumerate(map(str.strip, text.splitlines()), start=1))
    whole = [number for number, line in numbered if len(line) > 1 and line in reason]
    words = [word for pair in _QUOTED.findall(reason) for word in pair if word]
    parts = [number for word in reversed(words) for number, line in numbered if word in line]
    return next(iter(whole + parts), 0)


def in_variables(
    node: yaml.Node | None, path: str, owner: Owner | None, nested: Collection[str]
) -> Iterator[Setting]:
    """Yield what a mapping of variables sets, and what is set in the mappings called ``nested``."""
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        yield Setting(str(key.value), path, key.start_mark.line + 1, owner, value=value)
        if key.value in nested and isinstance(value, yaml.MappingNode):
            for inner, below in value.value:
                line = inner.start_mark.line + 1
                yield Setting(str(inner.value), path, line, owner, str(key.value), below)


def in_yaml_inventory(
    node: yaml.Node | None, path: str, nested: Collection[str]
) -> Iterator[Setting]:
    """Yield what an inventory in YAML sets beside its groups and hosts.

    A host is called as the file has it, which may be a pattern such as ``build[1:3]``.
    """
    if not isinstance(node, yaml.MappingNode):
        return
    for group, content in node.value:
        for key, value in content.value if isinstance(content, yaml.MappingNode) else ():
            if key.value == "vars":
                yield from in_variables(value, path, Owner("group", str(group.value)), nested)
            elif key.value == "children":
                yield from in_yaml_inventory(value, path, nested)
            elif key.value == "hosts" and isinstance(value, yaml.MappingNode):
                for host, below in value.value:
                    yield from in_variables(below, path, Owner("host", str(host.value)), nested)


def in_ini_inventory(text: str, path: str) -> Iterator[Setting]:
    """Yield what an inventory in INI's format sets beside its groups and hosts."""
    group, kind = "ungrouped", "hosts"
    for number, line in enumerate(map(str.strip, text.splitlines()), start=1):
        section = _SECTION.match(line)
        if section:
            group, kind = section[1], section[2] or "hosts"
        elif not line or line[0] in "#;" or kind == "children":
            continue
        elif kind == "vars":
            yield Setting(line.partition("=")[0].strip(), path, number, Owner("group", group))
        else:
            host, *words = _words(line)
            for word in words:
                name = word.partition("=")[0]
                yield Setting(name, path, number, Owner("host", host))


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line, comments=True) or [line]
    except ValueError:
        # Ansible refuses the file for it.
        return [line]


def located(setting: Setting, written: Collection[Setting]) -> list[Setting]:
    """Return where a variable that Ansible read for a host or group is written.

    ``written`` is what the text of the file shows. It is compared by name first: a host may be
    written as part of a pattern. Nothing found leaves the setting without a line.
    """
    same = [item for item in written if item.name == setting.name and not item.holder]
    exact = [item for item in same if item.owner == setting.owner]
    kind = setting.owner.kind if setting.owner else ""
    near = exact or [item for item in same if item.owner and item.owner.kind == kind] or same
    if not near:
        return [setting]
    chosen = near[-1]
    inner = [
        item
        for item in written
        if item.holder == setting.name and item.owner == chosen.owner and item.path == chosen.path
    ]
    return [replace(item, owner=setting.owner) for item in (chosen, *inner)]


def _line_of(node: yaml.Node | None, keys: Sequence[str | int]) -> int:
    """Return the line of the last key that is found; 0 if none is."""
    line = 0
    for key in keys:
        if isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
            node = node.value[key]
            line = node.start_mark.line + 1
        elif isinstance(node, yaml.MappingNode):
            pairs = [pair for pair in node.value if pair[0].value == str(key)]
            if not pairs:
                return line
            line = pairs[-1][0].start_mark.line + 1
            node = pairs[-1][1]
        else:
            return line
    return line
