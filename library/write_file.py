#!/usr/bin/python3
"""Write a small file as a whole, durably, with the directories that it needs."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
---
module: write_file
short_description: Write a small text or JSON file as a whole
version_added: "0.1.0"
author:
  - StarlingX build tools (@starlingx)
description:
  - Replaces a file so that a reader, and a crash at any moment, find the old content or the new
    one. The new content is on the disk when the task ends.
  - Missing directories above it are made with the mode V(0755).
  - What is written comes with the arguments, so that an account that may not read the
    orchestrator's temporary files can be the one who writes; and one process does it all, where
    M(ansible.builtin.copy) takes four.
options:
  path:
    description: The file.
    type: path
    required: true
  content:
    description: Text, or anything else, which is written as JSON with sorted keys.
    type: raw
    required: true
attributes:
  check_mode:
    description: In check mode nothing is written.
    support: full
extends_documentation_fragment:
  - ansible.builtin.files
"""

EXAMPLES = r"""
- name: Write the record
  write_file:
    path: /var/lib/stx-mirror/builds/master/sample/20261101T020000Z/build.json
    content: "{{ build_session_record }}"
    owner: orchestrator
    group: orchestrator
    mode: "0644"
"""

RETURN = r"""
path:
  description: The file.
  returned: always
  type: str
  sample: /var/lib/stx-mirror/status/master.json
"""

import contextlib
import json
import os
import tempfile
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule


def as_text(content: object) -> str:
    """Return what the file shall hold."""
    if isinstance(content, str):
        return content
    return json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def is_same(path: Path, content: bytes) -> bool:
    """Whether the file is there and holds just this."""
    try:
        return path.read_bytes() == content
    except OSError:
        return False


def make_parents(path: Path) -> None:
    """Make the missing directories above a file, whatever the umask is."""
    missing = [parent for parent in path.parents if not parent.exists()]
    for directory in reversed(missing):
        directory.mkdir(exist_ok=True)
        directory.chmod(0o755)


def replace(module: AnsibleModule, path: Path, content: bytes) -> None:
    """Put the content in the place of what was there."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        # Owner and mode before the new file can be seen under its name.
        wanted = module.load_file_common_arguments({**module.params, "path": name})
        module.set_fs_attributes_if_different(wanted, changed=True)
        os.replace(name, path)  # noqa: PTH105 - a name, not a Path
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)  # noqa: PTH108 - a name, not a Path
        raise
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def main() -> None:
    """Read the arguments, write the file and report."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "content": {"type": "raw", "required": True},
        },
        add_file_common_args=True,
        supports_check_mode=True,
    )
    path = Path(module.params["path"])
    content = as_text(module.params["content"]).encode()
    changed = not is_same(path, content)
    try:
        if changed and not module.check_mode:
            make_parents(path)
            replace(module, path, content)
        elif not changed:
            wanted = module.load_file_common_arguments(module.params)
            changed = module.set_fs_attributes_if_different(wanted, changed=False)
    except OSError as error:
        module.fail_json(msg=f"{path} was not written: {error.strerror}")
    module.exit_json(changed=changed, path=str(path))


if __name__ == "__main__":
    main()
