"""Pieces that both kinds of page have: badges, downloads, and how to verify."""

from __future__ import annotations

from collections.abc import Sequence

from stxmirror import names
from stxmirror.layout import safe_relative_path
from stxmirror.mirror.page_html import (
    Child,
    Markup,
    day,
    element,
    file_href,
    join,
    link,
    size,
    text,
)
from stxmirror.mirror.page_model import Build, Directory
from stxmirror.records import Iso

# How a stage or a check went, for who cannot tell colours apart.
SIGNS = {"ok": "✓", "failed": "✗", "timeout": "✗", "degraded": "!", "skipped": "·"}
VERDICTS = {
    "static": "Image checked",
    "boot-bios": "Boots under BIOS",
    "boot-uefi": "Boots under UEFI",
    "install": "Installs to a disk",
    "installed-boot": "Installed system boots",
    "installed-boot-uefi": "… and under UEFI",
}
_STATES = {
    "good": ("✓", "success"),
    "partial": ("✓", "incomplete"),
    "failed": ("✗", "failed"),
    "withdrawn": ("⊘", "withdrawn"),
}
_MARK = Markup(
    '<svg class="mark" viewBox="0 0 32 32" aria-hidden="true"><path d="M16 1l3.7 11.3L31 16l-11.3'
    ' 3.7L16 31l-3.7-11.3L1 16l11.3-3.7z" fill="currentColor"/></svg>'
)


def header(title: str, root: str, navigation: Child) -> Markup:
    """Return the band at the top of every page."""
    brand = link(root or "./", _MARK, element("span", None, title), css="brand")
    nav = element("nav", {"aria-label": "On this site"}, navigation)
    return element("header", {"class": "band"}, element("div", {"class": "inner"}, brand, nav))


def state_badge(build: Build) -> Markup:
    """Return the result of a build as a sign and a word."""
    sign, word = _STATES[build.state]
    mark = element("span", {"aria-hidden": "true"}, sign)
    return element("span", {"class": f"badge {build.state}"}, mark, " ", word)


def audience_badge(directory: Directory) -> Markup:
    """Return whom a stream is for."""
    if directory.is_retired:
        return element("span", {"class": "badge quiet"}, "retired")
    if directory.audience == "try":
        return element("span", {"class": "badge try"}, "for trying out")
    if directory.audience == "develop":
        return element("span", {"class": "badge develop"}, "may break")
    return element("span", {"class": "badge quiet"}, "no stream")


def keep_words(build: Build) -> Child:
    """Return until when a build is kept."""
    if build.withdrawn:
        return "gone"
    if build.mirrored.hold:
        return element("span", {"class": "badge held", "title": build.mirrored.hold}, "held")
    if build.mirrored.keep_until is not None:
        return day(build.mirrored.keep_until)
    return "for ever" if build.mirrored.rule else "no rule: kept"


def iso_of(build: Build, root: str) -> tuple[str, Iso] | None:
    """Return the URL and the record of a build's ISO, if it is available."""
    iso = build.record["iso"]
    if iso is None or build.withdrawn:
        return None
    href = file_href(f"{root}{build.path}/", iso["path"])
    return (href, iso) if href else None


def download_button(build: Build, root: str, label: str = "Download the ISO") -> Markup | None:
    """Return the one link that most people come for."""
    found = iso_of(build, root)
    if found is None:
        return None
    href, iso = found
    return link(
        href,
        element("span", {"class": "arrow", "aria-hidden": "true"}, "↓"),
        element("span", None, label),
        element("span", {"class": "size"}, size(iso["size"])),
        css="button",
    )


def checksum(build: Build, root: str) -> Markup | None:
    """Return the SHA-256 of a build's ISO; one click selects all of it."""
    found = iso_of(build, root)
    if found is None:
        return None
    return element(
        "p",
        {"class": "checksum"},
        element("span", {"class": "label"}, "SHA-256"),
        " ",
        element("code", None, found[1]["sha256"]),
    )


def verdicts_in_short(build: Build) -> Markup | None:
    """Return which checks the ISO passed, in one line."""
    checks = build.record["sanity"]
    passed = [
        label
        for name, label in VERDICTS.items()
        if name in checks and checks[name]["result"] == "ok"
    ]
    if not passed:
        return None
    return element("ul", {"class": "passed"}, [element("li", None, label) for label in passed])


def chips(build: Build, root: str) -> Markup:
    """Return links to the parts of a build that people use, as far as it has them."""
    base = f"{root}{build.path}/"
    parts = (
        ("Packages", "outputs/RPMS"),
        ("Sources", "outputs/SRPMS"),
        ("Installer", "outputs/installer"),
        ("Logs", "outputs/logs"),
    )
    links = [link(f"{base}{kind}/", label) for label, kind in parts if build.has(kind)]
    links.append(link(base, "All files"))
    return element("ul", {"class": "chips"}, [element("li", None, entry) for entry in links])


