"""What the machine of an admin may be like."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]


def test_a_checkout_that_everybody_may_write_to_is_refused(tmp_path: Path) -> None:
    """Ansible ignores ansible.cfg there, and says that it does not know check_inventory."""
    checkout = tmp_path / "checkout"
    shutil.copytree(PROJECT / "script", checkout / "script")
    checkout.chmod(0o777)
    environment = {key: value for key, value in os.environ.items() if key != "ANSIBLE_CONFIG"}
    done = subprocess.run(
        [checkout / "script/bootstrap"],
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert f"Ansible ignores its ansible.cfg: chmod o-w {checkout}" in done.stderr


@pytest.mark.parametrize("playbook", ["provision", "preflight", "bootstrap"])
@pytest.mark.parametrize("mode", [0o777, 0o755])
def test_a_playbook_without_its_settings_says_so(tmp_path: Path, playbook: str, mode: int) -> None:
    """The first that people type, in a directory that everybody may write to, and in another."""
    environment = {key: value for key, value in os.environ.items() if key != "ANSIBLE_CONFIG"}
    shutil.copytree(PROJECT / "playbooks", tmp_path / "playbooks")
    if mode == 0o777:
        shutil.copy(PROJECT / "ansible.cfg", tmp_path)
    tmp_path.chmod(mode)
    done = subprocess.run(
        ["ansible-playbook", "-i", "localhost,", f"playbooks/{playbook}.yml"],
        cwd=tmp_path,
        env=environment | {"ANSIBLE_LOCAL_TEMP": str(tmp_path / "tmp")},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    (line,) = [line for line in done.stderr.splitlines() if "ERROR" in line]
    assert "Ansible did not read ansible.cfg: run it in the directory of this project" in line
    assert "`chmod o-w .`" in line
    assert "was not found" not in done.stdout + done.stderr


@pytest.mark.parametrize("script", ["demo", "drift", "lint", "test"])
def test_scripts_work_in_a_locale_that_ansible_refuses(script: str) -> None:
    lines = (PROJECT / "script" / script).read_text(encoding="utf-8").splitlines()
    first = next(number for number, line in enumerate(lines) if "cd " in line)
    assert lines[first + 1] == ". script/lib/locale"


@pytest.mark.parametrize(
    ("given", "kept"),
    [({"LC_ALL": "C"}, False), ({"LANG": "POSIX"}, False), ({"LC_ALL": "C.UTF-8"}, True)],
)
def test_a_locale_is_replaced_if_it_is_not_utf_8(given: dict[str, str], kept: bool) -> None:
    done = subprocess.run(
        ["sh", "-c", '. script/lib/locale; locale charmap; echo "${LC_ALL:-}"'],
        cwd=PROJECT,
        env={"PATH": os.environ["PATH"], **given},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == ["UTF-8", given["LC_ALL"] if kept else "C.UTF-8"]
