"""Keeping the build server's names out of what is published.

Text logs are redacted as they are collected; anything else is searched, and a find stops the
publication. What to look for is derived from the inventory.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import AnyStr

REPLACEMENT = "[redacted]"

# Words that say nothing about a server, however it is called: to cut them out of every log would
# hide more from developers than from anybody else.
COMMON_WORDS = frozenset(
    {
        *("admin", "build", "builder", "buildhost", "builds", "centos", "debian", "default"),
        *("demo", "feature", "git", "host", "incoming", "linux", "local", "localdomain"),
        *("localhost", "main", "master", "milestone", "mirror", "none", "orchestrator"),
        *("registry", "release", "root", "sample", "server", "signer", "starlingx", "stx"),
        *("test", "ubuntu", "user", "users", "web", "www"),
    }
)

_SHORTEST = 3
# Home directories of system accounts: the same on every machine, and part of real packages.
_SYSTEM_HOMES = ("/bin", "/dev", "/etc", "/lib", "/nonexistent", "/opt", "/proc", "/root", "/run")
_SYSTEM_HOMES += ("/sbin", "/srv", "/sys", "/tmp", "/usr", "/var")  # noqa: S108 - not used as one


def derive_terms(
    hostnames: Iterable[str], addresses: Iterable[str], homes: Iterable[str]
) -> list[str]:
    """Return the words that must not be published, longest first.

    Of a full host name both the name and its first label count; an address may carry a prefix
    length; loopback addresses, common words and the homes of system accounts are no secret.
    """
    terms: set[str] = set()
    for name in hostnames:
        full = name.strip().rstrip(".").lower()
        terms.add(full)
        if not _is_address(full):
            terms.add(full.partition(".")[0])
    for text in addresses:
        address = _is_address(text.strip())
        if address and not (address.is_loopback or address.is_unspecified):
            terms.add(str(address))
    for home in homes:
        path = home.strip().rstrip("/")
        if path.startswith("/") and not _is_system_home(path):
            terms.add(path)
    return _longest_first(
        term
        for term in terms
        if len(term) >= _SHORTEST and not _is_common(term) and not _is_loopback(term)
    )


def _is_common(term: str) -> bool:
    return all(label in COMMON_WORDS for label in term.split("."))


def _is_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text.partition("/")[0].partition("%")[0])
    except ValueError:
        return None


def _is_loopback(text: str) -> bool:
    address = _is_address(text)
    return bool(address and (address.is_loopback or address.is_unspecified))


def _is_system_home(path: str) -> bool:
    return path.count("/") < 2 or any(path.startswith(f"{home}/") for home in _SYSTEM_HOMES)


def _longest_first(terms: Iterable[str]) -> list[str]:
    return sorted(set(terms), key=lambda term: (-len(term), term))


def _bounded(term: str) -> str:
    # A boundary only where the term itself has a word character at that end: /home/ann is found
    # in -I/home/ann/include, and build1 is not found in build10.
    before = r"(?<![A-Za-z0-9_])" if re.match(r"\w", term) else ""
    after = r"(?![A-Za-z0-9_])" if re.search(r"\w\Z", term) else ""
    return before + re.escape(term) + after


@lru_cache(maxsize=8)
def _pattern(terms: tuple[str, ...]) -> re.Pattern[str] | None:
    wanted = [_bounded(term) for term in _longest_first(terms) if term]
    return re.compile("|".join(wanted), re.IGNORECASE) if wanted else None


@lru_cache(maxsize=8)
def _bytes_pattern(terms: tuple[str, ...]) -> re.Pattern[bytes] | None:
    pattern = _pattern(terms)
    return re.compile(pattern.pattern.encode("utf-8"), re.IGNORECASE) if pattern else None


def redact(text: str, terms: Iterable[str]) -> str:
    """Return ``text`` with every whole-word occurrence of a term replaced, longest first."""
    pattern = _pattern(tuple(terms))
    return pattern.sub(REPLACEMENT, text) if pattern else text


def find_terms(content: AnyStr, terms: Iterable[str]) -> list[str]:
    """Return which terms occur in text or bytes as whole words, longest first."""
    wanted = tuple(terms)
    pattern = _bytes_pattern(wanted) if isinstance(content, bytes) else _pattern(wanted)
    if pattern is None:
        return []
    hits = {hit.group() for hit in pattern.finditer(content)}
    found = {(hit.decode("utf-8") if isinstance(hit, bytes) else hit).lower() for hit in hits}
    return _longest_first(term for term in wanted if term.lower() in found)
