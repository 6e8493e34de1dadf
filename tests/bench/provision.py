"""What the second provisioning run costs against the first, on the demo's hosts made afresh.

Takes a standing demo down first, and leaves a provisioned one without builds.
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
PLAYBOOK = [str(PROJECT / ".venv/bin/ansible-playbook"), "-i", "inventories/demo"]


def seconds(*words: str) -> float:
    began = time.monotonic()
    subprocess.run([*PLAYBOOK, *words], cwd=PROJECT, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


def main() -> None:
    subprocess.run([str(PROJECT / "script/demo"), "--down"], cwd=PROJECT, check=True)
    seconds("playbooks/demo.yml", "--tags", "hosts")
    first = seconds("playbooks/provision.yml")
    second = seconds("playbooks/provision.yml")
    print(f"first provisioning   {first:8.1f} s")
    print(f"second provisioning  {second:8.1f} s")
    print(f"second / first       {second / first:8.2f}")


if __name__ == "__main__":
    main()
