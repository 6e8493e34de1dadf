"""What a build host has for the ways in which StarlingX is built."""

from __future__ import annotations

import pytest
import testinfra

SERVER = "http://127.0.0.1:8088"


def as_builder(host, command):
    return host.run("runuser -u builder -- sh -c %s", f"cd && {command}")


@pytest.fixture(scope="module")
def lean():
    """The host that was asked for no way at all."""
    return testinfra.get_host("podman://mol-build_env-site")


@pytest.fixture
def workspace(host):
    """A file of a build, a link into what was downloaded, and links out of all of it."""
    host.check_output(
        "runuser -u builder -- sh -euc '"
        "umask 027; mkdir -p /localdisk/loadbuild/builder/p/std /import/mirrors/CentOS; "
        "cd /localdisk/loadbuild/builder/p; echo repodata >std/repomd.xml; "
        "echo input >/import/mirrors/CentOS/input; ln -sfn /import/mirrors/CentOS Binary; "
        "ln -sfn /etc/passwd passwd; ln -sfn /etc etc; echo home >/home/builder/of-mine'"
    )
    return f"{SERVER}/localdisk/loadbuild/builder/p"


def test_builds_find_what_was_built_before(host, workspace):
    """mock's roots have their repositories there, by the absolute path."""
    assert host.check_output(f"curl -sf {workspace}/std/repomd.xml") == "repodata"
    assert host.check_output(f"curl -sf {workspace}/Binary/input") == "input"
    assert "std" in host.check_output(f"curl -sf {workspace}/")


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "/localdisk/loadbuild/builder/p/passwd",
        "/localdisk/loadbuild/builder/p/etc/passwd",
        "/localdisk/loadbuild/../../etc/passwd",
        "/localdisk/loadbuild/%2e%2e/%2e%2e/etc/passwd",
        "/localdisk/loadbuildx",
        "/localdisk/publish/",
        "/home/builder/of-mine",
        "/",
    ],
)
def test_nothing_else_is_served(host, workspace, path):
    """It runs as the builder; other accounts of the host must not read with its eyes."""
    code = host.run(f"curl -s --path-as-is -o /dev/null -w '%{{http_code}}' '{SERVER}{path}'")
    assert code.stdout == "404"


def test_the_package_server_is_for_this_host_alone(host):
    listening = host.check_output("ss -Hltn 'sport = :8088'").split()
    assert listening[3] == "127.0.0.1:8088"
    service = host.service("stx-package-server")
    assert service.is_running
    assert service.is_enabled


def test_without_a_port_there_is_no_package_server(lean):
    assert not lean.service("stx-package-server").is_running
    assert not lean.service("stx-package-server").is_enabled


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
