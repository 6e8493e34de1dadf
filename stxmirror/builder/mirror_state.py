"""What the mirror says of this host's builds, taken over into the status of a branch.

A person may have withdrawn the last good build: what comes next is compared with the one before. A
publication that was cut off may have come through all the same.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path

from stxmirror.builder.mirror import Mirror, MirrorError, Way
from stxmirror.errors import StxMirrorError
from stxmirror.layout import BuildId, project_name
from stxmirror.state import status
from stxmirror.state.builds import dated
from stxmirror.state.files import read_json
from stxmirror.state.paths import Paths
from stxmirror.state.status import Attempt, Status

# So many of the newest good builds are asked for.
_GOOD_MAX = 20

_Answer = Mapping[str, Mapping[str, str]]


def compare(paths: Paths, ref: str, directory: str, tell: Callable[[str], None]) -> None:
    """Bring the status of a branch to what the mirror has, and tell what that changes.

    Only for whoever holds the stream's lock; ``directory`` is the stream's. A mirror that does not
    answer changes nothing, which is told.
    """
    project = project_name(ref)
    known = status.read(paths, ref, project)
    good = _good_builds(paths, ref, directory, known)
    attempt = known.last_attempt
    asked = [*good, attempt.id] if attempt and attempt.id and attempt.id not in good else good
    way = _way(paths)
    if not asked or way is None:
        return
    try:
        answer = Mirror(way, tell).known(asked)
    except MirrorError as error:
        last = known.last_success or "no build"
        tell(f"the mirror was not asked for earlier builds: {error}; {last} counts as last good")
        return
    changed = _with_success(paths, _with_attempt(paths, known, answer), good, answer)
    if changed == known:
        return
    status.write(paths, project, changed)
    for sentence in _differences(known, changed, answer):
        tell(sentence)


def _way(paths: Paths) -> Way | None:
    """Return how the mirror was reached last, for one attempt; ``None`` if it never was."""
    content = read_json(paths.way)
    if content is None:
        return None
    try:
        return replace(Way(**content), attempts=1)
    except TypeError:
        return None  # another version's: the next publication writes it again


def _good_builds(paths: Paths, ref: str, directory: str, known: Status) -> list[str]:
    """Return the ids of a branch's newest good builds, newest first, the last known one among them.

    Its directory is looked through as well: a stream may have moved to another since.
    """
    last = _parsed(known.last_success)
    places = {directory, *([last.directory] if last else [])}
    found = {
        BuildId.parse(f"{place}/{date}") for place in places for date in dated(paths.builds / place)
    }
    newest = sorted(found, key=lambda build: build.build_date, reverse=True)
    good = islice((build for build in newest if _is_good(paths, ref, build)), _GOOD_MAX)
    both = {*good, *([last] if last else [])}
    return [str(b) for b in sorted(both, key=lambda build: build.build_date, reverse=True)]


def _parsed(build_id: str | None) -> BuildId | None:
    try:
        return BuildId.parse(build_id) if build_id else None
    except StxMirrorError:
        return None  # what was there is no build


def _is_good(paths: Paths, ref: str, build: BuildId) -> bool:
    record = read_json(paths.record(str(build))) or {}
    return record.get("ref") == ref and record.get("result") == "success"


def _with_attempt(paths: Paths, known: Status, answer: _Answer) -> Status:
    """Return the status with the last run's publication, which was cut off after it had come."""
    attempt = known.last_attempt
    if not attempt or not attempt.id or attempt.published:
        return known
    if answer[attempt.id].get("state") != "published":
        return known
    record = read_json(paths.record(attempt.id)) or {}
    made: Attempt = replace(attempt, published=True, unpublished_why="")
    if record.get("result") == "success":
        made = replace(made, result="success", failed_stage=None, why="")
    return replace(known, last_attempt=made)


def _with_success(paths: Paths, known: Status, good: list[str], answer: _Answer) -> Status:
    """Return the status with the newest good build that readers can see."""
    for build_id in good:
        said = answer[build_id]
        if said.get("state") == "published" and said.get("result") == "success":
            if build_id == known.last_success:
                return known
            record = read_json(paths.record(build_id)) or {}
            return replace(
                known, last_success=build_id, last_success_finished=record.get("finished")
            )
    return replace(known, last_success=None, last_success_finished=None)


def _differences(before: Status, after: Status, answer: _Answer) -> Iterator[str]:
    attempt = after.last_attempt
    if attempt and attempt != before.last_attempt:
        yield f"{attempt.id} was published after all"
    if before.last_success == after.last_success:
        return
    if before.last_success:
        said = answer.get(before.last_success, {})
        reason = f" ({said['reason']})" if said.get("reason") else ""
        if said.get("state") == "withdrawn":
            yield f"{before.last_success} was withdrawn from the mirror{reason}"
        elif said.get("state") != "published":
            yield f"the mirror does not have {before.last_success} any more"
    yield f"the last good build is {after.last_success or 'none'}"


def main() -> None:
    """Ask for the branch that the command line names; for where a publication was ended."""
    state, ref, directory = sys.argv[1:]
    compare(replace(Paths(), state=Path(state)), ref, directory, print)


if __name__ == "__main__":
    main()
