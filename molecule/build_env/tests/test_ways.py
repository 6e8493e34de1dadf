"""What a build host has for the ways in which StarlingX is built."""

from __future__ import annotations

import pytest
import testinfra


def as_builder(host, command):
    return host.run("runuser -u builder -- sh -c %s", f"cd && {command}")


@pytest.fixture(scope="module")
def lean():
    """The host that was asked for no way at all."""
    return testinfra.get_host("podman://mol-build_env-site")


def test_nothing_serves_what_all_builds_made(host):
    """One stream would read another's; each build is served its own, in its own network."""
    assert host.check_output("ss -Hltn 'sport = :8088'") == ""
    assert host.file("/usr/local/libexec/stx-mirror/package-server").mode == 0o755


def test_sbuild_needs_no_group_and_no_daemon(host):
    """Group sbuild is as good as root, and what is built runs as the builder."""
    assert "sbuild" not in host.user("builder").groups
    mode = as_builder(
        host,
        'perl -e \'our ($chroot_mode, $unshare_tmpdir_template); do "/etc/sbuild/sbuild.conf";'
        ' print "$chroot_mode $unshare_tmpdir_template"\'',
    )
    assert mode.stdout == "unshare /localdisk/loadbuild/sbuild/root.XXXXXXXXXX"
    assert as_builder(host, "sbuild --version").rc == 0
    assert as_builder(host, "test -w /localdisk/loadbuild/sbuild").rc == 0


def test_podman_runs_without_root(host):
    done = as_builder(host, "podman info --format '{{.Host.Security.Rootless}}'")
    assert done.stdout.strip() == "true", done.stderr


def test_a_lean_host_has_none_of_it(lean):
    assert not lean.file("/usr/local/bin/mock").exists
    assert not lean.file("/localdisk/loadbuild/sbuild").exists


def test_the_profiles_own_account_has_starlingx_number(host, lean):
    """Its packages are owned by that number, in and out of a root."""
    assert (host.user("mockbuild").uid, host.group("mockbuild").gid) == (9001, 9001)
    assert not lean.user("mockbuild").exists
