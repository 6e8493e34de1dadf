"""A `repo` checkout on a build host's disk, and how it is put right after a killed build."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
from pathlib import Path

# What an interrupted git command leaves in a git directory; `repo sync` stops at each of them.
HALF_DONE = ("rebase-apply", "rebase-merge", "MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD")

ENVIRONMENT = {
    "LC_ALL": "C.UTF-8",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "/bin/false",
    "GIT_SSH_COMMAND": "ssh -o BatchMode=yes -o ConnectTimeout=15",
    # A remote that sends nothing for a minute is given up.
    "GIT_HTTP_LOW_SPEED_LIMIT": "1",
    "GIT_HTTP_LOW_SPEED_TIME": "60",
    # repo would keep its trace where it is installed, which the builder may not write to.
    "REPO_TRACE": "0",
}


class CheckoutError(Exception):
    """A sentence for the person who reads the failed task."""


def run(command, cwd, timeout):
    """Run a command (a list) without a terminal.

    Returns ``(exit code, stdout, what it said)``; the exit code is ``None`` if ``timeout``
    (seconds) ended it, together with everything that it had started.
    """
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=dict(os.environ, **ENVIRONMENT),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        return None, out, f"no end after {timeout:g} seconds"
    said = [line for line in (err + out).splitlines() if line.strip()]
    return process.returncode, out, " / ".join(line.strip() for line in said[-4:])[-600:]


def remove(path):
    """Remove a file or a tree, also one whose directories lost their write permission."""
    if path.is_symlink() or not path.is_dir():
        path.unlink()
        return
    for directory, _, _ in os.walk(str(path)):
        Path(directory).chmod(stat.S_IRWXU)
    shutil.rmtree(str(path))


class Checkout:
    """One checkout on disk, and how to put it right."""

    def __init__(self, root, timeout):
        """``root`` is the directory that has (or gets) ``.repo``; ``timeout`` is in seconds."""
        self.root = root
        self.dot_repo = root / ".repo"
        self.timeout = timeout
        self.mended = []

    def git(self, directory, *arguments):
        """Run git in a directory and return what :func:`run` does."""
        return run(["git", "-C", str(directory), *arguments], str(self.root), self.timeout)

    def project_paths(self):
        """Return the paths of the gits that were checked out, from the git directories."""
        projects = self.dot_repo / "projects"
        found = []
        for directory, names, _ in os.walk(str(projects)):
            gits = [name for name in names if name.endswith(".git")]
            names[:] = [name for name in names if name not in gits]
            inside = Path(directory).relative_to(projects)
            found += [str(inside / name[: -len(".git")]) for name in gits]
        return sorted(found)

    def heads(self):
        """Return ``{path: commit}`` of what is checked out now; what is damaged is left out."""
        found = {}
        for path in self.project_paths():
            code, out, _ = self.git(self.root / path, "rev-parse", "--verify", "HEAD")
            if code == 0:
                found[path] = out.strip()
        return found

    def mend(self, thorough):
        """Undo what an interrupted or dirty build left; ``thorough`` also reads all objects."""
        # repo looks for a .repo in every directory above as well: make sure that it ends here.
        self.dot_repo.mkdir(exist_ok=True)
        self._drop_locks()
        self._drop_broken_list()
        self._mend_manifest(thorough)
        paths = self.project_paths()
        for path in paths:
            inner = [p[len(path) + 1 :] for p in paths if p.startswith(path + "/")]
            self._mend_project(path, inner, thorough)

    def _drop_locks(self):
        for directory, names, files in os.walk(str(self.dot_repo)):
            if "objects" in names:
                names.remove("objects")
            for name in files:
                if name.endswith(".lock"):
                    (Path(directory) / name).unlink()
                    self.mended.append(f"removed the stale lock {name} in {directory}")
            for name in HALF_DONE:
                if name in names or name in files:
                    remove(Path(directory) / name)
                    self.mended.append(f"removed {name} in {directory}")

    def _drop_broken_list(self):
        noted = self.dot_repo / "project.list"
        try:
            noted.read_text(encoding="utf-8")
        except FileNotFoundError:
            pass
        except UnicodeDecodeError:
            noted.unlink()
            self.mended.append("repo's list of projects was damaged and is made again")

    def _is_damaged(self, directory, thorough):
        if self.git(directory, "rev-parse", "--verify", "HEAD^{tree}")[0] != 0:
            return True
        return thorough and self.git(directory, "fsck", "--connectivity-only")[0] != 0

    def _mend_manifest(self, thorough):
        manifests = self.dot_repo / "manifests"
        if manifests.is_dir() and not self._is_damaged(manifests, thorough):
            return
        present = [
            path
            for path in (manifests, self.dot_repo / "manifests.git", self.dot_repo / "manifest.xml")
            if path.is_symlink() or path.exists()
        ]
        for path in present:
            remove(path)
        if present:
            self.mended.append("the manifest's own checkout was damaged and is fetched again")

    def _mend_project(self, path, inner, thorough):
        work_tree = self.root / path
        if not (work_tree / ".git").exists():
            return  # repo fetches what is missing
        # Other projects may be checked out inside this one; they are not its untracked files.
        keep = [word for name in inner for word in ("-e", "/" + name)]
        if (
            not self._is_damaged(work_tree, thorough)
            and self.git(work_tree, "reset", "--quiet", "--hard")[0] == 0
            and self.git(work_tree, "clean", "-ffdxq", *keep)[0] == 0
        ):
            return
        self.mended.append(f"{path} was damaged and is fetched again")
        git_dir = self.dot_repo / "projects" / (path + ".git")
        objects = Path(os.path.realpath(str(git_dir / "objects"))).parent
        if self.dot_repo.resolve() / "project-objects" in objects.parents and objects.is_dir():
            remove(objects)
        if git_dir.exists():
            remove(git_dir)
        # Only its own .git: the files are checked out again, and others' work trees inside stay.
        remove(work_tree / ".git")
