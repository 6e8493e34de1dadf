"""Making the damaged state of builds anew: what the tree and the damaged file still say is taken,
and of the rest the safer is assumed and named.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from stxmirror.errors import StxMirrorError
from stxmirror.layout import BuildId
from stxmirror.mirror import damage, fs, state_file
from stxmirror.mirror.state import BuildState, Tombstone
from stxmirror.mirror.store import Store, is_build
from stxmirror.mirror.transaction import Transaction, transaction
from stxmirror.names import MARKERS
from stxmirror.times import format_time, parse_time

_HELD = (
    "what the mirror knew of this build was damaged and was made anew on {day}; "
    "it is kept until the mirror's admin decides"
)
_LOST = (
    "it is not on this mirror, and what the mirror knew of it is lost: this name is not used again"
)


def repair_state(store: Store, build: BuildId | None) -> dict[str, object]:
    """Make the damaged state of one build, or of all, anew; say what cannot be known.

    The damaged files are kept in ``state/damaged``.
    """
    store.prepare()
    if build is not None:
        with store.lock():
            _give_up_unreadable(store, str(build))
    with transaction(store) as current:
        wanted = sorted(current.damaged) if build is None else [str(build)]
        repaired = [_repair(current, each) for each in wanted if each in current.damaged]
    return {"repaired": repaired}


def _give_up_unreadable(store: Store, build_id: str) -> None:
    """Exchange a state file that the disk does not give back for an empty one.

    Asked for by name only: it may be readable again in a moment.
    """
    path = store.state_path(build_id)
    try:
        path.read_bytes()
    except FileNotFoundError:
        return
    except OSError:
        store.set_aside(build_id)
        fs.write_file(path, b"", store.scratch)


def _repair(current: Transaction, build_id: str) -> dict[str, object]:
    store = current.store
    path = store.state_path(build_id)
    read = {} if fs.look(path) is None else state_file.salvage(path.read_bytes())
    kept = store.set_aside(build_id)
    if build_id in current.published:
        became, unknown = "held", _hold(current, build_id, read)
    elif not is_build(build_id):
        became, unknown = "forgotten", ["what this file was for: its name is not that of a build"]
        current.forget(build_id)
    elif read.get("tombstone", read) is None:
        became, unknown = "forgotten", ["nothing: it is not in the tree, and was not withdrawn"]
        current.forget(build_id)
    else:
        became, unknown = "withdrawn", _bury(current, build_id, read)
    return {
        "id": build_id,
        "state": became,
        "unknown": unknown,
        "kept": None if kept is None else str(kept),
    }


def _hold(current: Transaction, build_id: str, read: Mapping[str, object]) -> list[str]:
    """Save the state of a build in the tree: held, so that no promise is broken unseen."""
    store = current.store
    state = damage.from_tree(store, build_id)
    because = _HELD.format(day=f"{store.now:%Y-%m-%d}")
    hold = read.get("hold")
    was_held = isinstance(hold, str) and hold.isprintable()
    promised = format_time(store.config.policy.keep_until(state.id))
    until = read.get("keep_until", promised)
    if until is None or (promised is not None and _is_time(until)):
        # Both are written alike, so that the later of them is the greater text.
        promised = None if until is None else max(str(until), str(promised))
    because = f"{hold}; {because}" if was_held else because
    current.save(replace(state, hold=because, keep_until=promised))
    return [
        "until when it was promised to be kept: it is held; after `mirrorctl unhold` it is kept "
        + (f"until {promised} at least" if promised else "forever"),
        f"whether a person held it: the damaged file says {hold!r}"
        if was_held
        else "whether a person held it, and why",
        "the notes about it",
    ]


def _bury(current: Transaction, build_id: str, read: Mapping[str, object]) -> list[str]:
    """Save a tombstone of a build that is not in the tree, so that it cannot come back."""
    now = format_time(current.store.now)
    try:
        tombstone = Tombstone.parse(read.get("tombstone"), "it")
        unknown = ["whether the words of its tombstone are still the right ones"]
    except StxMirrorError:
        tombstone = Tombstone(_LOST, now, None)
        unknown = ["whether it was ever published", "whether it was withdrawn, when and why"]
    published, size, result = (read.get(key) for key in ("published", "bytes", "result"))
    current.save(
        BuildState(
            id=BuildId.parse(build_id),
            result=result if isinstance(result, str) and result in MARKERS else "fail",
            published=str(published) if _is_time(published) else now,
            keep_until=None,
            rule=None,
            bytes=size if isinstance(size, int) else 0,
            tombstone=tombstone,
        )
    )
    return unknown


def _is_time(raw: object) -> bool:
    try:
        return isinstance(raw, str) and bool(parse_time(raw))
    except StxMirrorError:
        return False
