"""Tiny ISOs that boot in a third of a second, and the project's modules called as Ansible does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tiny_iso import write_iso

PROJECT = Path(__file__).resolve().parents[2]
BUILD_ID = "master/sample/20261122T024512Z"


@pytest.fixture
def make_iso(tmp_path):
    """Make an ISO that says ``text`` on its serial line and stops; see tiny_iso.write_iso."""

    def make(text: str = "", **faults: Any) -> Path:
        iso = tmp_path / "bootimage.iso"
        write_iso(iso, BUILD_ID, boot=text, **faults)
        return iso

    return make


@pytest.fixture
def start_module():
    """Start a module as Ansible does, in a process of its own."""

    def start(name: str, check: bool = False, **arguments: Any) -> subprocess.Popen[str]:
        told = json.dumps({"ANSIBLE_MODULE_ARGS": {**arguments, "_ansible_check_mode": check}})
        process = subprocess.Popen(
            [sys.executable, str(PROJECT / "library" / f"{name}.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None
        process.stdin.write(told)
        process.stdin.close()
        process.stdin = None
        return process

    return start


@pytest.fixture
def call_module(start_module):
    """What a module replies."""

    def call(name: str, **arguments: Any) -> dict[str, Any]:
        said, errors = start_module(name, **arguments).communicate(timeout=120)
        assert said.strip(), errors
        return json.loads(said.strip().splitlines()[-1])

    return call
