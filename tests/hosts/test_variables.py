"""Every role's variables have a value on every host that it is written for."""

from __future__ import annotations

import re

import pytest
from conftest import HOSTS, PROJECT, found_out_in_a_run, load, names_files

# Roles with names that differ between distributions.
ROLES = sorted(
    path.parent.parent.name
    for path in PROJECT.glob("roles/*/vars/Debian.yml")
    if path.parent.parent.name != "container_hosts"
)
# The registry's program is in no EL 9; its preflight says so. The demo's part alone uses it.
NOT_ON_EL = {"registry"}


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("role", ROLES)
def test_every_role_has_names_for_every_host(role, host):
    if HOSTS[host][0] == "RedHat" and role in NOT_ON_EL:
        pytest.skip("not on EL: the role refuses it")
    assert names_files(role, host), f"roles/{role}/vars has no file for {host}"


@pytest.mark.parametrize("role", ROLES)
def test_every_distribution_names_the_same_things(role):
    """A name that only one file has makes the role fail on the others, half way."""
    general = load(PROJECT / f"roles/{role}/vars/Debian.yml")
    for path in (PROJECT / f"roles/{role}/vars").glob("*.yml"):
        if path.name != "main.yml":
            assert set(load(path)) == set(general), path.name


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("role", ROLES)
def test_variables_resolve(on_host, role, host):
    from ansible.errors import AnsibleError, AnsibleUndefinedVariable

    if not names_files(role, host):
        pytest.skip("the role refuses it")
    here = on_host(role, host)
    later = found_out_in_a_run(role)
    problems = []
    for name in here.own:
        try:
            here.value(name)
        except AnsibleUndefinedVariable as error:
            # What only a task can know. Attributes of it are then missing, too.
            if not set(re.findall(r"'(\w+)' is undefined", str(error))) & later:
                problems.append(f"{name}: {error}")
        except AnsibleError as error:
            problems.append(f"{name}: {error}")
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("role", ROLES)
def test_package_lists_are_lists_of_names(on_host, role, host):
    if not names_files(role, host):
        pytest.skip("the role refuses it")
    here = on_host(role, host)
    for name in here.own:
        if re.fullmatch(r"__\w+_packages", name):
            packages = here.value(name)
            assert isinstance(packages, list), name
            assert all(re.fullmatch(r"[a-z0-9][A-Za-z0-9+._-]*", p) for p in packages), name
            assert len(packages) == len(set(packages)), f"{name} has a name twice"
