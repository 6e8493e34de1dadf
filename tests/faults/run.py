#!/usr/bin/env python3
"""Let every call of every verb of `mirrorctl` fail, or end the program, and look at what is left.

    run.py                                  every point (hours)
    run.py --points 150                     so many, chosen at random; the seed is printed
    run.py --points 150 --seed 7            the same ones again
    run.py --case prune --fault kill        every point of one verb and one fault
    run.py --case prune --fault kill --at 17

Exit status: 0 all held, 1 something did not, 2 the shim cannot be built.
"""

from __future__ import annotations

import argparse
import ctypes
import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "mirror"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "helpers"))

import checker
from cases import CASES, Case, basis
from mirrors import InProcess

_HERE = Path(__file__).resolve().parent
_SHIM = "STX_FAULTS_SHIM"
_NEVER = 1 << 40
_LINE = 500
_CODES = (0, 1, 2, 75)


@dataclass(frozen=True)
class Fault:
    """What happens at a point: to which kind of call (0 changing, 1 reading), which errno (0
    kills), and whether it goes on from there.
    """

    kind: int
    error: int = 0
    onwards: bool = False


FAULTS = {
    "kill": Fault(0),
    "eio": Fault(0, errno.EIO),
    "enospc": Fault(0, errno.ENOSPC, onwards=True),
    "enomem": Fault(0, errno.ENOMEM),
    "read-eio": Fault(1, errno.EIO),
    "read-enomem": Fault(1, errno.ENOMEM),
    "read-eacces": Fault(1, errno.EACCES),
}


@dataclass(frozen=True)
class Ended:
    """How a run ended: its exit code (-9 killed), what it said on standard error, calls counted."""

    code: int
    stderr: str
    calls: tuple[int, int]


class Bench:
    """A case on its store, which is brought back to where it began before each run."""

    def __init__(self, root: Path, name: str) -> None:
        """Prepare the store, and run the verb once without a fault."""
        self.case: Case = CASES[name]
        self.mirror = InProcess(root, root / "nothing")
        self._output = root / "output"
        self._copy = root / "copy"
        basis(self.mirror)
        self.data = self.case.prepare(self.mirror)
        _clone(self.mirror.store, self._copy)
        self.before = checker.at_rest(self.mirror.store)
        ended = self.run(Fault(0), _NEVER)
        if ended.code:
            raise SystemExit(f"{name} fails without any fault: {ended.stderr}")
        self.calls = ended.calls
        self.after = checker.at_rest(self.mirror.store)

    def problems(self, fault: Fault, at: int) -> Iterator[str]:
        """Let the ``at``-th call fail; yield what is wrong then, and after the next run."""
        shutil.rmtree(self.mirror.store)
        _clone(self._copy, self.mirror.store)
        ended = self.run(fault, at)
        if ended.code == -signal.SIGKILL and not fault.error:
            pass
        elif ended.code not in _CODES or "Traceback" in ended.stderr or "itself" in ended.stderr:
            yield f"it ended with {ended.code}: {ended.stderr}"
        elif any(not line.startswith("mirrorctl: ") for line in ended.stderr.splitlines()):
            yield f"it said: {ended.stderr}"
        elif ended.code and not ended.stderr and not self.case.has_verdict:
            yield f"it ended with {ended.code} and said nothing"
        yield from checker.violations(self.mirror.store, self.before, self.after)
        # What was refused, because it is done already, leaves the rest to the run after it.
        again = self.run(Fault(0), _NEVER)
        if again.code not in self.case.codes_again:
            yield f"the next run ended with {again.code}: {again.stderr}"
        yield from checker.violations(self.mirror.store, self.before, self.after)
        if again.code:
            self.mirror.run("expire")
        now = checker.at_rest(self.mirror.store)
        for key, wanted in self.after.items():
            if now[key] != wanted:
                yield f"after the next run {key} differs: {_difference(now[key], wanted)}"

    def run(self, fault: Fault, at: int) -> Ended:
        """Run the verb in a child, in which the ``at``-th call meets the fault."""
        child = os.fork()
        if child == 0:
            os._exit(self._child(fault, at))
        _, status = os.waitpid(child, 0)
        calls, _, stderr = self._output.read_text("utf-8", "replace").partition("\n")
        changing, reading = calls.split() if calls else ("0", "0")
        return Ended(
            os.waitstatus_to_exitcode(status), stderr.strip(), (int(changing), int(reading))
        )

    def _child(self, fault: Fault, at: int) -> int:
        shim = ctypes.CDLL(None)
        shim.fault_count.restype = ctypes.c_long
        shim.fault_arm.argtypes = [
            ctypes.c_char_p,
            *[ctypes.c_int],
            ctypes.c_long,
            *[ctypes.c_int] * 2,
        ]
        self._output.write_text("")
        shim.fault_arm(bytes(self.mirror.store), fault.kind, at, fault.error, fault.onwards)
        try:
            code, _, said = self.mirror.run(*self.case.words, data=self.data)
        except BaseException as error:
            code, said = 99, f"Traceback: {error!r}"
        calls = shim.fault_count(0), shim.fault_count(1)
        shim.fault_arm(b"/nowhere", 0, _NEVER, 0, 0)
        self._output.write_text(f"{calls[0]} {calls[1]}\n{said}")
        return code


