"""The sample's tools run for real, as an account without privileges, on trees made here."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import socket
import subprocess
import threading
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
SAMPLE = PROJECT / "sample"
ACCOUNT = "stx-sample-test"
# What a container's base image is made from: the small ones among the sample's downloads.
DOWNLOADS = ("bash", "busybox-static", "libc-bin", "libc6", "libtinfo6")
# Not below the checkout: the account must reach it. The mirror in it is kept between runs.
HOME = Path("/var/tmp/stx-sample-test")  # noqa: S108
COMMIT_TIME = "2026-01-02T03:04:05Z"


class Tree:
    """A source tree as ``repo sync`` leaves it, and the commands run in it."""

    def __init__(self, path: Path, mirror: Path, roots: Path) -> None:
        self.path = path
        self.mirror = mirror
        self._roots = roots

    @property
    def repo(self) -> Path:
        """MY_REPO."""
        return self.path / "cgcs-root"

    def add(self, name: str, to: str) -> None:
        """Copies a repository of the sample."""
        shutil.copytree(SAMPLE / name, self.path / to, ignore=shutil.ignore_patterns("__pycache__"))

    def package(self, name: str, spec: str, **parts: object) -> Path:
        """Writes a package of git ``test`` with one source file.

        ``spec`` is put behind the usual tags; parts: ``data`` (build_srpm.data), ``files``
        (name -> text, below the package), ``build_type``.
        """
        git = self.repo / "stx/test"
        home = git / name
        (home / "centos").mkdir(parents=True)
        head = (
            f"Name: {name}\nVersion: 1.0\nRelease: %{{tis_patch_ver}}%{{?_tis_dist}}\n"
            f"Summary: test\nLicense: none\n"
        )
        files = dict(parts.get("files", {"files/file": "text\n"}))
        if "Source0:" not in spec and "data" not in parts:
            names = [path.removeprefix("files/") for path in files]
            head += "".join(f"Source{n}: {name}\n" for n, name in enumerate(names))
        (home / f"centos/{name}.spec").write_text(head + spec)
        data = parts.get("data", 'COPY_LIST="files/*"\nTIS_PATCH_VER=1\n')
        (home / "centos/build_srpm.data").write_text(str(data))
        for path, text in files.items():
            (home / path).parent.mkdir(parents=True, exist_ok=True)
            (home / path).write_text(text)
        kind = parts.get("build_type", "std")
        with (git / f"centos_pkg_dirs{'' if kind == 'std' else f'_{kind}'}").open("a") as listing:
            listing.write(f"{name}\n")
        return home

    def commit(self) -> None:
        """Commits every git at one fixed time and hands the tree to the account."""
        # No inherited identity or hooks; the same commit wherever the tree lies.
        environ = {
            "PATH": os.environ["PATH"], "HOME": "/nonexistent",
            "GIT_AUTHOR_DATE": COMMIT_TIME, "GIT_COMMITTER_DATE": COMMIT_TIME,
            "GIT_AUTHOR_NAME": "x", "GIT_AUTHOR_EMAIL": "x@example.org",
            "GIT_COMMITTER_NAME": "x", "GIT_COMMITTER_EMAIL": "x@example.org",
            "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
        }  # fmt: skip
        for git in [self.repo, *sorted((self.repo / "stx").iterdir())]:
            if git.is_dir() and git.name != "downloads":
                for words in (
                    ["init", "-q"],
                    ["add", "-A"],
                    ["commit", "-q", "--allow-empty", "-m", "x"],
                ):
                    subprocess.run(["git", *words], cwd=git, env=environ, check=True)
        own(self.path)

    def environ(self, workspace: Path, **more: str) -> dict[str, str]:
        """What StarlingX's build environment sets."""
        tools = self.repo / "build-tools"
        return {
            "PATH": f"{tools}:{os.environ['PATH']}",
            "HOME": str(HOME),
            "PROJECT": "test",
            "MY_REPO_ROOT_DIR": str(self.path),
            "MY_REPO": str(self.repo),
            "MY_WORKSPACE": str(workspace),
            "MY_BUILD_ENVIRONMENT": "test-tis-r5-pike",
            "MY_MIRROR": str(self.mirror),
            **more,
        }

    def run(
        self, *command: str, workspace: Path, umask: str = "022", **more: str
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command as the account."""
        workspace.mkdir(parents=True, exist_ok=True)
        if not (workspace / "mock").exists():
            # One unpacked base root for all tests: unpacking is most of what a small build takes.
            (workspace / "mock").symlink_to(self._roots)
        own(workspace)
        return as_account(*command, umask=umask, env=self.environ(workspace, **more))


def as_account(*command: str, env: dict[str, str], umask: str = "022"):
    """Runs a command as the unprivileged account."""
    return subprocess.run(
        ["runuser", "-u", ACCOUNT, "--", "sh", "-c", f'umask {umask}; exec "$@"', "sh", *command],
        cwd=HOME, env=env, capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip


def own(path: Path) -> None:
    """Gives a directory to the account."""
    subprocess.run(["chown", "-R", "-h", ACCOUNT, str(path)], check=True)


def summary(workspace: Path, build_type: str = "std") -> dict[str, list[str]]:
    """What the last build of a type says it did."""
    return json.loads((workspace / build_type / "results/summary.json").read_text())


def result(workspace: Path, nvr: str, build_type: str = "std") -> Path:
    """The result directory of a package."""
    return next((workspace / build_type / "results").glob(f"*/{nvr}"))


@pytest.fixture(scope="session")
def account():
    """The unprivileged account; it and what it left are removed, except the mirror."""
    try:
        pwd.getpwnam(ACCOUNT)
    except KeyError:
        subprocess.run(["useradd", "--system", "--home-dir", str(HOME), ACCOUNT], check=True)
    HOME.mkdir(exist_ok=True)
    own(HOME)
    yield ACCOUNT
    for path in HOME.iterdir():
        if path.name != "mirror":
            shutil.rmtree(path)
    subprocess.run(["userdel", ACCOUNT], check=True)


@pytest.fixture(scope="session")
def tools(account) -> Path:
    """stx-tools, with few and small packages to download."""
    path = HOME / "stx-tools"
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(SAMPLE / "tools", path, ignore=shutil.ignore_patterns("__pycache__"))
    (path / "centos-mirror-tools/deb-dl.lst").write_text("\n".join(DOWNLOADS))
    own(path)
    return path


@pytest.fixture(scope="session")
def mirror(tools) -> Path:
    """MY_MIRROR with the base root, downloaded or kept from the last run."""
    path = HOME / "mirror"
    env = {"PATH": os.environ["PATH"], "MY_MIRROR": str(path), "PROJECT": "test"}
    done = as_account(str(tools / "centos-mirror-tools/download_mirror.sh"), env=env)
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture(scope="session")
def new_tree(mirror, tools):
    """Makes source trees with the build tools and the inputs in place."""
    roots = HOME / "roots"
    roots.mkdir(exist_ok=True)
    own(roots)
    made = []

    def make(name: str) -> Tree:
        tree = Tree(HOME / name / "tree", mirror, roots)
        shutil.rmtree(HOME / name, ignore_errors=True)
        tree.add("root", "cgcs-root")
        own(HOME / name)
        env = tree.environ(HOME / name / "unused")
        layout = mirror / "stx-r1/CentOS/pike"
        for script in ("generate-cgcs-centos-repo.sh", "populate_downloads.sh"):
            done = as_account(str(tools / "toCOPY" / script), str(layout), env=env)
            assert done.returncode == 0, done.stderr
        made.append(HOME / name)
        return tree

    yield make
    for path in made:
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def tree(new_tree, request) -> Tree:
    """A tree of this test's own."""
    return new_tree(request.node.name[:40])


@pytest.fixture
def workspace(tree) -> Path:
    """A workspace beside the test's tree."""
    return tree.path.parent / "workspace"


@pytest.fixture
def listener():
    """A server on this machine's loopback; yields its port and the list of who came."""
    came: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    connection, peer = server.accept()
                except OSError:
                    return
                came.append(peer)
                connection.close()

        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1], came
