"""Which words must not be published, derived from the inventory and from the host itself.

*Secret* words name a build server. They are cut out of logs, and anywhere else (an RPM's header, a
file's name) they stop the publication. *Private* words name people and the network around the
server. They are cut out of logs and free texts only: an admin may well have written a change log
that a package carries by right. The module ``secret_terms`` looks for both, on the build host.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence

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
_SYSTEM_HOMES = (
    *("/bin", "/dev", "/etc", "/lib", "/nonexistent", "/opt", "/proc", "/root", "/run"),
    *("/sbin", "/srv", "/sys", "/tmp", "/usr", "/var"),  # noqa: S108 - not used as one
)

_EVERYBODYS_NETWORKS = frozenset(
    ("0.0.0.0/0", "::/0", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fd00::/8")
)


def derive_terms(
    hostnames: Iterable[str], addresses: Iterable[str], homes: Iterable[str]
) -> list[str]:
    """Return the words that name a build server, longest first.

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
        if address:
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


def private_terms(
    admins: Iterable[Mapping[str, object]],
    networks: Iterable[str],
    others: Iterable[str],
    hostnames: Iterable[str],
) -> list[str]:
    """Return the words that name people and networks, longest first.

    Of an admin: the full name, if it is more than one word; the comments of the keys, where they
    are an address such as ``ann@laptop``; and the account, but only as ``ann@<build server>``
    or if it cannot be a word. An account ``mark`` is no reason to cut that word out of every log.
    ``others`` are mail addresses and names of servers around this one.
    """
    terms: set[str] = set()
    names = {name.strip().rstrip(".").lower() for name in hostnames}
    names |= {name.partition(".")[0] for name in names if not _is_address(name)}
    for admin in admins:
        full = " ".join(str(admin.get("full_name") or "").split())
        if " " in full:
            terms.add(full)
        account = str(admin.get("name") or "")
        if _is_no_word(account):
            terms.add(account)
        terms.update(f"{account}@{name}" for name in names if account)
        keys = admin.get("keys")
        for key in keys if isinstance(keys, Sequence) else ():
            terms.update(word for word in str(key).split()[2:] if "@" in word)
    for network in networks:
        terms.update(_network_terms(str(network)))
    for other in others:
        terms.add(str(other).strip().strip("[]").lower())
    return _longest_first(
        term
        for term in terms
        if len(term) >= _SHORTEST and not _is_common(term.lower()) and not _is_loopback(term)
    )


def _is_no_word(account: str) -> bool:
    return len(account) > _SHORTEST and bool(re.search(r"[0-9._-]", account.rstrip("$")))


def _network_terms(text: str) -> list[str]:
    try:
        network = ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        return []
    if network.num_addresses == 1:
        return [str(network.network_address)]
    # The blocks that everybody has say nothing about anybody.
    return [] if str(network) in _EVERYBODYS_NETWORKS else [str(network)]


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
