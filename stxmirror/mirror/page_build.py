"""The page of one build: how it went, what is in it, and how to use it.

Nothing here depends on the time at which the page is made, so that a page changes only when what
it tells of does.
"""

from __future__ import annotations

from collections.abc import Collection

from stxmirror import names
from stxmirror.mirror import page_parts as parts
from stxmirror.mirror import page_stages
from stxmirror.mirror.config import Site
from stxmirror.mirror.page_html import (
    Child,
    Markup,
    breakable,
    duration,
    element,
    file_href,
    link,
    moment,
    page,
    plural,
    size,
)
from stxmirror.mirror.page_model import Build, Directory
from stxmirror.records import Change

COMMITS_SHOWN = 25


def render(build: Build, directory: Directory, site: Site, known: Collection[str]) -> bytes:
    """Return the page of a build; ``known`` are the ids of the builds that have a page."""
    title, prefix = site.title, site.prefix
    root = "../" * (1 + len(build.path.split("/")))
    base = f"{root}{build.path}/"
    sections = [
        _failure(build, base),
        element("section", None, _facts(build, directory, root, known)),
        _iso(build, root, prefix),
        _sanity(build),
        page_stages.render(build, base),
        _changes(build),
        _artifacts(build, base),
        _packages(build, prefix),
    ]
    return page(
        f"{build.path} · {title}",
        root,
        header=parts.header(
            title,
            root,
            [
                link(f"{root}#streams", "Streams"),
                link(f"{root}#recent", "Recent builds"),
                link(base, "Files") if not build.withdrawn else None,
            ],
        ),
        body=[
            _heading(build, directory, root),
            [section for section in sections if section],
        ],
        footer=element(
            "p",
            None,
            "For programs: ",
            link(f"{base}{names.RECORD}", names.RECORD) if not build.withdrawn else names.BUILDS,
            " and ",
            link(f"{root}{names.BUILDS}", names.BUILDS),
            ". All times are UTC.",
        ),
    )


def _heading(build: Build, directory: Directory, root: str) -> Markup:
    record = build.record
    mirrored = build.mirrored
    badges = [
        parts.state_badge(build),
        element("span", {"class": "badge quiet"}, names.LATEST) if build.is_latest else None,
        element("span", {"class": "badge held"}, "held") if mirrored.hold else None,
        parts.audience_badge(directory),
    ]
    notices: list[Child] = []
    if build.withdrawn:
        notices.append(
            _notice(
                "bad",
                "Withdrawn ",
                moment(build.withdrawn.when),
                ": ",
                build.withdrawn.reason,
                _instead(directory, root),
            )
        )
    if mirrored.hold:
        notices.append(_notice("held", "Held, whatever the rules say: ", mirrored.hold))
    if record["missing"]:
        notices.append(
            _notice(
                "warn", "This success is incomplete. It lacks ", ", ".join(record["missing"]), "."
            )
        )
    notices.extend(_notice("note", "Note: ", note) for note in mirrored.notes)
    return element(
        "section",
        {"class": "title"},
        element(
            "p",
            {"class": "crumbs"},
            link(root, "Builds"),
            " / ",
            link(f"{root}{build.id.directory}/", build.id.directory)
            if directory.exists
            else build.id.directory,
        ),
        element("h1", None, build.id.build_date),
        element("p", {"class": "badges"}, badges),
        notices,
    )


def _instead(directory: Directory, root: str) -> Child:
    latest = directory.latest
    if latest is None:
        return None
    return [". Take ", link(root + latest.page, latest.path), " instead."]


def _notice(css: str, *content: Child) -> Markup:
    return element("p", {"class": f"notice {css}"}, *content)


def _facts(build: Build, directory: Directory, root: str, known: Collection[str]) -> Markup:
    record = build.record
    manifest = record["manifest"]
    revision = manifest["revision"]
    asked = "by a person" if record["trigger"] == "person" else "on schedule"
    reused = record["packages"]["reused"]
    return parts.facts(
        [
            ("Built from", [element("code", None, record["ref"]), f", stream {record['stream']}"]),
            (
                "Started",
                [
                    moment(record["started"]),
                    f", took {duration(build.seconds)}" if build.seconds is not None else None,
                ],
            ),
            ("Why", f"{record['reason']} ({asked})"),
            (
                "Manifest",
                [
                    element("code", None, f"{manifest['file']} {manifest['branch']}"),
                    f" at {revision[:12]}" if revision else " (never fetched)",
                ],
            ),
            (
                "Packages",
                # Nobody counts what a failed build made before it failed.
                f"{plural(record['packages']['built'], 'package')} built"
                + (f", {reused:,} taken from the build before" if reused else "")
                if record["result"] == "success"
                else None,
            ),
            ("Resumes", _build_link(record["parent"], root, known, record["from_stage"])),
            ("Previous good build", _build_link(record["previous_good"], root, known)),
            ("Published", moment(build.mirrored.published)),
            (
                "Kept until",
                [parts.keep_words(build), element("span", {"class": "soft"}, directory.kept)],
            ),
            ("Size", size(build.mirrored.bytes) if not build.withdrawn else None),
        ]
    )


