"""Calls one of the project's modules as Ansible does, in a process of its own, without a play."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]

_START = """
import runpy, sys
import ansible.module_utils
from ansible.module_utils import basic
ansible.module_utils.__path__.append(sys.argv[3])
basic._ANSIBLE_ARGS = sys.argv[2].encode()
basic._ANSIBLE_PROFILE = "legacy"
runpy.run_path(sys.argv[1], run_name="__main__")
"""


def command(name: str, arguments: dict[str, Any]) -> list[str]:
    """Return the command line that runs module ``name`` with ``arguments``."""
    return [
        sys.executable,
        "-c",
        _START,
        str(PROJECT / "library" / f"{name}.py"),
        json.dumps({"ANSIBLE_MODULE_ARGS": arguments}),
        str(PROJECT / "module_utils"),
    ]


def call(
    name: str, arguments: dict[str, Any], check: bool = False, environment: dict | None = None
) -> dict[str, Any]:
    """Return what module ``name`` replies to ``arguments``; ``failed`` is always there."""
    told = {**arguments, "_ansible_check_mode": check}
    done = subprocess.run(
        command(name, told),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=environment,
    )
    assert done.stdout.strip(), f"{name} said nothing: {done.stderr}"
    reply = json.loads(done.stdout.strip().splitlines()[-1])
    reply.setdefault("failed", False)
    return reply
