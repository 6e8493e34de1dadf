"""The packages that roles install exist in the distributions' own lists.

The lists are those in the base images of role container_hosts; `script/test --all` makes them for
all releases. EL's are not at hand: its names are unverified.
"""

from __future__ import annotations

import os
import re
import subprocess

import pytest
from conftest import HOSTS, PROJECT, names_files

ENVIRONMENT = {**os.environ, "CONTAINERS_CONF": str(PROJECT / ".cache/containers.conf")}
ROLES = sorted({path.parent.parent.name for path in PROJECT.glob("roles/*/vars/Debian.yml")})
INSTALLABLE = [name for name in HOSTS if HOSTS[name][0] == "Debian"]


def podman(*words: str) -> str:
    try:
        done = subprocess.run(
            ["podman", *words], check=True, capture_output=True, text=True, env=ENVIRONMENT
        )
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"podman does not answer: {error}")
    return done.stdout


@pytest.fixture(scope="module")
def known():
    """Names of all packages of a release, by its name."""
    lists: dict[str, set[str]] = {}

    def names(release: str) -> set[str]:
        if release not in lists:
            repository = f"localhost/stx-mirror/base-{release}"
            images = podman("images", "--format", "{{.ID}}", repository).split()
            if not images:
                pytest.skip(f"no image of {release}: `script/test --all` makes it")
            lists[release] = set(podman("run", "--rm", images[0], "apt-cache", "pkgnames").split())
        return lists[release]

    return names


@pytest.mark.parametrize("host", INSTALLABLE)
@pytest.mark.parametrize("role", ROLES)
def test_packages_exist(on_host, known, role, host):
    available = known(HOSTS[host][4])
    assert names_files(role, host)
    here = on_host(role, host)
    listed = [n for n in here.own if re.fullmatch(r"__\w+_packages|__build_env_docker", n)]
    missing = {name: set(here.value(name)) - available for name in listed}
    assert not {name: gone for name, gone in missing.items() if gone}
