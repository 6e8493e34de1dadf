#!/usr/bin/python3
"""Bring many files of a host to what they shall be, in one go."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
---
module: config_files
short_description: Bring configuration files, and the units that read them, to what they shall be
version_added: "0.2.0"
author:
  - StarlingX build tools (@starlingx)
description:
  - One call, and so one journey to the host, does what a loop over M(ansible.builtin.copy),
    M(ansible.builtin.file) and M(ansible.builtin.lineinfile) does in one journey for each file.
  - The units that read the files are started, stopped and enabled in the same call.
  - A file is replaced in one step, after its own program has found it good if O(files[].validate)
    names one; nothing is written if any of them is refused.
options:
  files:
    description: The files, in their order.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: The file. A pattern of the shell, if only O(files[].mode) and owners are given.
        type: path
        required: true
      content:
        description: All that the file shall hold.
        type: str
      settings:
        description:
          - Lines of a name and a value that the file shall have; the rest of it stays. A line with
            the name, also one that is commented out, is changed; if there is none, one is added.
          - Where the value is null, a line with the name is taken away.
        type: dict
      separator:
        description: What lies between name and value in O(files[].settings).
        type: str
        default: " "
      add_at:
        description: Where a line of O(files[].settings) goes that was not there before.
        type: str
        choices: [start, end]
        default: end
      state:
        description:
          - V(file) and V(directory) are made if they are missing. V(existing) changes owner and
            mode of what is there, and nothing else. V(absent) is taken away.
        type: str
        choices: [file, directory, existing, absent]
        default: file
      mode:
        description:
          - Octal mode, or like V(go-w), so that a mode that is stricter already stays.
        type: str
      owner:
        description: Owner.
        type: str
        default: root
      group:
        description: Group.
        type: str
        default: root
      validate:
        description:
          - A command that says by its exit code whether the file, V(%s), is good.
          - It may be a program that comes in the same call.
        type: str
  units:
    description:
      - The systemd units that read the files, in their order; all are asked for in one call.
      - If one of the files is systemd's, systemd reads its files again first.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The unit, with its ending.
        type: str
        required: true
      state:
        description: V(started) or V(stopped); left as it is if not given.
        type: str
        choices: [started, stopped]
      enabled:
        description: Whether it starts with the host; left as it is if not given.
        type: bool
      masked:
        description: Whether nothing may start it.
        type: bool
      restart:
        description:
          - Whether a started unit is restarted if one of the files was changed, now or since it
            was last started or reloaded.
        type: bool
        default: false
      handled:
        description:
          - Whether a handler of this task has the unit read its files. If the unit was last
            started or reloaded before one of them was written, it counts as changed, so that the
            handler of a run that was ended too early follows in the next one.
        type: bool
        default: false
attributes:
  check_mode:
    description: In check mode nothing is written.
    support: full
  diff_mode:
    description: The change of each file.
    support: full
"""

EXAMPLES = r"""
- name: Limit what sudo does
  config_files:
    files:
      - path: /etc/sudoers.d/10-hardening
        content: "{{ lookup('ansible.builtin.template', 'sudoers.j2') }}"
        mode: "0440"
        validate: /usr/sbin/visudo --check --file=%s
      - path: /etc/login.defs
        settings: {UMASK: "027"}
        separator: "\t"
        mode: "0644"
      - path: /etc/cron.d
        state: existing
        mode: "0700"
"""

RETURN = r"""
paths:
  description: The files that were changed.
  returned: always
  type: list
  elements: str
  sample: [/etc/login.defs]
units:
  description: The units that were changed.
  returned: always
  type: list
  elements: str
  sample: [stx-watch.timer]
"""

import glob
import os
import re
import shlex
import tempfile
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.systemd_units import UnitError, bring


