"""The networks that admins come from: what the inventory may say."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from typing import Union

_Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]


def network_problems(networks: Iterable[str], *, everybody: bool = False) -> list[str]:
    """Return what is wrong with a list of networks, as sentences; empty if nothing is.

    ``everybody`` says that networks which leave nobody out are meant.
    """
    problems = []
    read: list[_Network] = []
    for text in networks:
        try:
            read.append(ipaddress.ip_network(text.strip(), strict=False))
        except ValueError:
            problems.append(
                f"{text!r} is no network: write it as 192.0.2.0/28 or 2001:db8::/64, "
                "a name as its address"
            )
    if not read and not problems:
        problems.append(
            "no admin could reach the host: name the networks that they come from, "
            'such as ["192.0.2.0/28"]'
        )
    if not everybody:
        # Halves add up, and 10.0.0.0/0 is 0.0.0.0/0.
        problems += [
            f"{whole} is everybody, alone or together: name the networks that admins come from, "
            "or say hardening_admin_networks_open: true beside it"
            for whole in _collapsed(read)
            if whole.prefixlen == 0
        ]
    return problems


def _collapsed(networks: list[_Network]) -> Iterator[_Network]:
    v4 = [n for n in networks if isinstance(n, ipaddress.IPv4Network)]
    v6 = [n for n in networks if isinstance(n, ipaddress.IPv6Network)]
    yield from ipaddress.collapse_addresses(v4)
    yield from ipaddress.collapse_addresses(v6)
