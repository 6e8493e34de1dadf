"""How much of a build is not the build: wall time minus the stages' own time, against the whole.

Needs a standing demo (``script/demo``): builds its master stream once more and measures that one
build from outside, so that start, publication and reporting count as orchestration too.
"""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from pathlib import Path

SSH = ["ssh", "-F", str(Path(__file__).resolve().parents[2] / ".cache/demo/ssh/config"), "builder"]
RECORD = "http://127.0.0.1:8080/mirror/starlingx/master/sample/latest_build/build.json"


def main() -> None:
    began = time.monotonic()
    subprocess.run(
        [
            *SSH,
            "sudo -u orchestrator -i stx-mirror build master --force --reason benchmark",
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    wall = time.monotonic() - began
    with urllib.request.urlopen(RECORD) as response:
        record = json.load(response)
    stages = sum(stage["seconds"] for stage in record["stages"])
    # The checks of the ISO run side by side where they can; the longest chain is what they cost.
    sanity = sum(verdict["seconds"] for verdict in record["sanity"].values())
    print(f"whole build                      {wall:8.1f} s")
    print(f"its stages                       {stages:8.1f} s")
    print(f"its checks of the ISO (summed)   {sanity:8.1f} s")
    print(f"orchestration / whole build      {(wall - stages - sanity) / wall:8.2f}")


if __name__ == "__main__":
    main()