def with_settings(text: str, settings: dict, separator: str, add_at: str) -> str:
    """Return the text with one line for each setting, where one was or else at start or end."""
    # Not splitlines(), for which a form feed or U+0085 within a line is the end of it.
    lines = text.removesuffix("\n").split("\n") if text else []
    for name, value in settings.items():
        wanted = f"{name}{separator}{value}"
        named = re.compile(rf"\s*{re.escape(name)}(\s|\s*[=:]|$)")
        mentioned = re.compile(rf"\s*#?\s*{re.escape(name)}(\s*[=:]|\s+\S+\s*$|\s*$)")
        places = [index for index, line in enumerate(lines) if named.match(line)]
        if value is None:
            lines = [line for index, line in enumerate(lines) if index not in places]
            continue
        places = places or [index for index, line in enumerate(lines) if mentioned.match(line)][:1]
        if places:
            lines[places[0]] = wanted
            for index in reversed(places[1:]):
                del lines[index]
        else:
            lines.insert(0 if add_at == "start" else len(lines), wanted)
    return "\n".join(lines) + "\n"


def read(path: str) -> str | None:
    """Return what a file holds, or None if there is none."""
    try:
        # As it is: Python would make a line's end of each carriage return.
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as stream:  # noqa: PTH123
            return stream.read()
    except FileNotFoundError:
        return None


class Files:
    """The work on the files of one call."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.changed: list[str] = []
        self.diff: list[dict] = []

    def wanted_text(self, file: dict) -> str | None:
        """Return what the file shall hold; None leaves that as it is."""
        if file["content"] is not None:
            return file["content"]
        if file["settings"] is not None:
            return with_settings(
                read(file["path"]) or "", file["settings"], file["separator"], file["add_at"]
            )
        return None

    def stage(self, file: dict) -> tuple[str, str] | None:
        """Write new content beside the file and have it judged; return both names."""
        if file["state"] != "file":
            return None
        text, old = self.wanted_text(file), read(file["path"])
        if text is None or text == old:
            return None
        path = file["path"]
        self.note(path, old or "", text)
        if self.module.check_mode and not os.path.isdir(os.path.dirname(path)):  # noqa: PTH112, PTH120
            return None
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)  # noqa: PTH103, PTH120
        # Programs that read a whole directory leave out names with a dot in front.
        handle, name = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".stx-")  # noqa: PTH120
        with os.fdopen(
            handle, "w", encoding="utf-8", errors="surrogateescape", newline=""
        ) as stream:
            stream.write(text)
        return name, path

    def judge(self, file: dict, staged: str, programs: dict[str, str]) -> str | None:
        """Return why the file's own program, which may be a staged one, refuses it, if it does."""
        if not file["validate"]:
            return None
        program, *words = shlex.split(file["validate"])
        command = [programs.get(program, program), *(word.replace("%s", staged) for word in words)]
        if not os.path.exists(command[0]):  # noqa: PTH110
            return None
        code, out, err = self.module.run_command(command)
        return f"{file['path']} was refused by {program}: {(err or out).strip()}" if code else None

    def note(self, path: str, before: str, after: str) -> None:
        """Remember a change."""
        if path not in self.changed:
            self.changed.append(path)
        self.diff.append(
            {"before_header": path, "before": before, "after_header": path, "after": after}
        )

    def note_unit(self, name: str, verbs: list[str]) -> None:
        """Remember what systemctl does with a unit."""
        after = "".join(f"systemctl {verb}\n" for verb in verbs)
        self.diff.append(
            {"before_header": name, "before": "", "after_header": name, "after": after}
        )

    def attributes(self, file: dict, path: str) -> None:
        """Set owner and mode."""
        wanted = {"path": path, **{key: file[key] for key in ("owner", "group", "mode")}}
        told = self.module.load_file_common_arguments({**self.module.params, **wanted}, path=path)
        if self.module.set_fs_attributes_if_different(told, changed=False):
            self.note(path, "owner or mode\n", f"{file['owner']} {file['group']} {file['mode']}\n")

    def place(self, file: dict) -> None:
        """Do what is not about content: directories, owners, modes, removal."""
        path, state = file["path"], file["state"]
        if state == "existing":
            for found in sorted(glob.glob(path)):  # noqa: PTH207 - from the root, not from here
                if not os.path.islink(found):  # noqa: PTH114
                    self.attributes(file, found)
            return
        if state == "absent":
            if os.path.lexists(path):
                self.note(path, "present\n", "absent\n")
                if not self.module.check_mode:
                    os.unlink(path)  # noqa: PTH108
            return
        if state == "directory" and not os.path.isdir(path):  # noqa: PTH112
            self.note(path, "absent\n", "directory\n")
            if not self.module.check_mode:
                os.makedirs(path)  # noqa: PTH103
        missing = state == "file" and not os.path.exists(path)  # noqa: PTH110
        if missing and self.wanted_text(file) is None:
            self.note(path, "absent\n", "present\n")
            if not self.module.check_mode:
                Path(path).touch()
        if os.path.exists(path):  # noqa: PTH110
            self.attributes(file, path)

    def written(self) -> float:
        """Return when the newest of the files was written, in seconds since 1970; 0 for none."""
        paths = [
            path
            for file in self.module.params["files"]
            if file["state"] in ("file", "existing")
            for path in glob.glob(file["path"])  # noqa: PTH207 - from the root, not from here
        ]
        return max((os.stat(path).st_mtime for path in paths), default=0)  # noqa: PTH116

    def work(self) -> None:
        """Judge all new contents, then put all in place."""
        files = self.module.params["files"]
        staged = []
        try:
            for file in files:
                staged.append(self.stage(file))
            programs = {path: name for name, path in filter(None, staged)}
            for file, pair in zip(files, staged):
                if pair and self.module.check_mode:
                    os.chmod(pair[0], 0o700)  # noqa: PTH101 - it may be what another is tried with
                elif pair:
                    self.attributes(file, pair[0])
            for file, pair in zip(files, staged):
                refused = self.judge(file, pair[0], programs) if pair else None
                if refused:
                    self.module.fail_json(msg=refused)
            for file, pair in zip(files, staged):
                if pair and not self.module.check_mode:
                    os.replace(*pair)  # noqa: PTH105
                self.place(file)
        finally:
            for pair in filter(None, staged):
                if os.path.exists(pair[0]):  # noqa: PTH110
                    os.unlink(pair[0])  # noqa: PTH108
        # What happened to a file under its passing name is no change of its own.
        passing = {pair[0] for pair in staged if pair}
        self.changed = [path for path in self.changed if path not in passing]
        self.diff = [part for part in self.diff if part["before_header"] not in passing]


