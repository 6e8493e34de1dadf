"""Tiny ISOs that boot in a third of a second, and the project's modules called as Ansible does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[2]
BUILD_ID = "master/sample/20261122T024512Z"

# An El Torito image, entered at 0000:7C00: writes the text at 7C40 to the first serial line.
_SAY = bytes.fromhex(
    "fa31c08ed8"  # cli; xor ax,ax; mov ds,ax
    "be407c"  # mov si,0x7c40
    "ac84c07406"  # next: lodsb; test al,al; jz done
    "baf803ee"  # mov dx,0x3f8; out dx,al
    "ebf5"  # jmp next
)
_HALT = bytes.fromhex("f4ebfd")  # hlt; jmp $-1
_POWER_OFF = bytes.fromhex("ba0406b80020efebf7")  # mov dx,0x604; mov ax,0x2000; out dx,ax; jmp


@pytest.fixture
def make_iso(tmp_path):
    """Make an ISO that says ``text`` on its serial line and stops, or switches itself off."""

    def make(text: str = "", *, power_off: bool = False, leave_out: str = "") -> Path:
        tree = tmp_path / "tree"
        tree.mkdir(exist_ok=True)
        code = (_SAY + (_POWER_OFF if power_off else _HALT)).ljust(0x40, b"\0")
        (tree / "boot.img").write_bytes((code + text.encode() + b"\0").ljust(2048, b"\0"))
        (tree / "efi.img").write_bytes(bytes(2048))
        (tree / "repodata").mkdir(exist_ok=True)
        (tree / "repodata" / "repomd.xml").write_text("<repomd/>\n")
        (tree / "BUILD").write_text(f'OS="sample"\nBUILD_PATH="{BUILD_ID}"\n')
        if leave_out:
            (tree / leave_out).unlink()
        iso = tmp_path / "bootimage.iso"
        subprocess.run(
            [
                *("xorriso", "-as", "mkisofs", "-quiet", "-o", str(iso), "-r"),
                *("-b", "boot.img", "-no-emul-boot", "-boot-load-size", "4"),
                *("-eltorito-alt-boot", "-e", "efi.img", "-no-emul-boot", str(tree)),
            ],
            check=True,
            capture_output=True,
        )
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