def _difference(now: Any, wanted: Any) -> str:
    """Say in a line where two values of JSON's kind part."""
    if isinstance(now, dict) and isinstance(wanted, dict):
        keys = sorted(key for key in {*now, *wanted} if now.get(key) != wanted.get(key))
        return "; ".join(f"{key}: {_difference(now.get(key), wanted.get(key))}" for key in keys)
    if isinstance(now, list) and isinstance(wanted, list):
        if len(now) == len(wanted):
            pairs = [pair for pair in zip(now, wanted) if pair[0] != pair[1]]
            return "; ".join(_difference(*pair) for pair in pairs)
        now, wanted = (
            [each for each in a if each not in b] for a, b in ((now, wanted), (wanted, now))
        )
    return f"{now}, not {wanted}"


def _clone(source: Path, target: Path) -> None:
    """Copy a tree, hard links and times and all."""
    links: dict[int, Path] = {}

    def copy(path: str, into: str) -> None:
        status = os.lstat(path)
        if status.st_ino in links:
            os.link(links[status.st_ino], into)
            return
        shutil.copy2(path, into, follow_symlinks=False)
        if status.st_nlink > 1:
            links[status.st_ino] = Path(into)

    shutil.copytree(source, target, symlinks=True, copy_function=copy)


def _points(benches: dict[str, Bench], args: argparse.Namespace) -> list[tuple[str, str, int]]:
    faults = [args.fault] if args.fault else list(FAULTS)
    points = [
        (case, fault, at)
        for case, bench in benches.items()
        for fault in faults
        for at in range(1, bench.calls[FAULTS[fault].kind] + 1)
        if args.at in (None, at)
    ]
    if args.points is None or args.points >= len(points):
        return points
    # As many of each verb and fault, so that those with few calls are not left out.
    random.Random(args.seed).shuffle(points)  # noqa: S311 - nothing is secret
    seen: dict[tuple[str, str], int] = {}
    turns = []
    for case, fault, at in points:
        seen[case, fault] = seen.get((case, fault), 0) + 1
        turns.append((seen[case, fault], (case, fault, at)))
    turns.sort(key=lambda turn: turn[0])
    return [point for _, point in turns[: args.points]]


def _build(directory: Path) -> Path:
    shim = directory / "shim.so"
    command = ["gcc", "-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC"]
    try:
        subprocess.run([*command, "-o", shim, _HERE / "shim.c", "-ldl"], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        print(
            f"run.py: the shim cannot be built ({error}): apt install gcc libc6-dev",
            file=sys.stderr,
        )
        raise SystemExit(2) from error
    return shim


def _check(args: argparse.Namespace, root: Path) -> int:
    benches = {}
    for name in [args.case] if args.case else CASES:
        (root / name).mkdir()
        benches[name] = Bench(root / name, name)
    points = _points(benches, args)
    seed = f", seed {args.seed}" if args.points is not None else ""
    print(f"{len(points)} points of {len(benches)} verbs{seed}", flush=True)
    failed = 0
    for case, fault, at in points:
        problems = list(benches[case].problems(FAULTS[fault], at))
        failed += bool(problems)
        for problem in problems:
            print(f"--case {case} --fault {fault} --at {at}: {problem[:_LINE]}", flush=True)
    print(f"{len(points) - failed} held, {failed} did not")
    return 1 if failed else 0


def main() -> int:
    """Build the shim, start again with it, and check the points that were asked for."""
    parser = argparse.ArgumentParser(description="Let calls of mirrorctl fail, one at a time.")
    parser.add_argument("--points", type=int, help="so many at random, instead of all")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--case", choices=CASES, help="one verb")
    parser.add_argument("--fault", choices=FAULTS, help="one fault")
    parser.add_argument("--at", type=int, help="one call, counted from 1")
    args = parser.parse_args()
    # In memory: what is written so often need not reach a disk.
    with tempfile.TemporaryDirectory(prefix="stx-faults-", dir="/dev/shm") as directory:
        root = Path(directory)
        if _SHIM in os.environ:
            return _check(args, root)
        environment = {**os.environ, _SHIM: "1", "LD_PRELOAD": str(_build(root))}
        again = [*sys.argv, "--seed", str(args.seed)]
        return subprocess.run([sys.executable, *again], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
