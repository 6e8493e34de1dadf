#!/usr/bin/python3
"""Gather what a build made into the tree that will be published."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
module: collect_artifacts
short_description: Gathers a build's artifacts and logs into the tree to be published
description:
  - Copies what the stages of a build yield into a directory tree of its own, by artifact type
    and phase, and makes the RPM repositories' metadata.
  - The workspace is taken as hostile, because an RPM's C(%build) ran in it. Only regular files
    that really lie under O(roots) are read, whatever links lead there; they are never linked into
    the tree but copied; every check is made on the copy.
  - Logs are redacted as they are copied. RPM headers and file names are searched for
    O(secret_terms) instead, and every find is a problem.
  - Running it again converges. What the tree has beyond the plan is removed, except
    O(keep).
options:
  tree:
    description: The directory to fill. It is made if it is missing.
    type: path
    required: true
  workspace:
    description: What relative globs start from.
    type: path
    required: true
  roots:
    description: The directories that a file may really lie in. The workspace is one of them.
    type: list
    elements: path
    default: []
  artifacts:
    description:
      - What to collect, each with a glob O(artifacts[].from), O(artifacts[].type) such as
        V(outputs/RPMS), and O(artifacts[].phase) where the type has one.
      - With O(artifacts[].required) a glob that matches nothing is a problem.
      - An ISO is called C(bootimage.iso) in the tree, as StarlingX's users expect.
    type: list
    elements: dict
    default: []
  log_directory:
    description: Where the stages' own logs are. All that lies there is collected by its name.
    type: path
    required: true
  logs:
    description: Globs of further logs. They keep their path below the workspace or their root.
    type: list
    elements: str
    default: []
  directories:
    description: Directories that the tree has also when they are empty.
    type: list
    elements: str
    default: []
  secret_terms:
    description: Words that must not be published.
    type: list
    elements: str
    default: []
  private_terms:
    description: Words that are redacted in logs as well, and stop nothing elsewhere.
    type: list
    elements: str
    default: []
  keep:
    description: Files of the tree that others write and that are left alone.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    description: In check mode nothing is read or written.
    support: full
author: StarlingX build tools
"""

EXAMPLES = r"""
- name: Gather what the build made
  collect_artifacts:
    tree: /localdisk/publish/master/sample/20261101T020000Z
    workspace: /localdisk/loadbuild/builder/master/20261101T020000Z
    artifacts:
      - {from: "std/rpmbuild/RPMS/*.rpm", type: outputs/RPMS, phase: std, required: true}
      - {from: export/bootimage.iso, type: outputs/iso, required: true}
    log_directory: /localdisk/loadbuild/builder/master/20261101T020000Z/logs
    logs: ["std/results/**/*.log"]
    secret_terms: [build7.example.org, 192.0.2.7]
"""

RETURN = r"""
artifacts:
  description: Number of files and bytes by artifact type and phase, logs included.
  type: dict
  returned: always
  sample: {outputs/RPMS/std: {files: 12, bytes: 40960}}
iso:
  description: Path in the tree, size and sha256 of the ISO, or null.
  type: dict
  returned: always
problems:
  description: Why this must not be published as a success, a sentence each; at most 20.
  type: list
  elements: str
  returned: always
skipped:
  description: Logs that were left out, and why; at most 20.
  type: list
  elements: str
  returned: always
"""

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from ansible.module_utils import rpm_header
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.hostile_files import (
    BLOCK,
    Unusable,
    check_name,
    expand,
    open_inside,
    same_content,
)
from ansible.module_utils.secret_terms import Terms

REPORT_MAX = 20
ISO_NAME = "bootimage.iso"


