"""What role scheduler deploys, and what it calls that version."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
BUNDLE = PROJECT / "roles" / "scheduler" / "files" / "bundle.py"


@pytest.fixture
def project(tmp_path):
    """A checkout with something of each kind."""
    root = tmp_path / "project"
    for name, text in {
        "stxmirror/__init__.py": '__version__ = "1.2.3"\n',
        "stxmirror/cli.py": "print()\n",
        "roles/x/tasks/main.yml": "---\n",
        "roles/x/files/tool": "#!/bin/sh\n",
        "tests/test_x.py": "",
        "inventories/site/group_vars/all/vault.yml": "secret",
        ".gitignore": "/.cache/\n*.log\n",
        ".cache/x": "",
        "roles/x/left.log": "",
        "roles/x/.tool.swp": "",
        "roles/x/tool~": "",
        "stxmirror/__pycache__/cli.pyc": "",
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / "roles/x/files/tool").chmod(0o755)
    return root


def bundle(project: Path) -> tuple[str, Path]:
    archive = project / ".cache" / "out.tar.gz"
    done = subprocess.run(
        [sys.executable, str(BUNDLE), str(project), str(archive)],
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(done.stdout)["version"], archive


def test_what_runs_is_packed_and_nothing_else(project):
    """An admin's inventories, with their vaults, have no business on a build host."""
    version, archive = bundle(project)
    assert version.startswith("1.2.3-")
    with tarfile.open(archive) as tar:
        modes = {info.name: info.mode for info in tar}
    assert modes == {
        "stx-mirror/stxmirror/__init__.py": 0o644,
        "stx-mirror/stxmirror/cli.py": 0o644,
        "stx-mirror/roles/x/tasks/main.yml": 0o644,
        "stx-mirror/roles/x/files/tool": 0o755,
    }


def test_same_files_are_the_same_version_wherever_and_whenever(project):
    """Or the second provisioning run would install everything again."""
    version, archive = bundle(project)
    before = archive.read_bytes()
    for path in project.rglob("*.py"):
        os.utime(path, (1, 1))
    (project / "tests/test_x.py").write_text("changed")
    assert bundle(project)[0] == version
    assert archive.read_bytes() == before


@pytest.mark.parametrize("change", ["content", "mode", "name", "gone"])
def test_any_change_of_what_runs_is_another_version(project, change):
    version, _ = bundle(project)
    path = project / "stxmirror/cli.py"
    if change == "content":
        path.write_text("print(1)\n")
    elif change == "mode":
        path.chmod(0o755)
    elif change == "name":
        path.rename(path.with_name("other.py"))
    else:
        path.unlink()
    assert bundle(project)[0] != version


def test_what_is_packed_is_what_git_would_list():
    """git itself is not asked: a host, or a release that was unpacked, may have none."""
    if shutil.which("git") is None or not (PROJECT / ".git").exists():
        pytest.skip("the project is in no checkout here")
    specification = importlib.util.spec_from_file_location("bundle", BUNDLE)
    bundle_py = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(bundle_py)
    listed = subprocess.run(
        ["git", "ls-files", "-z", "-co", "--exclude-per-directory=.gitignore", *bundle_py.DEPLOYED],
        cwd=PROJECT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    expected = sorted(PROJECT / name for name in listed if name and (PROJECT / name).is_file())
    assert bundle_py.files(PROJECT) == expected


def test_neither_git_nor_a_checkout_is_needed(project):
    version, archive = bundle(project)
    subprocess.run(["git", "init", "-q", str(project)], check=True)
    assert bundle(project)[0] == version
    done = subprocess.run(
        [sys.executable, str(BUNDLE), str(project), str(archive)],
        env={"PATH": "/nonexistent"},
        check=True,
        capture_output=True,
        text=True,
    )
    assert json.loads(done.stdout)["version"] == version