def main() -> None:
    """Read the arguments, do the work and report."""
    one = {
        "path": {"type": "path", "required": True},
        "content": {"type": "str"},
        "settings": {"type": "dict"},
        "separator": {"type": "str", "default": " "},
        "add_at": {"type": "str", "choices": ["start", "end"], "default": "end"},
        "state": {
            "type": "str",
            "choices": ["file", "directory", "existing", "absent"],
            "default": "file",
        },
        "mode": {"type": "str"},
        "owner": {"type": "str", "default": "root"},
        "group": {"type": "str", "default": "root"},
        "validate": {"type": "str"},
    }
    unit = {
        "name": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["started", "stopped"]},
        "enabled": {"type": "bool"},
        "masked": {"type": "bool"},
        "restart": {"type": "bool", "default": False},
        "handled": {"type": "bool", "default": False},
    }
    module = AnsibleModule(
        argument_spec={
            "files": {"type": "list", "elements": "dict", "default": [], "options": one},
            "units": {"type": "list", "elements": "dict", "default": [], "options": unit},
        },
        supports_check_mode=True,
    )
    files = Files(module)
    units: dict[str, list[str]] = {}
    try:
        written = files.written()
        files.work()
        if module.params["units"]:
            units = bring(
                *(module.run_command, module.params["units"], files.changed),
                *(module.check_mode, written),
            )
    except OSError as error:
        module.fail_json(msg=f"{error.filename} was not written: {error.strerror}")
    except UnitError as error:
        module.fail_json(msg=str(error))
    for name, verbs in units.items():
        files.note_unit(name, verbs)
    module.exit_json(
        changed=bool(files.changed or units),
        paths=files.changed,
        units=list(units),
        diff=files.diff,
    )


if __name__ == "__main__":
    main()
