"""The networks that admins come from: what the inventory may say."""

from __future__ import annotations

import pytest

from stxmirror import networks


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (["192.0.2.0/28", "2001:db8::/64", "198.51.100.7"], ""),
        (["10.0.0.0/0"], "0.0.0.0/0 is everybody"),
        (["0.0.0.0/1", "128.0.0.0/1"], "0.0.0.0/0 is everybody"),
        (["192.0.2.0/28", "::/0"], "::/0 is everybody"),
        (["build.example.org"], "'build.example.org' is no network: write it as 192.0.2.0/28"),
        (["192.0.2.0/33"], "'192.0.2.0/33' is no network"),
        ([], "no admin could reach the host"),
    ],
)
def test_networks_of_admins_leave_somebody_out(given: list[str], problem: str) -> None:
    found = networks.network_problems(given)
    assert [text[: len(problem)] for text in found] == ([problem] if problem else [])


def test_everybody_may_be_meant() -> None:
    assert networks.network_problems(["0.0.0.0/0", "::/0"], everybody=True) == []
