"""Putting the mirror's own pages into the tree, beside the builds."""

from __future__ import annotations

import contextlib
import stat
from collections.abc import Collection, Mapping

from stxmirror import names
from stxmirror.layout import RESERVED_NAMES
from stxmirror.mirror import aliases, fs, openpgp, pages
from stxmirror.mirror.page_model import Known
from stxmirror.mirror.state import BuildState
from stxmirror.mirror.store import Store, remove_empty_parents

# Only below this one are pages removed: `assets/` also holds what the provisioning put there.
_PAGES = "builds"


def write_pages(
    store: Store, states: Mapping[str, BuildState], unknown: Collection[str] = ()
) -> None:
    """Make every page anew, write those that changed, and remove those of builds that are gone.

    ``unknown`` are ids of builds whose state is damaged. Those that are not in the tree any more
    have no entry in ``states``; their pages stay what they are.
    """
    public = store.config.public
    known = (_with_record(store, state) for _, state in sorted(states.items()))
    made = pages.render(
        [build for build in known if build],
        store.config.policy.rules,
        aliases.current(store, (state.id.directory for state in states.values())),
        store.config.site,
        store.now,
        fingerprints=_fingerprints(store),
    )
    for path, data in sorted(made.items()):
        if path.split("/")[0] not in RESERVED_NAMES:
            raise ValueError(f"a page would lie at {path}, among the builds")
        with contextlib.suppress(FileNotFoundError):
            if (public / path).read_bytes() == data:
                continue
        fs.make_directories((public / path).parent, public)
        fs.write_file(public / path, data, store.scratch)
    kept = [f"{build_id}/" for build_id in unknown]
    # What lies in a directory comes before it, so that one that has become empty goes as well.
    for path, status in reversed(list(fs.walk(public / _PAGES))):
        page = public / _PAGES / path
        if stat.S_ISDIR(status.st_mode):
            remove_empty_parents(page, page.parent)
        elif f"{_PAGES}/{path}" not in made and not path.startswith(tuple(kept)):
            page.unlink()
    store.clear_stale()


def _fingerprints(store: Store) -> list[str]:
    """Return the fingerprints of the keys that this mirror offers to readers."""
    try:
        text = (store.config.public / names.SIGNING_KEY).read_text(encoding="ascii")
    except (FileNotFoundError, UnicodeDecodeError):
        return []
    return openpgp.fingerprints(text)


def _with_record(store: Store, state: BuildState) -> Known | None:
    """Return a build with its build.json; a withdrawn build's was kept beside its tombstone.

    A build without a readable one cannot be shown; ``mirrorctl verify`` names it.
    """
    record = state.tombstone.record if state.tombstone else store.record(str(state.id))
    is_signed = (store.path(str(state.id)) / names.SIGNATURE).is_file()
    return Known(state, record, is_signed) if record else None
