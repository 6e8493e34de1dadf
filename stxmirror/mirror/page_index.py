"""The mirror's front page: what there is, what to take, and how to be sure of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from stxmirror import names
from stxmirror.mirror import page_parts as parts
from stxmirror.mirror.config import Site
from stxmirror.mirror.page_html import (
    Child,
    Markup,
    age,
    breakable,
    duration,
    element,
    link,
    moment,
    page,
    plural,
    size,
)
from stxmirror.mirror.page_model import AUDIENCES, Build, Directory, newest_first
from stxmirror.retention import Rule
from stxmirror.times import format_time

RECENT = 30


def render(
    directories: Sequence[Directory],
    rules: Sequence[Rule],
    site: Site,
    now: datetime,
    fingerprints: Sequence[str] = (),
) -> bytes:
    """Return the front page."""
    title, prefix = site.title, site.prefix
    offered = _recommended(directories)
    navigation = [
        link("#streams", "Streams"),
        link("#verify", "Verify") if offered else None,
        link("#packages", "Packages") if offered else None,
        link("#recent", "Recent builds"),
    ]
    body = [
        _hero(offered, directories, title, now),
        _streams(directories, rules, now),
        _verify(offered, prefix, fingerprints) if offered else None,
        _packages(offered, directories, prefix),
        _recent(directories, now),
    ]
    return page(
        title,
        "",
        header=parts.header(title, "", navigation),
        body=body,
        footer=_footer(now),
    )


def _recommended(directories: Sequence[Directory]) -> Directory | None:
    """Return the directory whose latest build a newcomer should take."""
    good = [d for d in directories if d.latest and parts.iso_of(d.latest, "") and not d.is_retired]
    tried = [d for d in good if d.audience == "try"] or good
    return max(tried, key=lambda d: d.latest.id.build_date if d.latest else "", default=None)


def _heartbeat(directories: Sequence[Directory], now: datetime) -> Markup:
    """Say when something was last built, so that nobody takes silence for quiet."""
    newest = newest_first(directories)[0]
    return element(
        "p",
        {"class": "heartbeat"},
        "Last build: ",
        link(newest.page, newest.id.directory),
        f", {age(newest.started, now)} ",
        parts.state_badge(newest),
    )


def _hero(
    offered: Directory | None, directories: Sequence[Directory], title: str, now: datetime
) -> Markup:
    build = offered.latest if offered else None
    if offered is None or build is None:
        content: Child = [
            element("h1", None, title),
            element(
                "p",
                {"class": "lead"},
                "No build with an ISO is on this mirror yet. ",
                "What was built so far is below, with the reason where it failed.",
            ),
        ]
        return element("section", {"class": "hero"}, element("div", {"class": "inner"}, content))
    known, caution = AUDIENCES.get(offered.audience or "", ("", ""))
    content = [
        element(
            "div",
            {"class": "pitch"},
            element("h1", None, title),
            element(
                "p",
                {"class": "lead"},
                "Built from source, checked and signed. Take the ISO, verify it, try it.",
            ),
            _heartbeat(directories, now),
        ),
        element(
            "div",
            {"class": "offer"},
            element(
                "p",
                {"class": f"eyebrow {offered.audience}"},
                f"{known} · {caution}" if known else "Newest build",
            ),
            element("h2", None, offered.name, " ", element("small", None, offered.variant)),
            element(
                "p",
                {"class": "when"},
                "Built ",
                moment(build.started),
                f", {age(build.started, now)}",
            ),
            parts.verdicts_in_short(build),
            parts.download_button(build, ""),
            parts.checksum(build, ""),
            element(
                "p",
                {"class": "more"},
                link("#verify", "How to verify it"),
                link(build.page, "What is in it"),
            ),
        ),
    ]
    return element("section", {"class": "hero"}, element("div", {"class": "inner"}, content))


def _streams(directories: Sequence[Directory], rules: Sequence[Rule], now: datetime) -> Markup:
    groups: list[Child] = []
    for audience in (*AUDIENCES, None):
        members = [d for d in directories if d.audience == audience]
        if members:
            heading, caution = AUDIENCES.get(audience or "", ("Others", "No stream has them."))
            groups.append(
                element("h3", {"class": "group"}, heading, " ", element("small", None, caution))
            )
            groups.append(
                element("div", {"class": "cards"}, [_card(member, now) for member in members])
            )
    built = {d.rule.stream for d in directories if d.rule}
    idle = [rule for rule in rules if rule.stream not in built]
    if idle:
        groups.append(
            element(
                "p",
                {"class": "hint"},
                "Not built yet: ",
                ", ".join(f"{rule.directory} ({rule.description or ''})" for rule in idle),
            )
        )
    return _section("streams", "Streams", groups)


def _card(directory: Directory, now: datetime) -> Markup:
    latest = directory.latest
    newest = directory.builds[0]
    description = directory.rule.description if directory.rule else None
    head = element(
        "div",
        {"class": "head"},
        element("h4", None, _name(directory)),
        element("p", {"class": "variant"}, directory.variant),
        parts.audience_badge(directory),
    )
    if latest is None:
        offer: Child = element("p", {"class": "when"}, "No good build yet.")
    else:
        offer = [
            element(
                "p",
                {"class": "when"},
                "Latest good build ",
                link(latest.page, moment(latest.started)),
                f", {age(latest.started, now)}",
            ),
            _warning(parts.missing_words(latest)),
            parts.download_button(latest, "", "ISO"),
            parts.checksum(latest, ""),
            parts.chips(latest, ""),
        ]
    return element(
        "article",
        {"class": "card"},
        head,
        element("p", {"class": "description"}, description) if description else None,
        offer,
        _since(newest, now) if newest is not latest else None,
        element("p", {"class": "kept"}, directory.kept),
    )


def _name(directory: Directory) -> Markup:
    name = breakable(directory.name)
    return link(f"{directory.path}/", name) if directory.exists else name


def _warning(words: str | None) -> Markup | None:
    return element("p", {"class": "warning"}, f"{words}.") if words else None


def _since(newest: Build, now: datetime) -> Markup:
    """Say why the newest build is not the latest good one."""
    if newest.withdrawn:
        words: Child = f"withdrawn: {newest.withdrawn.reason}"
    else:
        words = newest.reason_in_short or "not yet the latest"
    return element(
        "p",
        {"class": f"since {newest.state}"},
        element("strong", None, link(newest.page, f"The build of {age(newest.started, now)}")),
        " ",
        "failed in " if newest.state == "failed" else "",
        words,
    )


def _verify(offered: Directory, prefix: str, fingerprints: Sequence[str]) -> Markup | None:
    build = offered.latest
    if build is None:
        return None
    return _section(
        "verify",
        "Verify what you took",
        [
            element(
                "p",
                None,
                "Every build has one list of checksums, ",
                element("code", None, names.SUMS),
                ", signed with ",
                link(names.SIGNING_KEY, "this mirror's key"),
                ". ",
                link(names.VERIFY, names.VERIFY),
                " checks both. For the newest build of ",
                element("strong", None, offered.name),
                ":",
            ),
            parts.listing(parts.verify_commands(build, prefix), "Commands to fetch and verify"),
            parts.host_hint(),
            parts.fingerprints(fingerprints),
        ],
    )


def _packages(
    offered: Directory | None, directories: Sequence[Directory], prefix: str
) -> Markup | None:
    candidates = [offered, *directories] if offered else directories
    with_packages = [d for d in candidates if d.latest and d.latest.has("outputs/RPMS")]
    if not with_packages:
        return None
    chosen = with_packages[0]
    name = chosen.path.replace("/", "-")
    return _section(
        "packages",
        "Use the packages",
        [
            element(
                "p",
                None,
                "The packages of each build are a repository as they lie here. ",
                element("code", None, names.LATEST),
                " follows the newest good build; put a build-date in its place to stay with one. "
                "As ",
                element("code", None, f"/etc/yum.repos.d/{name}.repo"),
                ":",
            ),
            parts.listing(
                parts.repository_file(chosen.path, names.LATEST, name, prefix),
                "A repository file for dnf",
            ),
            parts.host_hint(),
        ],
    )


def _recent(directories: Sequence[Directory], now: datetime) -> Markup:
    everything = newest_first(directories)
    shown = everything[:RECENT]
    rows: list[list[Child]] = [
        [
            [
                parts.state_badge(build),
                [" ", element("span", {"class": "badge quiet"}, "latest")]
                if build.is_latest
                else None,
            ],
            [
                link(build.page, breakable(build.id.directory), css="name"),
                _outcome(build),
            ],
            [
                moment(build.started),
                element("span", {"class": "soft"}, age(build.started, now)),
            ],
            duration(build.seconds) if build.seconds is not None else "—",
            size(build.mirrored.bytes) if not build.withdrawn else "—",
            parts.keep_words(build),
        ]
        for build in shown
    ]
    content: list[Child] = [
        parts.table(
            "builds",
            ["Result", "Build", "Started", "Took", "Size", "Kept until"],
            rows,
            f"The newest {plural(len(shown), 'build')} of {len(everything):,}",
        )
        if rows
        else element("p", None, "Nothing was published here yet."),
        element(
            "p",
            {"class": "hint"},
            "For programs: ",
            link(names.BUILDS, names.BUILDS),
            f" has all {plural(len(everything), 'build')}.",
        ),
    ]
    return _section("recent", "Recent builds", content)


def _outcome(build: Build) -> Child:
    """Say beneath a build's name what a reader would otherwise have to open it for."""
    if build.withdrawn:
        return element("span", {"class": "why"}, build.withdrawn.reason)
    if build.reason_in_short:
        return element("span", {"class": "why bad"}, build.reason_in_short)
    words = parts.missing_words(build)
    return element("span", {"class": "why"}, words) if words else None


def _section(name: str, heading: str, content: Child) -> Markup:
    return element(
        "section",
        {"id": name, "aria-labelledby": f"{name}-heading"},
        element("h2", {"id": f"{name}-heading"}, heading),
        content,
    )


def _footer(now: datetime) -> Child:
    return element(
        "p",
        None,
        "Made ",
        moment(format_time(now)),
        "; ages are as of then. A published file never changes, and a build stays at least until "
        "the date that it shows.",
    )
