"""What every change of the mirror begins and ends with, so that running again converges.

A run can be cut off at any instruction. The next one of any kind first brings state, index, aliases
and pages back to what the tree says, then does its own work.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from stxmirror.errors import StxMirrorError
from stxmirror.layout import BuildId
from stxmirror.mirror import aliases, damage, fs, health, identity
from stxmirror.mirror.errors import Busy, explain
from stxmirror.mirror.index import Index
from stxmirror.mirror.state import BuildState
from stxmirror.mirror.store import Store, remove_empty_parents, token_for
from stxmirror.mirror.write_pages import write_pages
from stxmirror.times import format_time


class Transaction:
    """A change of the mirror in progress, under the store's lock."""

    def __init__(self, store: Store, index: Index) -> None:
        """Bring the store back to what the tree says."""
        self.store = store
        self.index = index
        # All of it is read before anything is changed: what cannot be read must stop the verb.
        self.published, empty = store.scan()
        self.uploads, self.damaged_uploads = store.open_uploads()
        self.states, self.damaged = damage.states(store, self.published)
        damage.warn(store, self.damaged, self.damaged_uploads.values())
        self.moved: dict[str, str | None] = {}
        self._recover(empty)

    def _recover(self, empty: Collection[Path]) -> None:
        store = self.store
        for build_id, state in list(self.states.items()):
            if build_id in self.published and state.tombstone:
                self.move_away([build_id])
            elif build_id not in self.published and not state.tombstone:
                if build_id not in self.uploads:
                    store.forget(build_id)
                del self.states[build_id]
        for path in empty:
            remove_empty_parents(path, store.config.public)
        self.index.follow(self.published)
        self.update_aliases()

    def save(self, state: BuildState) -> None:
        """Make what is known of a build durable; a damaged state file is kept elsewhere."""
        if self.damaged.pop(str(state.id), None):
            self.store.set_aside(str(state.id))
        self.store.save(state)
        self.states[str(state.id)] = state

    def forget(self, build_id: str) -> None:
        """Drop what is known of a build that is not in the tree."""
        self.store.forget(build_id)
        self.states.pop(build_id, None)
        self.damaged.pop(build_id, None)

    def check_known(self, build: BuildId) -> None:
        """Raise if what the mirror knows of ``build`` is damaged."""
        if str(build) in self.damaged:
            raise StxMirrorError(
                f"what the mirror knows of {build} is damaged: run `mirrorctl repair-state {build}`"
                " on the mirror"
            )

    def update_aliases(self, to_delete: frozenset[str] = frozenset()) -> None:
        """Point the aliases where they belong, as if the builds ``to_delete`` were gone."""
        present = [
            state
            for build_id, state in self.states.items()
            if build_id in self.published or build_id in to_delete
        ]
        self.moved.update(aliases.update(self.store, present, to_delete))

    def move_away(self, to_delete: Collection[str]) -> None:
        """Move builds out of the tree, each in one step, after the aliases have left them.

        Their bytes go when the trash is emptied.
        """
        store = self.store
        store.mark_stale()
        self.update_aliases(frozenset(to_delete))
        for build_id in to_delete:
            path = store.path(build_id)
            name = f"{token_for(BuildId.parse(build_id))}-{store.now:%Y%m%dT%H%M%S%f}"
            path.rename(store.trash / name)
            fs.fsync_path(path.parent)
            self.published.discard(build_id)
            self.index.drop(build_id)
            health.forget_builds(store, [build_id])
            remove_empty_parents(path.parent, store.config.public)

    def expire_uploads(self, *, except_for: str | None = None) -> list[str]:
        """Close the uploads that were begun too long ago; ``except_for`` is the caller's own.

        Staging that belongs to no upload, which a crash leaves behind, goes with them, and what is
        damaged. What somebody is at work on is left alone.
        """
        expired = []
        for build_id, upload in sorted(self.uploads.items()):
            age = self.store.now - upload.began
            is_old = age.total_seconds() > self.store.config.upload_expiry_hours * 3600
            if is_old and upload.token != except_for and self._close(upload.token):
                del self.uploads[build_id]
                expired.append(build_id)
        kept = {upload.token for upload in self.uploads.values()}
        kept |= {self.store.scratch.name, self.store.trash.name}
        for path in self.store.config.staging.iterdir():
            if path.name not in kept and path.name != except_for:
                self._close(path.name)
        for token in self.damaged_uploads.keys() - kept - {except_for}:
            self._close(token)
        return expired

    def _close(self, token: str) -> bool:
        try:
            with self.store.upload_lock(token):
                self.index.follow_steps(self.store.forget_upload(token))
        except Busy:
            return False
        return True


@contextlib.contextmanager
def transaction(store: Store, *, pages: bool = True) -> Iterator[Transaction]:
    """Hold the store's lock around a change; afterwards aliases and pages follow the tree.

    Without ``pages`` those are left for :func:`empty_trash`.
    """
    store.prepare()
    with store.lock(), Index(store.config.state, store.config.public) as index:
        current = Transaction(store, index)
        yield current
        current.update_aliases()
        if pages and store.is_stale():
            _try_pages(store, current)


def _try_pages(store: Store, current: Transaction) -> None:
    """Make the pages; what goes wrong there is reported, and tried again by the next run.

    The pages follow from the tree. Whatever keeps one from being made, a full disk or a record that
    nobody had thought of, must not keep builds from being published or pruned.
    """
    try:
        write_pages(store, current.states, current.damaged)
    except Exception as error:  # for every reason alike
        why = explain(error) if isinstance(error, OSError) else repr(error)
        print(f"mirrorctl: warning: the pages are out of date: {why}", file=sys.stderr)


def empty_trash(store: Store) -> None:
    """Delete what was moved away, then bring the pages up to date.

    In this order because a disk that is full has no room for a page before. Deleting needs no lock,
    and many files take long.
    """
    steps: list[identity.Step] = []
    for path in sorted(store.trash.iterdir()):
        steps += identity.remove_tree(path)
    with transaction(store) as current:
        current.index.follow_steps(steps)


def new_state(
    store: Store, build: BuildId, result: str, size: int, seals: Mapping[str, str] | None = None
) -> BuildState:
    """Return what is known of a build that is being published now, with the promise made to it."""
    policy = store.config.policy
    rule = policy.rule_for(build.directory)
    return BuildState(
        id=build,
        result=result,
        published=format_time(store.now),
        keep_until=format_time(policy.keep_until(build)),
        rule=rule.stream if rule else None,
        bytes=size,
        seals=seals or {},
    )
