"""What a command that runs as the builder sees and reaches: its own build, and no other."""

from __future__ import annotations

import http.server
import shutil
import signal
import threading
from collections.abc import Iterator

import pytest
from sandbox_host import KEPT, TEMPORARY, Build, Host, wait_for


def test_a_build_sees_its_own_and_nothing_of_another(
    host: Host, master: Build, evil: Build
) -> None:
    master.sh(
        f"for place in {master.work} {master.checkout} /import/mirrors ~; do"
        " echo of master >$place/only-masters; done",
        sources="write",
    )
    host.sh(f"mkdir -p /localdisk/kept/{KEPT}; echo sealed >/localdisk/kept/{KEPT}/SHA256SUMS")
    seen = evil.sh(
        "find / -xdev -path /proc -prune -o -name only-masters -print 2>/dev/null || true"
    )
    assert seen == ""
    listing = evil.sh("find /localdisk /import /home -mindepth 1")
    assert "master" not in listing
    assert evil.work in listing
    assert host.path(f"{master.downloads}/only-masters").read_text() == "of master\n"
    for place in (master.work, master.checkout, "/import/mirrors", "~"):
        assert master.sh(f"cat {place}/only-masters") == "of master\n"


def test_another_build_is_not_reached_through_processes(master: Build, evil: Build) -> None:
    """They run as one account, and /proc/PID/root of a neighbour leads to all that it sees."""
    running = master.start("echo secret >secret; sleep 30")
    wait_for(lambda: master.host.path(f"{master.work}/secret").exists())
    found = evil.sh("cat /proc/[0-9]*/root/localdisk/loadbuild/builder/master/*/secret || true")
    assert "secret\n" not in found
    owners = evil.sh("stat -c '%n %U' /proc/[0-9]*")
    assert len([line for line in owners.splitlines() if line.endswith("builder")]) <= 4
    assert evil.sh("kill -9 -1 || true; echo; ls /proc/1/root 2>&1 || true").endswith("denied\n")
    assert running.poll() is None
    running.send_signal(signal.SIGTERM)
    running.communicate(timeout=120)


@pytest.mark.parametrize("directory", ["/var/lib/stx-mirror", "/var/log/stx-mirror", "/run"])
def test_what_is_the_orchestrators_is_hidden(host: Host, evil: Build, directory: str) -> None:
    host.sh("mkdir -p /run/user/0; echo x >/run/secret; chmod -R a+rwX /run")
    assert evil.sh(f"find {directory} -mindepth 1 ! -name lock") == ""


def test_nothing_of_the_host_can_be_written(host: Host, evil: Build) -> None:
    """Wherever the distribution or an administrator has left a directory open."""
    host.sh("mkdir -p /var/lib/left-open /srv/open; chmod 1777 /var/lib/left-open /srv/open")
    writable = evil.sh(
        "find / \\( -path /proc -o -path /sys \\) -prune -o -type d -writable -print 2>/dev/null"
        " || true"
    ).split()
    own = (evil.work, evil.checkout, "/import/mirrors", "/home/builder", "/localdisk/loadbuild/")
    fresh = (*TEMPORARY, "/dev/mqueue")
    assert [path for path in writable if not path.startswith((*own, *fresh))] == []
    assert TEMPORARY[0] in writable


def test_a_user_name_space_does_not_uncover_anything(evil: Build) -> None:
    probe = (
        "id -u; umount -l /localdisk; umount -l /home; mount -o remount,bind,rw /; "
        "touch /srv/new; find /localdisk -mindepth 1; ls /srv"
    )
    output = evil.sh(f"unshare -Urm sh -c '{probe}' 2>&1")
    assert output.startswith("0\n")
    assert evil.work in output
    assert "master" not in output
    assert "new" not in output.splitlines()


def test_a_package_builds_in_a_throwaway_root(master: Build) -> None:
    """As the sample's tools do it, without any privilege."""
    output = master.sh(
        "cd /tmp; mkdir -p base/proc base/dev scratch; "
        "unshare --user --map-root-user --mount --net --uts --pid --fork sh -euc '"
        "mount -t tmpfs -o mode=755 tmpfs scratch; cd scratch; mkdir upper work root;"
        "mount -t overlay -o lowerdir=/tmp/base,upperdir=upper,workdir=work,userxattr overlay root;"
        "mount --rbind /proc root/proc; mount -t tmpfs -o mode=755 tmpfs root/dev;"
        ": >root/dev/null; mount --bind /dev/null root/dev/null; echo x >root/dev/null;"
        "hostname reproducible; mount -t proc proc /proc; hostname'"
    )
    assert output == "reproducible\n"


@pytest.mark.parametrize(("sources", "rights"), [("read", "r"), ("write", "rw"), ("none", "")])
def test_sources_are_shown_as_asked(host: Host, master: Build, sources: str, rights: str) -> None:
    master.sh("true")
    host.sh(f"touch {master.checkout}/file; chown builder {master.checkout}/file")
    # The checkout is the build's own; the git objects serve later builds, too.
    shown = {
        master.checkout: "rw" if sources != "none" else "",
        "/localdisk/designer/cache/master": rights,
    }
    for directory, expected in shown.items():
        seen = master.sh(
            f"if test -d {directory}; then printf r; fi;"
            f"if touch {directory}/new 2>/dev/null; then printf w; fi",
            sources=sources,
        )
        assert seen == expected


