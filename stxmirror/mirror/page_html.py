"""HTML in which everything is escaped unless this module made it, and words for numbers.

Much of what the pages show was written by whoever could commit to a repository or break a build:
an element's children are escaped, links are quoted, and what could reorder or hide text is
replaced.
"""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Iterable
from datetime import datetime
from typing import Optional, Union
from urllib.parse import quote

from stxmirror.errors import StxMirrorError
from stxmirror.layout import safe_relative_path
from stxmirror.times import parse_time


class Markup(str):
    """Text that is HTML already; only this module makes it."""

    __slots__ = ()


Child = Union[Markup, str, int, None, Iterable["Child"]]
Attribute = Optional[Union[str, int]]

_VOID = frozenset({"link", "meta", "rect"})
# Controls, and the format characters that turn the direction of text or hide in it.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
NOTHING = Markup("")


def text(value: object) -> Markup:
    """Return a value as text that shows as what it is, wherever in a page it stands."""
    shown = str(value)
    if not shown.isprintable():
        shown = "".join(map(_visible, shown.replace("\t", "    ")))
    return Markup(html.escape(shown, quote=True))


def _visible(character: str) -> str:
    hidden = unicodedata.category(character) in _HIDDEN and character != "\n"
    return "\ufffd" if hidden else character


def element(name: str, attributes: dict[str, Attribute] | None = None, *children: Child) -> Markup:
    """Return an element; attributes that are ``None`` are left out, and so are such children."""
    given = "".join(
        f' {key}="{text(value)}"' for key, value in (attributes or {}).items() if value is not None
    )
    inner = join(children)
    return Markup(f"<{name}{given}>" if name in _VOID else f"<{name}{given}>{inner}</{name}>")


def join(children: Child) -> Markup:
    """Return children, however nested, as one piece."""
    if children is None:
        return NOTHING
    if isinstance(children, Markup):
        return children
    if isinstance(children, (str, int)):
        return text(children)
    return Markup("".join(join(child) for child in children))


def link(href: str, *children: Child, css: str | None = None) -> Markup:
    """Return a link to a place that this package put together."""
    return element("a", {"href": href, "class": css}, *children)


def breakable(path: str) -> Markup:
    """Return a path that a narrow column may break after each ``/``."""
    return Markup("/<wbr>".join(text(part) for part in path.split("/")))


def url_path(path: str) -> str:
    """Return a path of the tree as part of a URL."""
    return quote(path, safe="/+~=,@:")


def file_href(base: str, path: object) -> str | None:
    """Return the URL of a file in a build, or ``None`` for a path that no build can have."""
    try:
        return base + url_path(safe_relative_path(path if isinstance(path, str) else ""))
    except StxMirrorError:
        return None


def moment(stamp: str | None) -> Markup:
    """Return a JSON time so that people and programs can read it."""
    if stamp is None:
        return text("—")
    return element("time", {"datetime": stamp}, f"{stamp[:10]} {stamp[11:16]} UTC")


def day(stamp: str) -> Markup:
    """Return the date of a JSON time."""
    return element("time", {"datetime": stamp, "title": f"{stamp[11:16]} UTC"}, stamp[:10])


def age(stamp: str, now: datetime) -> str:
    """Return how long ago a JSON time was, in one unit."""
    seconds = max(0, int((now - parse_time(stamp)).total_seconds()))
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= 2 * length or (unit != "day" and seconds >= length):
            number = seconds // length
            return f"{number} {unit}{'' if number == 1 else 's'} ago"
    return "just now"


def duration(seconds: float) -> str:
    """Return a length of time in the two units that matter."""
    whole = round(seconds)
    if whole < 1:
        return f"{seconds:.1f} s"
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def size(count: float) -> str:
    """Return a number of bytes in binary units."""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":
            break
        value /= 1024
    return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"


def plural(number: int, noun: str) -> str:
    """Return a counted noun."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def page(title: str, root: str, *, header: Child, body: Child, footer: Child) -> bytes:
    """Return a whole page; ``root`` is the relative way to the top of the mirror."""
    head = (
        element("meta", {"charset": "utf-8"}),
        element("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        element("meta", {"name": "color-scheme", "content": "light dark"}),
        element("meta", {"name": "description", "content": title}),
        element("title", None, title),
        element("link", {"rel": "icon", "href": f"{root}assets/icon.svg", "type": "image/svg+xml"}),
        element("link", {"rel": "stylesheet", "href": f"{root}assets/style.css"}),
    )
    shell = (
        element("a", {"class": "skip", "href": "#content"}, "Skip to the content"),
        header,
        element("main", {"id": "content"}, body),
        element("footer", None, footer),
    )
    whole = element(
        "html", {"lang": "en"}, element("head", None, head), element("body", None, shell)
    )
    return f"<!doctype html>\n{whole}\n".encode()
