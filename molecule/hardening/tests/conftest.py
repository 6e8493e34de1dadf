"""The three hosts of the scenario, and what the tests do on them again and again."""

from __future__ import annotations

import pytest
import testinfra

OPTIONS = (
    "-o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null "
    "-o IdentitiesOnly=yes -o ConnectTimeout=5 -o LogLevel=ERROR"
)


def named(name: str):
    """A host of the scenario: builder, mirror, outside."""
    return testinfra.get_host(f"podman://mol-hardening-{name}")


@pytest.fixture(scope="session")
def builder():
    return named("builder")


@pytest.fixture(scope="session")
def mirror():
    return named("mirror")


@pytest.fixture(scope="session")
def outside():
    """The machine of an admin, with a second address that no host knows."""
    return named("outside")


@pytest.fixture(scope="session")
def stranger(outside):
    """That second address."""
    found = outside.check_output("hostname -I").split()
    return next(address for address in found if address.endswith(".250"))


@pytest.fixture(scope="session")
def ssh(outside):
    """Call ssh on the admin's machine."""

    def call(key: str, target: str, command: str = "true", extra: str = ""):
        return outside.run(f"ssh {OPTIONS} {extra} -i /root/{key} {target} '{command}' </dev/null")

    return call
