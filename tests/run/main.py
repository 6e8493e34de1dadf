# SPDX-License-Identifier: Apache-2.0
"""What `script/test` calls: chooses the jobs, runs them side by side, says how long they took."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

import durations
import pool
from jobs import PARTS, PROJECT, Job, in_order, matrix, part
from since import Selection, changed

# Once everything else is over: the images that were made meanwhile have these releases' lists.
NAMES = Job(
    "names of packages",
    ("pytest", "-p", "no:cacheprovider", "tests/hosts/test_package_names.py"),
)
LOGS = PROJECT / ".cache" / "tests"


def arguments(words: Sequence[str]) -> argparse.Namespace:
    """What was asked for; what contradicts itself ends the program."""
    parser = argparse.ArgumentParser(prog="script/test", description="Run the tests.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"only these: {' '.join(PARTS)}")
    parser.add_argument(
        "--all", action="store_true", help="also other releases, Pythons, ansible-cores, mutations"
    )
    parser.add_argument("--since", metavar="REV", help="what the changes since REV can break")
    parser.add_argument(
        "--record", action="store_true", help="keep the durations in tests/run/durations.tsv"
    )
    asked = parser.parse_args(words)
    if asked.since and (asked.all or asked.parts):
        parser.error("--since chooses the parts: leave out --all and the names of parts")
    return asked


def chosen(asked: argparse.Namespace) -> list[Job]:
    """The jobs to run; ``ValueError`` says what cannot be chosen."""
    if asked.since:
        selection = Selection(changed(asked.since))
        print(selection.described())
        return selection.jobs()
    names = asked.parts or PARTS
    jobs = [job for name in dict.fromkeys(names) for job in part(name, brief="e2e" in names)]
    return jobs + (matrix() if asked.all else [])


def report(results: Sequence[pool.Result], seconds: int, record: bool, complete: bool) -> int:
    """Print the table and the verdict; return the exit status."""
    skipped = [each for each in results if each.code == pool.SKIPPED]
    failed = [each for each in results if each.code not in (0, pool.SKIPPED)]
    now = {
        each.job.name: durations.Measured(each.seconds, durations.tests_in(each.text))
        for each in results
        if each.code == 0
    }
    if complete and not failed:
        now[durations.WHOLE] = durations.Measured(seconds, sum(m.tests for m in now.values()))
    print(f"\n{durations.table(now, durations.read())}\n")
    for words in durations.fewer(now, durations.read()):
        print(f"fewer tests: {words}")
    if record:
        durations.write(now)
    for each in skipped:
        print(f"skipped: {each.job.name}: {(each.text.splitlines() or ['no reason'])[-1]}")
    for each in failed:
        print(f"failed: {each.job.name}; its output is in {each.log.relative_to(PROJECT)}")
    passed = len(results) - len(failed) - len(skipped)
    print(f"{passed} passed, {len(failed)} failed, {len(skipped)} skipped")
    return 1 if failed else 0


def main(words: Sequence[str]) -> int:
    """Run what was asked for. Exit status: 0 all passed, 1 something failed, 2 wrong arguments."""
    asked = arguments(words)
    try:
        jobs = in_order(chosen(asked), {n: m.seconds for n, m in durations.read().items()})
    except ValueError as problem:
        print(f"script/test: {problem}", file=sys.stderr)
        return 2
    began = time.monotonic()
    # At once and before the rest: apt lets only one in.
    needed = sorted({job.name.split()[0] for job in jobs} & set(PARTS))
    results = pool.run([Job("packages", ("tests/run/packages", *needed))], 1, LOGS)
    results += pool.run(jobs, pool.slots(), LOGS)
    if asked.all:
        results += pool.run([NAMES], 1, LOGS)
    complete = not (asked.parts or asked.since or asked.all)
    return report(results, round(time.monotonic() - began), asked.record, complete)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
