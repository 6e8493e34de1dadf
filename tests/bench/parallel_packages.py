"""How much sooner packages are built side by side than one after another, in one run.

Builds the same six independent C packages serially and in parallel, twice each in turn, each time
into a workspace of its own, and prints the best of each. Needs root; builds as an account without
privileges, as tests/sample does.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "sample"))

import conftest as sample

PACKAGES = 6
FUNCTIONS = 1500
SPEC = """BuildRequires: gcc
%description
x
%build
gcc -O2 -c %{SOURCE0} -o /dev/null
%files
"""


def source(number: int) -> str:
    """A C file that takes the compiler about a second."""
    return "".join(
        f"int f{number}_{n}(int x) {{ return (x * {n} + {number}) % ({n} + 7); }}\n"
        for n in range(FUNCTIONS)
    )


def build(tree: sample.Tree, name: str, *options: str) -> float:
    """Seconds that a whole build takes."""
    workspace = tree.path.parent / name
    started = time.monotonic()
    done = tree.run("build-pkgs", "--std", *options, workspace=workspace)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    seconds = time.monotonic() - started
    shutil.rmtree(workspace)
    return seconds


def main() -> None:
    # The fixtures' own functions, without pytest around them.
    account = sample.account.__wrapped__()
    next(account)
    tools = sample.tools.__wrapped__(None)
    mirror = sample.mirror.__wrapped__(tools)
    make = sample.new_tree.__wrapped__(mirror, tools)
    tree = next(make)("bench")
    for number in range(PACKAGES):
        tree.package(f"bench{number}", SPEC, files={"files/bench.c": source(number)})
    tree.commit()
    build(tree, "warm")
    serial, parallel = [], []
    for turn in range(2):
        serial.append(build(tree, f"serial{turn}", "--serial"))
        parallel.append(build(tree, f"parallel{turn}"))
    print(f"cores                       {len(os.sched_getaffinity(0)):8d}")
    print(f"{PACKAGES} packages, one at a time    {min(serial):8.1f} s")
    print(f"{PACKAGES} packages, side by side     {min(parallel):8.1f} s")
    print(f"parallel / serial           {min(parallel) / min(serial):8.2f}")
    next(make, None)
    next(account, None)


if __name__ == "__main__":
    main()
