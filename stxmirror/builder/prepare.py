"""Make a workspace ready: directories, what earlier builds kept, sources. Runs as the builder.

``python -I -m stxmirror.builder.prepare`` in the build's sandbox, where nothing of another stream
can be seen. It reads the request, a JSON object: a large manifest does not fit into an argument.
What was found goes to the file ``result`` as JSON, with ``error`` for people if it failed.
``sources`` says what the keys mean.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from stxmirror import context
from stxmirror.builder import checkout
from stxmirror.builder.checkout import Checkout, Project, Source
from stxmirror.errors import StxMirrorError

# What the schema of build.json allows.
SUBJECT_MAX = 1000


def main() -> int:
    """Do what the request asks; return the exit code."""
    request = json.load(sys.stdin)
    workspace = Path(request["workspace"])
    result = Path(request["result"])
    try:
        found = carry_out(request)
    except StxMirrorError as error:
        found = {"error": str(error)}
    except OSError as error:
        found = {"error": f"{error.filename or workspace}: {error.strerror}"}
    # Which unit this process is in: `session` makes sure that it ends with the build.
    found["cgroup"] = Path("/proc/self/cgroup").read_text(encoding="utf-8")
    part = result.with_name(result.name + ".part")
    part.write_text(json.dumps(found), encoding="utf-8")
    part.replace(result)
    return 1 if found.get("error") else 0


def carry_out(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the result file says."""
    if request["source"] is None:
        make_directories(request)
        return {}
    source = Source(**request["source"])
    revision, commit = checkout.find_revision(source)
    unchanged = unchanged_since(request["known"], source, commit) if request["known"] else None
    if request["only_ask"]:
        return {"unchanged": unchanged is not None}
    make_directories(request)
    root = Path(request["root"])
    kept = Path(request["kept"]) if request["kept"] else None
    # One waits for the disk, the other mostly for the network.
    with ThreadPoolExecutor(max_workers=1) as beside:
        restored = beside.submit(restore, kept, Path(request["inputs"]))
        made = checkout.bring(source, Path(request["cache"]), root, revision, unchanged)
        restored.result()
    return {
        "manifest_revision": made.manifest_revision,
        "projects": [asdict(project) for project in made.projects],
        "changes": changes_since(root, request["old"], made.projects, request["commits"]),
        "mended": made.mended,
    }


def unchanged_since(known: Mapping[str, Any], source: Source, commit: str) -> Checkout | None:
    """Return what a good build had, if the remotes still have just that.

    ``commit`` is the one that the manifest's branch has now.
    """
    projects = [Project(**project) for project in known["projects"]]
    if known["manifest_revision"] != commit or not checkout.is_unchanged(source, projects):
        return None
    return Checkout(commit, projects)


def make_directories(request: Mapping[str, Any]) -> None:
    """Make what the stages expect of their workspace, and set the logs of a parent aside."""
    workspace = Path(request["workspace"])
    logs = workspace / "logs"
    if request["logs_aside"] and logs.is_dir():
        logs.rename(_free_name(workspace / request["logs_aside"]))
    for directory in (logs, workspace / "sanity"):
        directory.mkdir(exist_ok=True)
    (workspace / "BUILD").write_text(request["build_file"], encoding="utf-8")


def _free_name(path: Path) -> Path:
    """Return the path, with a number behind it where a build was resumed more than once."""
    number = 1
    found = path
    while found.exists():
        number += 1
        found = path.with_name(f"{path.name}-{number}")
    return found


def restore(kept: Path | None, inputs: Path) -> None:
    """Make the directory of downloads anew, out of what the orchestrator kept of it."""
    for path in inputs.iterdir():
        checkout.remove(path)
    if kept is not None and (kept / "downloads").is_dir():
        # A copy: tools write beside, over and into what they find there. Where the file system
        # can share blocks, copying costs nothing.
        shutil.copytree(kept / "downloads", inputs, dirs_exist_ok=True, symlinks=True)


def changes_since(
    root: Path, old: Mapping[str, str] | None, projects: list[Project], limit: int
) -> list[dict[str, Any]] | None:
    """Return what changed since another checkout, ``{path: commit}``; ``None`` without one."""
    if old is None:
        return None
    new = {project.path: project.commit for project in projects}
    return [
        {
            **change,
            "commits": commits_between(
                root / str(change["path"]), change["from"], change["to"], limit
            ),
        }
        for change in context.difference(old, new)
    ]


def commits_between(
    directory: Path, old: str | None, new: str | None, limit: int
) -> list[dict[str, str]]:
    """Return the commits from ``old`` to ``new``, newest first; none where one end is missing."""
    if not (old and new):
        return []
    # A subject may hold whatever some other program takes for the end of a line, but no NUL.
    words = ("log", "-z", "--format=%H %s", f"-n{limit}", f"{old}..{new}", "--")
    code, out, _ = checkout.git(directory, *words)
    if code != 0:
        return []
    entries = (entry.partition(" ") for entry in out.split("\0") if entry)
    return [
        {"sha": sha, "subject": "".join(c if c.isprintable() else " " for c in text)[:SUBJECT_MAX]}
        for sha, _, text in entries
    ]


if __name__ == "__main__":
    sys.exit(main())