def listing(code: str, label: str) -> Markup:
    """Return commands to copy; on a narrow screen they scroll on their own."""
    return element(
        "pre",
        {"class": "code", "tabindex": "0", "aria-label": label},
        element("code", None, code),
    )


def verify_commands(build: Build, prefix: str) -> str:
    """Return the commands that fetch and verify one build's ISO: always one build, no alias.

    People paste them into a shell: nothing goes into them that a builder could have chosen freely.
    """
    iso = build.record["iso"]
    path = safe_relative_path(iso["path"] if iso else "")
    top = f"http://HOST/{prefix.strip('/')}".rstrip("/")
    signature, verified = "", ""
    if build.is_signed:
        signature = f' -O "$BUILD/{names.SIGNATURE}"'
        verified = (
            f'curl -fL "$MIRROR/{names.SIGNING_KEY}" | gpg --import\n'
            f"gpg --verify {names.SIGNATURE} {names.SUMS}\n"
        )
    return (
        f"MIRROR={top}\n"
        f"BUILD=$MIRROR/{build.path}\n"
        f'curl -fLO "$BUILD/{names.SUMS}"{signature}\n'
        f'curl -fL --create-dirs -o {path} "$BUILD/{path}"\n'
        f"{verified}"
        f"sha256sum -c --ignore-missing {names.SUMS}\n"
    )


def fingerprints(found: Sequence[str]) -> list[Markup]:
    """Return what the signing keys are recognized by, and why that is not enough here."""
    if not found:
        return []
    return [
        *(
            element(
                "p",
                {"class": "checksum"},
                element("span", {"class": "label"}, "Fingerprint of the key"),
                " ",
                element("code", None, text),
            )
            for text in found
        ),
        element(
            "p",
            {"class": "hint"},
            "gpg has to say ",
            element("code", None, "Good signature"),
            " and the same fingerprint. Whoever could change this mirror could change this page: "
            "compare it once with a fingerprint that you have from somewhere else.",
        ),
    ]


def repository_file(directory: str, build: str, name: str, prefix: str) -> str:
    """Return a dnf .repo file for the packages of a build, or of an alias."""
    top = f"http://HOST/{prefix.strip('/')}".rstrip("/")
    return (
        f"[{name}]\n"
        f"name={name}\n"
        f"baseurl={top}/{directory}/{build}/outputs/RPMS/\n"
        "enabled=1\n"
        "gpgcheck=0\n"
    )


def host_hint() -> Markup:
    """Return what to put in for HOST, which a page that works anywhere cannot know."""
    return element(
        "p",
        {"class": "hint"},
        "Put the host of this page's address in place of ",
        element("code", None, "HOST"),
        ".",
    )


def missing_words(build: Build) -> str | None:
    """Return what a success lacks."""
    missing = build.record["missing"]
    return f"Without {', '.join(missing)}" if missing and not build.withdrawn else None


def facts(pairs: list[tuple[str, Child]]) -> Markup:
    """Return a list of names and values; those without a value are left out."""
    rows = [
        element("div", None, element("dt", None, name), element("dd", None, value))
        for name, value in pairs
        if value not in (None, "")
    ]
    return element("dl", {"class": "facts"}, rows)


def _field(head: str) -> str | None:
    """Return the class of a cell that says nothing without its heading."""
    return None if head in ("Result", "Build", "Stage", "Directory") else "field"


def table(css: str, heads: list[str], rows: list[list[Child]], caption: str) -> Markup:
    """Return a table whose cells know their heading, for screens too narrow for columns."""
    body = [
        element(
            "tr",
            None,
            [
                element("td", {"class": _field(head), "data-label": head}, cell)
                for head, cell in zip(heads, row)
            ],
        )
        for row in rows
    ]
    return element(
        "table",
        {"class": css},
        element("caption", None, caption),
        element(
            "thead",
            None,
            element("tr", None, [element("th", {"scope": "col"}, head) for head in heads]),
        ),
        element("tbody", None, body),
    )


def excerpt(build: Build) -> Markup | None:
    """Return the lines of the log that show why a build failed."""
    lines = build.record["excerpt"]
    if not lines:
        return None
    return element(
        "pre",
        {"class": "code log", "tabindex": "0", "aria-label": "The end of the failed stage's log"},
        element("code", None, join(text("\n".join(lines)))),
    )


def section(heading: str, *content: Child, css: str | None = None) -> Markup:
    """Return a section of a page under its heading."""
    return element("section", {"class": css}, element("h2", None, heading), *content)
