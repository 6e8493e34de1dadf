"""What the mirror shows to people and to programs, computed from what it knows.

A pure function: data in, files out. Pages are static and need no scripts, links are relative, so
that the tree works under any address; everything that came from a builder is escaped.
"""

from __future__ import annotations

import json
import pkgutil
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from stxmirror import names
from stxmirror.mirror import page_build, page_index, page_parts
from stxmirror.mirror.config import Site
from stxmirror.mirror.page_html import url_path
from stxmirror.mirror.page_model import Build, Directory, Known, newest_first, read
from stxmirror.retention import Rule
from stxmirror.times import format_time

ASSETS = ("style.css", "icon.svg")


def render(
    builds: Iterable[Known],
    rules: Sequence[Rule],
    aliases: Mapping[str, Mapping[str, str]],
    site: Site,
    now: datetime,
    *,
    fingerprints: Sequence[str] = (),
) -> dict[str, bytes]:
    """Return every page, ``{path below the mirror's root: bytes}``.

    ``rules`` are those of the mirror's configuration; ``aliases``
    ``{directory: {"latest_build": build-date}}``; ``now`` is what ages are computed from (aware);
    ``fingerprints`` those of the signing keys.
    """
    directories = read(builds, rules, aliases)
    made = {
        "index.html": page_index.render(directories, rules, site, now, fingerprints),
        names.BUILDS: _for_programs(directories, rules, site, now, fingerprints),
        names.VERIFY: _asset(names.VERIFY),
        **{f"assets/{name}": _asset(name) for name in ASSETS},
    }
    known = frozenset(build.path for directory in directories for build in directory.builds)
    for directory in directories:
        for build in directory.builds:
            made[f"{build.page}index.html"] = page_build.render(build, directory, site, known)
    return made


def _asset(name: str) -> bytes:
    """Return a file of this package, which may lie in a zip application."""
    content = pkgutil.get_data("stxmirror.mirror", f"assets/{name}")
    if content is None:
        raise FileNotFoundError(f"the package stxmirror lacks mirror/assets/{name}")
    return content


def _for_programs(
    directories: Sequence[Directory],
    rules: Sequence[Rule],
    site: Site,
    now: datetime,
    fingerprints: Sequence[str],
) -> bytes:
    """Return builds.json; its schema is schemas/builds-1.schema.json."""
    by_path = {directory.path: directory for directory in directories}
    content = {
        "schema": 1,
        "title": site.title,
        "generated": format_time(now),
        "signing_key": names.SIGNING_KEY,
        "signing_key_fingerprints": [text.replace(" ", "") for text in fingerprints],
        "streams": [
            {
                "stream": rule.stream,
                "directory": rule.directory,
                "audience": rule.audience,
                "description": rule.description,
                "keep": rule.keep.to_json(),
                "retired": rule.retired,
            }
            for rule in rules
        ],
        "aliases": {
            f"{path}/{names.LATEST}": directory.latest.path
            for path, directory in sorted(by_path.items())
            if directory.latest
        },
        "builds": [_build(build, by_path) for build in newest_first(directories)],
    }
    return (json.dumps(content, indent=1, sort_keys=True) + "\n").encode()


def _build(build: Build, directories: Mapping[str, Directory]) -> dict[str, object]:
    record, mirrored = build.record, build.mirrored
    base = f"{url_path(build.path)}/"
    rule = directories[build.id.directory].rule
    withdrawn = build.withdrawn
    exists = withdrawn is None
    iso = page_parts.iso_of(build, "")
    return {
        "id": build.path,
        "directory": build.id.directory,
        "stream": rule.stream if rule else None,
        "ref": record["ref"],
        "result": record["result"],
        "missing": list(record["missing"]),
        "failed_stage": record["failed_stage"],
        "started": record["started"],
        "finished": record["finished"],
        "published": mirrored.published,
        "keep_until": mirrored.keep_until,
        "rule": mirrored.rule,
        "hold": mirrored.hold,
        "withdrawn": {"reason": withdrawn.reason, "when": withdrawn.when} if withdrawn else None,
        "aliases": [f"{build.id.directory}/{names.LATEST}"] if build.is_latest else [],
        "bytes": mirrored.bytes,
        "url": base if exists else None,
        "page": url_path(build.page),
        "record": f"{base}{names.RECORD}" if exists else None,
        "checksums": f"{base}{names.SUMS}" if exists else None,
        "signature": f"{base}{names.SIGNATURE}" if exists and build.is_signed else None,
        "iso": {"url": iso[0], "size": iso[1]["size"], "sha256": iso[1]["sha256"]} if iso else None,
        "repository": f"{base}outputs/RPMS/" if exists and build.has("outputs/RPMS") else None,
        "images": list(record["images"]),
        "sanity": {name: verdict["result"] for name, verdict in record["sanity"].items()},
        "previous_good": record["previous_good"],
        "parent": record["parent"],
    }
