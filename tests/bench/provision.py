"""What the second provisioning run costs: against the first, and without each measure that helps.

Takes a standing demo down first, and leaves a provisioned one without builds. The variants of the
second run take turns, so that whatever else the machine does meets all of them.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
DEMO = PROJECT / ".cache/demo"
PLAYBOOK = [str(PROJECT / ".venv/bin/ansible-playbook"), "-i", "inventories/demo"]
SLOW_SSH = {"ANSIBLE_SSH_ARGS": "-o ControlMaster=no -o ControlPath=none"}
SLOW_MODULES = {"ANSIBLE_PIPELINING": "false"}
SLOW_FACTS = {"ANSIBLE_GATHERING": "implicit"}
AS_IT_IS = "as it is"
VARIANTS = {
    AS_IT_IS: {},
    "without pipelining": SLOW_MODULES,
    "facts gathered in each play": SLOW_FACTS,
    "a connection for each task": SLOW_SSH,
    # Not what provision.yml does: its checks of all hosts come before the first change to any.
    "hosts that wait for nobody": {"ANSIBLE_STRATEGY": "free"},
    # ansible-core keeps connections open by itself.
    "Ansible's own settings": {**SLOW_MODULES, **SLOW_FACTS},
}


def seconds(*words: str, environment: dict[str, str] | None = None) -> float:
    began = time.monotonic()
    done = subprocess.run(
        [*PLAYBOOK, *words],
        cwd=PROJECT,
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, **(environment or {})},
    )
    if done.returncode:
        sys.exit(f"{done.stdout[-4000:]}{done.stderr[-2000:]}")
    return time.monotonic() - began


def main(rounds: int) -> None:
    subprocess.run([str(PROJECT / "script/demo"), "--down"], cwd=PROJECT, check=True)
    seconds("playbooks/demo.yml", "--tags", "hosts")
    first_contact = seconds(
        "playbooks/bootstrap.yml",
        *("-e", "bootstrap_admin=demo", "-e", f"bootstrap_admin_key={DEMO / 'ssh/id_ed25519'}"),
    )
    first = seconds("playbooks/provision.yml")
    print(f"first contact        {first_contact:8.1f} s")
    print(f"first provisioning   {first:8.1f} s")
    measured: dict[str, list[float]] = {name: [] for name in VARIANTS}
    for _ in range(rounds):
        for name, environment in VARIANTS.items():
            measured[name].append(seconds("playbooks/provision.yml", environment=environment))
    second = statistics.median(measured[AS_IT_IS])
    print(f"second provisioning  {second:8.1f} s, {second / first:.2f} of the first")
    for name, runs in measured.items():
        median = statistics.median(runs)
        print(f"  {name:28} {median:8.1f} s  {median / second:.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
