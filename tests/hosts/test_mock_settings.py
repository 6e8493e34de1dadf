"""mock's site configuration, as Python reads it and mock takes it."""

from __future__ import annotations

from collections import defaultdict

import pytest
from conftest import PROJECT, RoleOnHost

TEMPLATE = PROJECT / "roles/build_env/templates/site-defaults.cfg.j2"


def settings(memory_gb: int, **inputs: object) -> dict:
    """What mock gets on an EL host with so much memory."""
    host = RoleOnHost("build_env", "rocky9")
    kilobytes = str(memory_gb * 1024 * 1024)
    host.variables["__build_env_size"] = {"stdout_lines": [kilobytes, kilobytes]}
    host.variables.update(inputs)
    options: dict = defaultdict(dict)
    exec(host.render(TEMPLATE), {"config_opts": options})  # noqa: S102 it is Python, for mock
    return options


@pytest.mark.parametrize(
    ("memory_gb", "size"),
    [(8, None), (16, None), (20, "3g"), (32, "6g"), (64, "11g"), (512, "11g")],
)
def test_roots_in_memory_leave_enough_of_it(memory_gb, size):
    """As StarlingX's tools share it: four of them beside 8 GB, none smaller than 3 GB."""
    plugin = settings(memory_gb)["plugin_conf"]
    assert plugin["tmpfs_enable"] is (size is not None)
    if size:
        assert plugin["tmpfs_opts"]["max_fs_size"] == size


def test_a_site_may_choose_otherwise():
    plugin = settings(512, build_env_mock_tmpfs_gb=0)["plugin_conf"]
    assert plugin["tmpfs_enable"] is False
    plugin = settings(8, build_env_mock_tmpfs_gb=2)["plugin_conf"]
    assert plugin["tmpfs_opts"]["max_fs_size"] == "2g"
    assert settings(8, build_env_mock_networking=False)["rpmbuild_networking"] is False


def test_packages_name_no_host():
    """What is published must not say where it was built."""
    options = settings(32)
    assert options["macros"]["%_buildhost"] == "localhost"
    assert options["use_container_host_hostname"] is False


def test_roots_lie_where_there_is_room():
    options = settings(32)
    assert options["basedir"].startswith("/localdisk/")
    assert options["cache_topdir"].startswith("/localdisk/")
