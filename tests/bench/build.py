"""What a build costs beside its stages and its checks, part by part, on a standing demo.

    tests/bench/build.py [SSH_CONFIG ...]

Builds the demo's master stream once more although nothing has changed (forced), then asks for it as
cron does (nothing new). Each SSH_CONFIG is of one demo, so that two versions can be measured in one
run; by default this checkout's own. Times are seconds of the wall clock.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

OWN = Path(__file__).resolve().parents[2] / ".cache/demo/ssh/config"
STATE = "/var/lib/stx-mirror"


def on_builder(config: str, *words: str) -> str:
    """Run a command as the orchestrator of a demo; return its output."""
    command = ["ssh", "-F", config, "builder", "sudo", "-u", "orchestrator", "-i", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def timed(config: str, *words: str) -> float:
    """Return how long a command takes."""
    began = time.monotonic()
    on_builder(config, *words)
    return time.monotonic() - began


def checks(sanity: dict[str, dict[str, float]]) -> float:
    """Return the longest chain of checks: what depends on each other, not what ran beside it."""
    took = {name: verdict["seconds"] for name, verdict in sanity.items()}

    def chain(*names: str) -> float:
        return sum(took.get(name, 0.0) for name in names)

    return (
        chain("static")
        + max(chain("boot-bios", "install"), chain("boot-uefi"))
        + max(chain("installed-boot"), chain("installed-boot-uefi"))
    )


def measure(config: str) -> None:
    """Print what one demo's builds take."""
    forced = timed(config, "stx-mirror build master --force --reason benchmark")
    status = json.loads(on_builder(config, f"cat {STATE}/status/master.json"))
    build_id = status["last_attempt"]["id"]
    record = json.loads(on_builder(config, f"cat {STATE}/builds/{build_id}/build.json"))
    parts = json.loads(on_builder(config, f"cat {STATE}/runner/master/timings.json"))
    unchanged = timed(config, "stx-mirror build master --trigger cron")
    stages = {stage["name"]: stage["seconds"] for stage in record["stages"]}
    inner = sum(stages.values()) + checks(record["sanity"])
    print(f"{config}\n  a forced build of unchanged sources {forced:7.1f}")
    print(f"    its stages                        {sum(stages.values()):7.1f}")
    print(f"    its checks of the ISO             {checks(record['sanity']):7.1f}")
    print(f"    ours                              {forced - inner:7.1f}")
    for part, seconds in parts.items():
        own = seconds - stages.get(part, checks(record["sanity"]) if part == "sanity" else 0.0)
        print(f"      {part:<32}{own:7.1f}")
    print(f"      start and end                   {forced - sum(parts.values()):7.1f}")
    print(f"  a scheduled build, nothing new      {unchanged:7.1f}")


if __name__ == "__main__":
    for given in sys.argv[1:] or [str(OWN)]:
        measure(given)
