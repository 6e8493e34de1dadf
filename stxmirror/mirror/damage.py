"""Builds of which the mirror's own state is damaged or lost: what is done for them meanwhile.

Such a build stays as it is, whatever the rules say, until a person has `mirrorctl repair-state`
make its state anew; nothing of it is written before that, and every verb names it.
"""

from __future__ import annotations

import stat
import sys
from collections.abc import Collection, Mapping
from datetime import datetime, timezone

from stxmirror import names
from stxmirror.layout import BuildId
from stxmirror.mirror import fs
from stxmirror.mirror.state import BuildState
from stxmirror.mirror.store import Store
from stxmirror.times import format_time

_HOLD = "what the mirror knows of this build is damaged; it is kept until that is repaired"
# A lost directory of states would otherwise be thousands of lines at every run.
_NAMED = 10


def states(
    store: Store, published: Collection[str]
) -> tuple[dict[str, BuildState], dict[str, str]]:
    """Return what is known of every build, and what is wrong with the rest, by id.

    Of a build in the tree the first has an entry in any case.
    """
    known, damaged = store.states()
    for build_id in sorted(set(published) - known.keys()):
        damaged.setdefault(build_id, f"{store.state_path(build_id)} is gone")
        known[build_id] = from_tree(store, build_id)
    return known, damaged


def from_tree(store: Store, build_id: str) -> BuildState:
    """Return what the tree says of a build, held, and promised to be kept forever."""
    build = BuildId.parse(build_id)
    path = store.path(build_id)
    rule = store.config.policy.rule_for(build.directory)
    sizes = (status.st_size for _, status in fs.walk(path) if stat.S_ISREG(status.st_mode))
    # The directory was complete, and has not changed since, shortly before it became visible.
    complete = datetime.fromtimestamp(int(path.stat().st_mtime), timezone.utc)
    return BuildState(
        id=build,
        result="fail" if fs.look(path / names.MARKERS["success"]) is None else "success",
        published=format_time(complete),
        keep_until=None,
        rule=rule.stream if rule else None,
        bytes=sum(sizes),
        hold=_HOLD,
    )


def warn(store: Store, damaged: Mapping[str, str], uploads: Collection[str]) -> None:
    """Name, once a run, what is damaged."""
    if store.is_warned:
        return
    store.is_warned = True
    for number, why in enumerate(sorted(damaged.values())):
        if number == _NAMED:
            _warn(
                f"{len(damaged) - _NAMED} more builds of which the state is damaged: see "
                "`mirrorctl list`, then run `mirrorctl repair-state`"
            )
            break
        _warn(f"{ascii(why)[1:-1]}: the build stays as it is until `mirrorctl repair-state` is run")
    for why in uploads:
        _warn(f"{ascii(why)[1:-1]}: that upload has to begin again")


def _warn(text: str) -> None:
    print(f"mirrorctl: warning: {text}", file=sys.stderr)
