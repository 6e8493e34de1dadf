"""Real git repositories with a manifest, and the real `repo`, for the tests of sources."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
from pathlib import Path

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "test-repo"
MANIFEST = """<manifest>
  <remote name="origin" fetch="{fetch}"/>
  <default remote="origin" revision="master"/>
  {projects}
</manifest>
"""


def install_repo() -> list[str]:
    """Return the real `repo` from the package index, in an environment of its own."""
    command = CACHE / "bin" / "repo"
    CACHE.parent.mkdir(exist_ok=True)
    with (CACHE.parent / "test-repo.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not command.exists():
            shutil.rmtree(CACHE, ignore_errors=True)
            subprocess.run([sys.executable, "-m", "venv", str(CACHE)], check=True)
            # gitrepo still imports pkg_resources.
            subprocess.run(
                [str(CACHE / "bin/pip"), "-q", "install", "gitrepo==2.32.2", "setuptools<81"],
                check=True,
            )
    return [str(command)]


def git(directory: Path, *arguments: str) -> str:
    """Run git as its author would, and return what it says."""
    done = subprocess.run(
        ["git", "-c", "user.name=A", "-c", "user.email=a@example.org", *arguments],
        cwd=directory,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


class Remotes:
    """Three git repositories and a manifest that checks two of them out inside the first."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.paths = {"root": "cgcs-root", "one": "cgcs-root/stx/one", "two": "tools"}
        for name in (*self.paths, "manifest"):
            (base / "work" / name).mkdir(parents=True)
            git(base, "init", "-q", "--bare", f"{name}.git")
            git(base / "work" / name, "init", "-q", "-b", "master")
        for name in self.paths:
            self.commit(name, "first")
        self.write_manifest(*self.paths)

    @property
    def url(self) -> str:
        """The manifest's repository."""
        return f"file://{self.base}/manifest.git"

    def commit(
        self, name: str, content: str, file: str = "file", subject: str | bytes | None = None
    ) -> str:
        """Commit a file and push it; return the commit."""
        work = self.base / "work" / name
        (work / file).write_text(content)
        git(work, "add", "--all")
        message = work.parent / f"{name}.message"
        subject = f"{name}: {content[:20]}" if subject is None else subject
        message.write_bytes(subject if isinstance(subject, bytes) else subject.encode())
        git(work, "commit", "-q", "--cleanup=verbatim", "--allow-empty", "-F", str(message))
        self.push(name, "HEAD:refs/heads/master")
        return self.head(name)

    def push(self, name: str, ref: str) -> None:
        """Push a ref, whatever is there."""
        bare = str(self.base / f"{name}.git")
        git(self.base / "work" / name, "push", "-q", "--force", bare, ref)

    def write_manifest(self, *names: str, **more: str) -> str:
        """Let the manifest have these projects; ``more`` are attributes by the project's name."""
        projects = "\n  ".join(
            f'<project name="{n}" path="{self.paths[n]}" {more.get(n, "")}/>' for n in names
        )
        text = MANIFEST.format(fetch=f"file://{self.base}", projects=projects)
        return self.commit("manifest", text, "default.xml")

    def head(self, name: str) -> str:
        """Return the newest commit."""
        return git(self.base / "work" / name, "rev-parse", "HEAD")