class Collector:
    """One run: fills the tree and keeps account."""

    def __init__(self, module):
        """Take the module's parameters."""
        params = module.params
        self.module = module
        self.tree = Path(params["tree"])
        self.workspace = params["workspace"]
        self.roots = [os.path.realpath(path) for path in [self.workspace, *params["roots"]]]
        self.terms = Terms(params["secret_terms"])
        self.log_terms = Terms([*params["secret_terms"], *params["private_terms"]])
        self.keep = set(params["keep"])
        self.planned = {}  # path in the tree: where it came from
        self.totals = {}
        self.build_times = {}  # RPM's path in the tree: seconds
        self.problems = []
        self.skipped = []
        self.changed = False

    def collect_artifact(self, entry):
        """Copy all that one glob matches."""
        place = "/".join(filter(None, (entry["type"], entry.get("phase"))))
        paths = expand(entry["from"], self.workspace)
        if not paths and entry.get("required"):
            self.problems.append(f"nothing matches {entry['from']}, which should yield {place}")
        for path in paths:
            name = Path(path).name
            if place == "outputs/iso" and name.endswith(".iso"):
                name = ISO_NAME
            try:
                self._take(path, place, name)
            except Unusable as error:
                self.problems.append(f"{self._shown(path)} cannot be published: {error}")

    def _take(self, path, place, name):
        check_name(name)
        target = f"{place}/{name}"
        term = self.terms.find(name.encode("utf-8", "surrogateescape"))
        if term:
            raise Unusable(f"its name has {term!r}, which is the build server's own")
        with open_inside(path, self.roots) as source:
            if target in self.planned:
                if self.planned[target] == path or same_content(source, self.tree / target):
                    return
                raise Unusable(f"{self._shown(self.planned[target])} is {target} already")
            self.planned[target] = path
            self._write(target, lambda out: shutil.copyfileobj(source, out, BLOCK))
        if name.endswith(".rpm"):
            self._check_rpm(target)
        self._count(place, target)

    def _check_rpm(self, target):
        path = self.tree / target
        try:
            with path.open("rb") as file:
                when, texts = rpm_header.read_header(file)
        except rpm_header.NotAnRpm as error:
            raise Unusable(str(error)) from error
        for field, content in texts:
            term = self.terms.find(content)
            if term:
                self.problems.append(
                    f"{target} has {term!r} in its header field {field}: clamp that field where "
                    "the package is built"
                )
        # Metadata holds the file's time: from the header, it is the same for the same RPM.
        self.build_times[target] = when
        if int(path.stat().st_mtime) != when:
            os.utime(path, (when, when))

    def collect_logs(self, pattern, base):
        """Copy all text logs that one glob matches below ``base``, redacted."""
        for path in expand(pattern, base):
            inside = path[len(base) + 1 :] if path.startswith(base + "/") else self._shown(path)
            try:
                self._take_log(path, inside)
            except Unusable as error:
                self.skipped.append(f"{self._shown(path)}: {error}")

    def _take_log(self, path, inside):
        for part in inside.split("/"):
            check_name(part)
        target = f"outputs/logs/{inside}"
        if self.log_terms.find(target.encode()):
            raise Unusable("its path names the build server or its people")
        if self.planned.get(target, path) != path:
            raise Unusable(f"{self._shown(self.planned[target])} is {target} already")
        if target in self.planned:
            return
        with open_inside(path, self.roots) as source:
            if b"\0" in source.read(8192):
                raise Unusable("it is not text")
            source.seek(0)
            self.planned[target] = path
            self._write(target, lambda out: self._redact(source, out))
        self._count("outputs/logs", target)

    def _redact(self, source, out):
        rest = b""
        while True:
            block = source.read(BLOCK)
            if not block:
                break
            # A word must not be cut in two: hold back what follows the last line's end.
            head, end, tail = (rest + block).rpartition(b"\n")
            if not end and len(tail) < 64 * BLOCK:
                rest = tail
                continue
            out.write(self.log_terms.redact(head + end if end else tail))
            rest = tail if end else b""
        out.write(self.log_terms.redact(rest))

    def _shown(self, path):
        """Return a path as a person wants it: below the workspace, or below its root."""
        for root in (self.workspace, *self.module.params["roots"]):
            if path.startswith(root.rstrip("/") + "/"):
                return path[len(root.rstrip("/")) + 1 :]
        return path.lstrip("/")

    def _write(self, target, fill):
        """Write a file of the tree under a passing name, and exchange it if it is new."""
        path = self.tree / target
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(".part")
        with part.open("wb") as out:
            fill(out)
        if path.is_file() and not path.is_symlink():
            with part.open("rb") as new:
                if same_content(new, path):
                    part.unlink()
                    return
        part.chmod(0o644)
        part.replace(path)
        self.changed = True

    def _count(self, place, target):
        total = self.totals.setdefault(place, {"files": 0, "bytes": 0})
        total["files"] += 1
        total["bytes"] += (self.tree / target).stat().st_size

    def make_metadata(self):
        """Make every RPM directory a repository, and outputs/RPMS as a whole."""
        places = {target.rpartition("/")[0] for target in self.build_times}
        if any(place.startswith("outputs/RPMS/") for place in places):
            places.add("outputs/RPMS")
        for place in sorted(places):
            inside = [t for target, t in self.build_times.items() if target.startswith(place + "/")]
            self._make_repository(place, max(inside))

    def _make_repository(self, place, revision):
        final = self.tree / place / "repodata"
        with tempfile.TemporaryDirectory(dir=str(self.tree.parent), prefix=".metadata-") as scratch:
            code, _, said = self.module.run_command(
                [
                    *("createrepo_c", "--quiet", "--no-database", "--outputdir", scratch),
                    # Old clients (CentOS 7's yum) read no other compression.
                    *("--general-compress-type", "gz"),
                    # The same packages give the same metadata, byte for byte.
                    *("--revision", str(revision), "--set-timestamp-to-revision"),
                    str(self.tree / place),
                ]
            )
            if code != 0:
                raise Unusable(f"createrepo_c failed in {place}: {said.strip()[-500:]}")
            made = Path(scratch) / "repodata"
            for file in made.iterdir():
                self.planned[f"{place}/repodata/{file.name}"] = "createrepo_c"
                file.chmod(0o644)
            index = final / "repomd.xml"
            if index.is_file():
                with (made / "repomd.xml").open("rb") as new:
                    if same_content(new, index):
                        return
            if final.exists():
                shutil.rmtree(str(final))
            made.chmod(0o755)
            made.replace(final)
            self.changed = True

    def tidy(self, directories):
        """Remove what the plan does not have, and make the directories it does."""
        wanted = set(directories)
        for path in [*self.planned, *self.keep, *wanted]:
            wanted.update(str(parent) for parent in Path(path).parents)
        for directory, names, files in os.walk(str(self.tree), topdown=False):
            inside = os.path.relpath(directory, str(self.tree))
            for name in [*files, *names]:
                path = os.path.normpath(f"{inside}/{name}")
                full = Path(directory) / name
                if full.is_dir() and not full.is_symlink():
                    if path not in wanted:
                        full.rmdir()
                        self.changed = True
                elif path not in self.planned and path not in self.keep:
                    full.unlink()
                    self.changed = True
        for directory in directories:
            path = self.tree / directory
            if not path.is_dir():
                path.mkdir(parents=True)
                self.changed = True

    def iso(self):
        """Return what the record says of the ISO, or ``None``."""
        target = f"outputs/iso/{ISO_NAME}"
        if target not in self.planned:
            return None
        total = hashlib.sha256()
        path = self.tree / target
        with path.open("rb") as file:
            for block in iter(lambda: file.read(BLOCK), b""):
                total.update(block)
        return {"path": target, "size": path.stat().st_size, "sha256": total.hexdigest()}


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "tree": {"type": "path", "required": True},
            "workspace": {"type": "path", "required": True},
            "roots": {"type": "list", "elements": "path", "default": []},
            "artifacts": {"type": "list", "elements": "dict", "default": []},
            "log_directory": {"type": "path", "required": True},
            "logs": {"type": "list", "elements": "str", "default": []},
            "directories": {"type": "list", "elements": "str", "default": []},
            "secret_terms": {"type": "list", "elements": "str", "default": [], "no_log": False},
            "private_terms": {"type": "list", "elements": "str", "default": [], "no_log": False},
            "keep": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    if module.check_mode:
        module.exit_json(changed=True, artifacts={}, iso=None, problems=[], skipped=[])
    # Everybody may read what is published, and its owner alone write it.
    os.umask(0o022)
    collector = Collector(module)
    try:
        collector.tree.mkdir(parents=True, exist_ok=True)
        for entry in module.params["artifacts"]:
            collector.collect_artifact(entry)
        collector.collect_logs("**", module.params["log_directory"])
        for pattern in module.params["logs"]:
            collector.collect_logs(pattern, module.params["workspace"])
        collector.make_metadata()
        collector.tidy(module.params["directories"])
        iso = collector.iso()
    except (OSError, Unusable) as error:
        module.fail_json(msg=f"{collector.tree} cannot be filled: {error}")
    module.exit_json(
        changed=collector.changed,
        artifacts=collector.totals,
        iso=iso,
        problems=collector.problems[:REPORT_MAX],
        skipped=collector.skipped[:REPORT_MAX],
    )


if __name__ == "__main__":
    main()
