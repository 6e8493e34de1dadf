#!/usr/bin/env python3
"""How the time to plan a pruning grows: 1,000 builds against 10,000, side by side in one run.

Ten times as many builds should take about ten times as long; 100 would mean that every build is
compared with every other. Absolute times say more about the machine than about the code.
"""

from __future__ import annotations

import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from stxmirror import retention
from stxmirror.layout import BuildId
from stxmirror.times import format_build_date

NOW = datetime(2026, 11, 22, tzinfo=timezone.utc)
ROUNDS = 5
RULES = [
    {"stream": "master", "directory": "master/sample", "keep": {"days": 14}},
    {"stream": "features", "directory": "feature/*/sample", "keep": {"days": 30}},
    {"stream": "releases", "directory": "release/*/sample", "keep": {"forever": True}},
    {"stream": "milestones", "directory": "milestone/*/sample", "keep": {"release_periods": 1}},
]


POLICY = retention.Policy(tuple(map(retention.Rule.parse, RULES)), 182, 1)


def mirror_of(count: int) -> list[retention.ListedBuild]:
    """A mirror with this many builds: nightlies, and streams in the proportion of a real site."""
    kinds = ["master/sample"] * 6 + ["feature/f{}/sample"] * 2
    kinds += ["release/{}/sample", "milestone/{}/sample"]
    promise = retention.Promise(datetime(2026, 1, 1, tzinfo=timezone.utc))
    dates = [format_build_date(NOW - timedelta(hours=n)) for n in range(count)]
    return [
        retention.ListedBuild(
            id=BuildId.parse(f"{kinds[n % 10].format(n % 97)}/{date}"),
            is_success=n % 5 > 0,
            promise=promise,
        )
        for n, date in enumerate(dates)
    ]


def seconds_to_plan(builds: list[retention.ListedBuild]) -> float:
    """Plan once, and say how long it took."""
    begun = time.perf_counter()
    retention.plan(builds, POLICY, NOW, aliases={str(builds[0].id)})
    return time.perf_counter() - begun


def main() -> None:
    """Measure both sizes in turns, so that a busy moment hits both, and take the best of each."""
    small, large = mirror_of(1_000), mirror_of(10_000)
    times = [(seconds_to_plan(small), seconds_to_plan(large)) for _ in range(ROUNDS)]
    best_small, best_large = (min(column) for column in zip(*times))
    print(
        f"planning 10,000 builds against 1,000: {best_large / best_small:.1f} times as long "
        f"(10 is linear; {best_small * 1000:.0f} ms and {best_large * 1000:.0f} ms here)"
    )


if __name__ == "__main__":
    main()
