#!/usr/bin/python3
"""Close a collected tree: its record, its list of files, its signature."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
module: seal_tree
short_description: Writes build.json, CONTEXT and the result, then SHA256SUMS and its signature
description:
  - Adds to a tree that M(collect_artifacts) filled what says what it is, lists every file with
    its sha256, and has the list signed.
  - Running it again converges. The signature is made anew only if the list is new.
options:
  tree:
    description: The tree.
    type: path
    required: true
  record:
    description:
      - The finished record, for C(build.json). Secret terms are redacted in what people or
        commands wrote freely (reason, excerpt, commands, commit subjects, the manifest's URL).
    type: dict
    required: true
  texts:
    description: Further files, content by path. Secret terms in the result's file are redacted.
    type: dict
    default: {}
  secret_terms:
    description: Words that must not be published.
    type: list
    elements: str
    default: []
  sign:
    description: The command that signs its standard input and answers an armoured signature.
    type: list
    elements: str
    required: true
attributes:
  check_mode:
    description: In check mode nothing is written or signed.
    support: full
author: StarlingX build tools
"""

EXAMPLES = r"""
- name: Seal the tree
  seal_tree:
    tree: /localdisk/publish/master/sample/20261101T020000Z
    record: "{{ build_session_record }}"
    texts: {outputs/success: ""}
    sign: [sudo, -n, -u, signer, /usr/local/libexec/stx-mirror/sign]
"""

RETURN = r"""
files:
  description: How many files SHA256SUMS lists.
  type: int
  returned: always, 0 in check mode
"""

import hashlib
import json
import os
import subprocess
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.secret_terms import Terms

SUMS = "SHA256SUMS"
SIGNATURE = "SHA256SUMS.asc"
ARMOUR = b"-----BEGIN PGP SIGNATURE-----"
RESULTS = ("outputs/success", "outputs/fail")
# What people and commands write as they like; all else in a record is a name of the spec, a
# number or a hash, and has to stay as it is.
LONG = 100
FREE_TEXT = frozenset(("reason", "excerpt", "missing", "command", "subject", "url"))


def redacted(value, terms, is_free=False):
    """Return a record with the terms replaced in its free texts."""
    if isinstance(value, dict):
        return {key: redacted(item, terms, key in FREE_TEXT) for key, item in value.items()}
    if isinstance(value, list):
        return [redacted(item, terms, is_free) for item in value]
    if isinstance(value, str) and is_free:
        clean = terms.redact(value.encode("utf-8", "replace")).decode("utf-8")
        # The schema bounds these texts: none may grow past its bound.
        return clean if len(value) < LONG else clean[: len(value)]
    return value


def write(path, content):
    """Replace a file by ``content`` (bytes) if it differs; return whether it did."""
    if path.is_file() and not path.is_symlink() and path.read_bytes() == content:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    part.chmod(0o644)
    part.replace(path)
    return True


def list_files(tree):
    """Return the content of SHA256SUMS, as ``sha256sum -c`` reads it, sorted by path."""
    lines = []
    for directory, _, names in os.walk(str(tree)):
        for name in names:
            path = Path(directory) / name
            inside = path.relative_to(tree).as_posix()
            if inside in (SUMS, SIGNATURE):
                continue
            total = hashlib.sha256()
            with path.open("rb") as file:
                for block in iter(lambda: file.read(1 << 20), b""):
                    total.update(block)
            lines.append((inside, total.hexdigest()))
    return "".join(f"{digest}  {path}\n" for path, digest in sorted(lines)).encode("ascii")


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "tree": {"type": "path", "required": True},
            "record": {"type": "dict", "required": True},
            "texts": {"type": "dict", "default": {}},
            "secret_terms": {"type": "list", "elements": "str", "default": [], "no_log": False},
            "sign": {"type": "list", "elements": "str", "required": True},
        },
        supports_check_mode=True,
    )
    if module.check_mode:
        module.exit_json(changed=True, files=0)
    params = module.params
    tree, terms = Path(params["tree"]), Terms(params["secret_terms"])
    texts = {path: text.encode("utf-8") for path, text in params["texts"].items()}
    texts.update({path: terms.redact(texts[path]) for path in RESULTS if path in texts})
    record = redacted(params["record"], terms)
    texts["build.json"] = (json.dumps(record, indent=2, sort_keys=True) + "\n").encode("utf-8")
    try:
        written = [write(tree / path, content) for path, content in sorted(texts.items())]
        sums = list_files(tree)
        signature = tree / SIGNATURE
        is_new = not (tree / SUMS).is_file() or (tree / SUMS).read_bytes() != sums
        if is_new and signature.exists():
            # Never, not even after a crash, does an old signature lie beside a new list.
            signature.unlink()
        if write(tree / SUMS, sums) or not signature.exists():
            done = subprocess.run(params["sign"], input=sums, capture_output=True, check=False)
            if done.returncode != 0 or not done.stdout.startswith(ARMOUR):
                said = done.stderr.decode("utf-8", "replace").strip()[-500:]
                module.fail_json(
                    msg=f"{SUMS} of {tree} could not be signed: {' '.join(params['sign'])} ended "
                    f"with {done.returncode} ({said or 'no armoured signature'}). Provision the "
                    "build host again, then publish the build again"
                )
            written.append(write(signature, done.stdout))
    except OSError as error:
        module.fail_json(msg=f"{tree} cannot be closed: {error}")
    module.exit_json(changed=any(written) or is_new, files=sums.count(b"\n"))


if __name__ == "__main__":
    main()
