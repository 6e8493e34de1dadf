#!/usr/bin/env python3
"""What `mirrorctl begin` pays for a long history: 15 builds against 200, side by side in one run.

Every build has the same files, as nightlies nearly have. Finding and reserving them should cost the
same whatever lies on the mirror. ``--old DIR`` measures another checkout beside this one:

    begin_growth.py --old ../before

Absolute times say more about the machine than about the code, so processor time is compared.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve()
FILES = 300
SIZES = (15, 200)
ROUNDS = 3


def measure(builds: int) -> float:
    """Return the seconds of processor time that reserving a build's files takes."""
    from stxmirror.mirror import begin, index, manifest

    ids = [f"master/sample/202601{n % 28 + 1:02}T{n // 28:02}0000Z" for n in range(builds)]
    names = [f"outputs/RPMS/std/package-{n}.rpm" for n in range(FILES)]
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        root = Path(directory)
        public, state, reserved = root / "public", root / "state", root / "pins"
        state.mkdir()
        digests = [manifest.digest(name.encode()) for name in names]
        for build in ids:
            (public / build / "outputs/RPMS/std").mkdir(parents=True)
            for name in names:
                if build == ids[0]:
                    (public / build / name).write_text(name)
                else:
                    os.link(public / ids[0] / name, public / build / name)
        files = {name: manifest.Entry(sha256, len(name)) for name, sha256 in zip(names, digests)}
        with index.Index(state, public) as opened:
            for build in ids:
                opened.add(build, ((name, *entry) for name, entry in files.items()))
            _note(opened, public / ids[0], files)
            begun = time.process_time()
            begin._reserve(opened, files, reserved)
            taken = time.process_time() - begun
        assert len(list(reserved.iterdir())) == FILES
    return taken


def _note(opened: object, build: Path, files: dict[str, tuple[str, int]]) -> None:
    """Let the index know that the files were read, where it keeps that."""
    try:
        from stxmirror.mirror.identity import Identity, Reading
    except ImportError:
        return
    readings = (
        Reading(entry[0], entry[0], Identity.of((build / name).lstat()))
        for name, entry in files.items()
    )
    opened.note(readings, "2026-01-01T00:00:00Z")  # type: ignore[attr-defined]


def times_of(checkout: Path) -> list[float]:
    """Return the best time of a checkout's code for each size, each in a process of its own."""
    best = [float("inf")] * len(SIZES)
    for _ in range(ROUNDS):
        for place, builds in enumerate(SIZES):
            done = subprocess.run(
                [sys.executable, HERE, "--measure", str(builds)],
                env={**os.environ, "PYTHONPATH": str(checkout)},
                check=True,
                capture_output=True,
                text=True,
            )
            best[place] = min(best[place], float(done.stdout))
    return best


def main() -> None:
    """Measure, and print one line a checkout."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--old", type=Path, metavar="DIR", help="another checkout to compare with")
    parser.add_argument("--measure", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        print(measure(args.measure))
        return
    for name, checkout in (("old", args.old), ("this", HERE.parents[2])):
        if checkout:
            small, large = times_of(checkout)
            print(
                f"{name}: begin's {FILES} files at {SIZES[1]} builds against {SIZES[0]}: "
                f"{large / small:.2f} times as long (1 is constant; {small * 1000:.0f} ms and "
                f"{large * 1000:.0f} ms here)"
            )


if __name__ == "__main__":
    main()
