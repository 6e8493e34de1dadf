"""What must hold of a mirror's store at every moment, and what it must look like at rest.

Looks at the files alone and uses none of the mirror's own code, which is what is tested.
"""

from __future__ import annotations

import hashlib
import json
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_DATE = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_OWN = ("builds", "assets", "index.html", "builds.json", "verify.py")
_DIRECTORIES = (
    *("inputs/RPMS", "inputs/SRPMS", "inputs/downloads", "outputs/RPMS", "outputs/SRPMS"),
    *("outputs/iso", "outputs/installer", "outputs/wheels", "outputs/helm-charts", "outputs/logs"),
)
# What differs from one run to the next.
_TIMES = ("published", "generated", "began", "when")


def builds(store: Path) -> set[str]:
    """The ids of the builds that a reader finds in the tree."""
    public = store / "public"
    found = set()
    for path, status in _walk(public):
        name = path.rpartition("/")[2]
        if (
            stat.S_ISDIR(status.st_mode)
            and _DATE.fullmatch(name)
            and path.split("/")[0] not in _OWN
        ):
            found.add(path)
    return found


def files(store: Path) -> dict[str, tuple[int, str]]:
    """Mode and digest of every published file."""
    return {
        path: (stat.S_IMODE(status.st_mode), _digest(store / "public" / path))
        for path, status in _walk(store / "public")
        if stat.S_ISREG(status.st_mode) and path.split("/")[0] not in _OWN
    }


def states(store: Path) -> dict[str, Any]:
    """What the state file of each build says, but for its times; ``None`` if it is unreadable."""
    found: dict[str, Any] = {}
    for path in sorted((store / "state/builds").rglob("*.json")):
        build = str(path.relative_to(store / "state/builds")).removesuffix(".json")
        try:
            value = dict(json.loads(path.read_bytes()))
        except (ValueError, TypeError):
            found[build] = None
            continue
        found[build] = {
            key: value[key] for key in ("hold", "keep_until", "result", "rule") if key in value
        }
        found[build]["withdrawn"] = (value.get("tombstone") or {}).get("reason")
    return found


def aliases(store: Path) -> dict[str, str]:
    """Where every link of the tree that is not a build's own points."""
    return {
        path: str((store / "public" / path).readlink())
        for path, status in _walk(store / "public")
        if stat.S_ISLNK(status.st_mode) and not any(map(_DATE.fullmatch, path.split("/")))
    }