def test_the_kept_build_that_is_named_can_be_read(host: Host, master: Build) -> None:
    host.sh(f"mkdir -p /localdisk/kept/{KEPT}; echo sealed >/localdisk/kept/{KEPT}/SHA256SUMS")
    path = f"/localdisk/kept/{KEPT}/SHA256SUMS"
    assert master.sh(f"cat {path}", kept=KEPT) == "sealed\n"
    assert master.sh(f"(echo x >{path}) 2>/dev/null || echo no", kept=KEPT) == "no\n"
    done = master.host.call("run", master.request(["true"], kept=KEPT.replace("30", "29")))
    assert done.returncode == 1
    assert "No such file" in done.stderr


def test_the_command_is_the_builder_in_a_clean_environment(master: Build) -> None:
    environment = {"HOME": "/root", "USER": "root", "MY_REPO": "x y", "PATH": "/usr/bin:/bin"}
    output = master.sh("env; echo $(id -un) $(id -gn) $(umask) $(pwd)", environment=environment)
    assert sorted(output.splitlines()) == sorted(
        [
            "HOME=/home/builder",
            "LANG=C.UTF-8",
            "LOGNAME=builder",
            "MY_REPO=x y",
            "PATH=/usr/bin:/bin",
            f"PWD={master.work}",
            "SHELL=/bin/sh",
            "TZ=UTC",
            "USER=builder",
            f"builder cgts 0022 {master.work}",
        ]
    )
    assert (
        master.sh("stat -c '%a %U' /tmp /var/tmp /dev/shm /run/lock").split("\n")[:-1]
        == ["1777 root"] * 4
    )
    # mock and sbuild find their directories as on any host.
    modes = master.sh("cd /localdisk/loadbuild; stat -c '%n %a %U %G' mock mock-cache sbuild")
    assert modes.split("\n")[:-1] == [
        "mock 2775 root cgts",
        "mock-cache 2775 root cgts",
        "sbuild 750 builder cgts",
    ]


def test_what_lies_in_temporary_directories_gives_no_rights(master: Build) -> None:
    mounts = [line.split() for line in master.sh("cat /proc/self/mounts").splitlines()]
    options = {mount[1]: mount[3].split(",") for mount in mounts}
    for directory in ("/tmp", "/var/tmp", "/dev/shm"):  # noqa: S108
        assert {"nosuid", "nodev"} <= set(options[directory]), directory


def test_mock_can_work_in_there(host: Host, master: Build) -> None:
    """It comes to root by sudo, mounts file systems in its roots and leaves what is root's."""
    if shutil.which("sudo") is None:
        pytest.skip("sudo is missing: install sudo")
    rules = "Defaults use_pty, logfile=/var/log/sudo.log\nbuilder ALL=(root) NOPASSWD: /bin/sh\n"
    host.sh(f"printf '{rules}' >/etc/sudoers.d/60-builder; chmod 440 /etc/sudoers.d/60-builder")
    host.sh("rm -f /var/log/sudo.log; touch /var/log/sudo.log")
    root = "/localdisk/loadbuild/mock/root"
    script = f"id -u; mkdir -p {root}/dev; mount -t tmpfs x {root}/dev; touch {root}/dev/in-memory"
    assert master.sh(f"sudo -n /bin/sh -euc '{script}'; ls {root}/dev") == "0\nin-memory\n"
    assert "COMMAND=/bin/sh" in host.sh("cat /var/log/sudo.log")
    assert host.sh(f"stat -c %U {master.state}/mock/root") == "root\n"
    assert master.sh(f"ls -A {root}/dev") == ""
    asked = {"project": master.project, "workspace": master.workspace}
    assert host.call("remove", asked).returncode == 0
    assert host.sh(f"find /localdisk -name {master.workspace}") == ""


@pytest.fixture
def page() -> Iterator[str]:
    """A server on this machine's own address."""
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


def test_the_network_is_closed_unless_asked_for(master: Build, page: str) -> None:
    probe = f"curl -s -o /dev/null -m 5 --noproxy '*' -w '%{{http_code}}\\n' {page} || true"
    assert master.sh(probe) == "000\n"
    assert master.sh(probe, network=True) == "200\n"
    devices = master.sh("tail -n +3 /proc/net/dev | cut -d: -f1").split()
    assert devices == ["lo"]


def test_a_build_is_served_its_own_packages(host: Host, master: Build, evil: Build) -> None:
    """mock's roots have their repositories there, by the absolute path."""
    master.sh("mkdir -p std; echo repodata >std/repomd.xml; ln -sfn /etc/passwd passwd")
    server = "curl -s -m 10 --path-as-is http://127.0.0.1:8088"
    assert master.sh(f"{server}{master.work}/std/repomd.xml") == "repodata\n"
    status = "-o /dev/null -w '%{http_code}\\n'"
    for path in ("/etc/passwd", f"{master.work}/passwd", "/localdisk/../etc/passwd", "/"):
        assert master.sh(f"{server}{path} {status}") == "404\n", path
    assert evil.sh(f"{server}{master.work}/std/repomd.xml {status}") == "404\n"
    assert master.sh(f"{server}/localdisk/ {status} || true", network=True) == "000\n"