def _build_link(
    target: str | None, root: str, known: Collection[str], stage: str | None = None
) -> Child:
    if target is None:
        return None
    shown: Child = link(f"{root}builds/{target}/", target) if target in known else target
    return [shown, f" from stage {stage}"] if stage else shown


def _failure(build: Build, base: str) -> Markup | None:
    record = build.record
    if record["result"] == "success":
        return None
    stage = next((s for s in record["stages"] if s["name"] == record["failed_stage"]), None)
    name = record["failed_stage"]
    exit_code = stage["exit_code"] if stage else None
    timed_out = stage is not None and stage["result"] == "timeout"
    words: list[Child] = [
        "Stage " if stage else "",
        element("strong", None, name) if name else "Before the first stage",
        " ran out of time" if timed_out else " failed",
        f" with exit code {exit_code}" if exit_code is not None and not timed_out else None,
        ". ",
    ]
    href = file_href(base, stage["log"]) if stage and not build.withdrawn else None
    if href:
        words.append(link(href, "The whole log"))
    return parts.section(
        "Why it failed", element("p", None, words), parts.excerpt(build), css="failure"
    )


def _iso(build: Build, root: str, prefix: str) -> Markup | None:
    button = parts.download_button(build, root)
    if button is None:
        return None
    base = f"{root}{build.path}/"
    return parts.section(
        "ISO",
        button,
        parts.checksum(build, root),
        element(
            "p",
            {"class": "more"},
            link(f"{base}{names.SUMS}", names.SUMS),
            *(
                [
                    link(f"{base}{names.SIGNATURE}", "signature"),
                    link(f"{root}{names.SIGNING_KEY}", "signing key"),
                ]
                if build.is_signed
                else ["not signed"]
            ),
        ),
        element(
            "details",
            None,
            element("summary", None, "Fetch and verify it"),
            parts.listing(parts.verify_commands(build, prefix), "Commands to fetch and verify"),
            parts.host_hint(),
        ),
    )


def _sanity(build: Build) -> Markup | None:
    checks = build.record["sanity"]
    if not checks:
        return None
    order = [*(name for name in parts.VERDICTS if name in checks)]
    order += sorted(name for name in checks if name not in parts.VERDICTS)
    items = [
        element(
            "li",
            {"class": checks[name]["result"]},
            element(
                "span",
                {"class": "sign", "aria-hidden": "true"},
                parts.SIGNS[checks[name]["result"]],
            ),
            element("span", None, parts.VERDICTS.get(name, name)),
            element(
                "span",
                {"class": "soft"},
                f"{checks[name]['result']}, {duration(checks[name]['seconds'])}",
            ),
        )
        for name in order
    ]
    return parts.section("Does it boot?", element("ul", {"class": "verdicts"}, items))


def _changes(build: Build) -> Markup | None:
    record = build.record
    if record["previous_good"] is None:
        return None
    if not record["changes"]:
        nothing = element("p", None, "No source changed.")
        return parts.section("Changes since the previous good build", nothing)
    return parts.section(
        "Changes since the previous good build",
        [_change(change) for change in record["changes"]],
    )


def _change(change: Change) -> Markup:
    commits = change["commits"]
    old, new = change["from"], change["to"]
    span = f"{old[:12] if old else 'new'} → {new[:12] if new else 'gone'}"
    rest = len(commits) - COMMITS_SHOWN
    items = [
        element("li", None, element("code", None, commit["sha"][:12]), " ", commit["subject"])
        for commit in commits[:COMMITS_SHOWN]
    ]
    if rest > 0:
        items.append(element("li", {"class": "soft"}, f"and {rest} more, in {names.RECORD}"))
    return element(
        "div",
        {"class": "change"},
        element(
            "h3", None, change["path"], " ", element("small", None, element("code", None, span))
        ),
        element("ul", {"class": "commits"}, items) if items else None,
    )


def _artifacts(build: Build, base: str) -> Markup | None:
    artifacts = build.record["artifacts"]
    if build.withdrawn or not (artifacts or build.record["images"]):
        return None
    rows: list[list[Child]] = [
        [
            link(href, breakable(path), css="name") if href else path,
            f"{artifacts[path]['files']:,}",
            size(artifacts[path]["bytes"]),
        ]
        for path in sorted(artifacts)
        for href in [file_href(base, path)]
    ]
    images = [element("li", None, element("code", None, image)) for image in build.record["images"]]
    return parts.section(
        "Artifacts",
        parts.table(
            "artifacts", ["Directory", "Files", "Size"], rows, "What the build published, by type"
        )
        if rows
        else None,
        element(
            "p",
            {"class": "more"},
            link(f"{base}{names.CONTEXT}", "CONTEXT")
            if build.record["manifest"]["revision"]
            else None,
            link(base, "All files"),
        ),
        [element("h3", None, "Container images"), element("ul", {"class": "plain"}, images)]
        if images
        else None,
    )


def _packages(build: Build, prefix: str) -> Markup | None:
    if build.withdrawn or not build.has("outputs/RPMS"):
        return None
    name = build.path.replace("/", "-")
    return parts.section(
        "Use these packages",
        parts.listing(
            parts.repository_file(build.id.directory, build.id.build_date, name, prefix),
            "A repository file for dnf",
        ),
        parts.host_hint(),
    )