def violations(store: Path, before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
    """Yield what does not hold in the middle of a change from one state of rest to another."""
    here = builds(store)
    for build in sorted(here):
        yield from (f"{build}: {why}" for why in _of_build(store / "public" / build))
    lost = (set(before["builds"]) & set(after["builds"])) - here
    yield from (f"{build} is gone" for build in sorted(lost))
    yield from (f"{build} is not known" for build in here - {*before["builds"], *after["builds"]})
    now = files(store)
    for path, known in before["files"].items():
        if now.get(path, known) != known:
            yield f"the published file {path} changed"
    known_states = states(store)
    for build in sorted(here):
        ends = [end for end in (before, after) if build in end["builds"] or build in end["states"]]
        allowed = [end["states"].get(build) for end in ends]
        if known_states.get(build) not in allowed:
            yield f"what is known of {build} is {known_states.get(build)}, not one of {allowed}"
    yield from _of_links(store, before["aliases"], after["aliases"])
    inodes = {status.st_ino for _, status in _walk(store / "public")}
    for path, status in _walk(store / "incoming"):
        if status.st_ino in inodes:
            yield f"incoming/{path} shares its bytes with a published file"
    page = store / "public/builds.json"
    if page.exists() and not _is_json(page):
        yield "builds.json is cut short"


def _of_links(store: Path, before: dict[str, str], after: dict[str, str]) -> Iterator[str]:
    for link, target in aliases(store).items():
        if target not in {before.get(link), after.get(link)}:
            yield f"{link} points at {target}"
        if link.endswith("latest_build"):
            build = store / "public" / link.rpartition("/")[0] / target
            if not (build / "outputs/success").is_file():
                yield f"{link} points at {target}, which is no success"
        elif not (store / "public" / target).is_dir():
            yield f"{link} points at nothing"


def at_rest(store: Path) -> dict[str, Any]:
    """All that has to be the same again after a run that was cut off and one that was not."""
    public = store / "public"
    page = public / "builds.json"
    return {
        "builds": sorted(builds(store)),
        "files": files(store),
        "states": states(store),
        "aliases": aliases(store),
        "links": {
            path: str((public / path).readlink())
            for path, status in _walk(public)
            if stat.S_ISLNK(status.st_mode)
        },
        "pages": sorted(path for path, _ in _walk(public / "builds")),
        "index": _without_times(json.loads(page.read_bytes())) if page.exists() else None,
        "empty": sorted(
            path
            for path, status in _walk(public)
            if stat.S_ISDIR(status.st_mode)
            and not any(map(_DATE.fullmatch, path.split("/")[:-1]))
            and not any((public / path).iterdir())
        ),
        "open": sorted(_open_uploads(store)),
        "leftovers": sorted(_leftovers(store)),
    }


def _of_build(path: Path) -> Iterator[str]:
    """Yield what is wrong with one build of the tree."""
    try:
        lines = (path / "SHA256SUMS").read_text().splitlines()
    except OSError as error:
        yield f"SHA256SUMS: {error}"
        return
    listed = {line.split("  ", 1)[1]: line.split("  ", 1)[0] for line in lines}
    for name, sha256 in listed.items():
        if not (path / name).is_file() or _digest(path / name) != sha256:
            yield f"{name} is not the file that SHA256SUMS lists"
    yield from (f"{name} is not there" for name in _DIRECTORIES if not (path / name).is_dir())
    if "build.json" not in listed or ("outputs/success" in listed) == ("outputs/fail" in listed):
        yield "it has no record, or not one verdict"
    for name, status in _walk(path):
        mode = stat.S_IMODE(status.st_mode)
        if stat.S_ISREG(status.st_mode):
            if name not in {*listed, "SHA256SUMS", "SHA256SUMS.asc"}:
                yield f"{name} is not part of it"
            wanted = 0o644
        elif stat.S_ISDIR(status.st_mode):
            wanted = 0o755
        else:
            wanted = mode
            if not (path / name).is_file():
                yield f"the link {name} leads nowhere"
        if mode != wanted:
            yield f"{name} has mode {mode:o}"


def _open_uploads(store: Path) -> Iterator[str]:
    for path in (store / "state/uploads").iterdir():
        value = json.loads(path.read_bytes())
        yield f"{value['id']} {value['need_bytes']}"


def _leftovers(store: Path) -> Iterator[str]:
    """Yield what lies where nothing is kept but what belongs to an open upload."""
    tokens = {path.stem for path in (store / "state/uploads").iterdir()}
    for place in ("staging", "staging/scratch", "staging/trash", "incoming"):
        for path in (store / place).iterdir():
            # Beside a directory in `incoming` lies its quota, `<token>.json`.
            name = path.stem if place == "incoming" else path.name
            if name not in (*tokens, "scratch", "trash"):
                yield f"{place}/{path.name}"
    for token in tokens:
        if (store / "staging" / token / "tree").exists():
            yield f"staging/{token}/tree"
    if (store / "state/pages-stale").exists():
        yield "pages that are out of date"


def _walk(top: Path) -> Iterator[tuple[str, Any]]:
    pending = [""]
    while pending:
        prefix = pending.pop()
        place = top / prefix
        for path in sorted(place.iterdir()) if place.is_dir() else ():
            status = path.lstat()
            yield f"{prefix}{path.name}", status
            if stat.S_ISDIR(status.st_mode):
                pending.append(f"{prefix}{path.name}/")


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _is_json(path: Path) -> bool:
    try:
        json.loads(path.read_bytes())
    except ValueError:
        return False
    return True


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_times(item) for key, item in value.items() if key not in _TIMES}
    return [_without_times(item) for item in value] if isinstance(value, list) else value
