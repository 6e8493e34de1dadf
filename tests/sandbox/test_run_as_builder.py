"""The one door by which anything runs as the builder: what gets through it, what is left."""

from __future__ import annotations

import http.server
import json
import shutil
import signal
import stat
import threading
import time
from collections.abc import Iterator

import pytest
from sandbox_host import BUILDER, Build, Host, builders_processes, wait_for

MB = 1000000
TEMPORARY = ("/tmp", "/var/tmp", "/dev/shm", "/run/lock")  # noqa: S108
KEPT = "master/centos/20261030T020000Z"


# What a build sees


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
    running.communicate(timeout=20)


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
    own = (evil.work, "/import/mirrors", "/home/builder", "/localdisk/loadbuild/")
    fresh = (*TEMPORARY, "/dev/mqueue")
    assert [path for path in writable if not path.startswith((*own, *fresh))] == []
    assert TEMPORARY[0] in writable


def test_a_user_name_space_does_not_uncover_anything(evil: Build) -> None:
    probe = "unshare -Urm sh -c 'umount -l /localdisk; umount /home; ls /localdisk/loadbuild/*'"
    listing = evil.sh(f"{probe} 2>&1 || true")
    assert "master" not in listing


@pytest.mark.parametrize(("sources", "rights"), [("read", "r"), ("write", "rw"), ("none", "")])
def test_sources_are_shown_as_asked(host: Host, master: Build, sources: str, rights: str) -> None:
    master.sh("true")
    host.sh(f"touch {master.checkout}/file; chown builder {master.checkout}/file")
    cache = "/localdisk/designer/cache/master"
    for directory in (master.checkout, cache):
        seen = master.sh(
            f"if test -d {directory}; then printf r; fi;"
            f"if touch {directory}/new 2>/dev/null; then printf w; fi",
            sources=sources,
        )
        assert seen == rights


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


# What a build leaves


def test_git_settings_of_a_build_are_not_those_of_the_next(
    host: Host, master: Build, later: Build, evil: Build
) -> None:
    name = "git config --global --get-regexp . || true"
    assert master.sh(name) == "user.name builder\n"
    master.sh("git config --global url.https://evil.example/.insteadOf https://")
    assert "evil.example" in master.sh(name), "a build keeps its own home"
    for build in (later, evil):
        assert build.sh(name) == "user.name builder\n"
    assert "evil" not in host.path("/home/builder/.gitconfig").read_text()


@pytest.mark.parametrize("directory", TEMPORARY)
def test_temporary_files_are_gone(host: Host, master: Build, directory: str) -> None:
    master.sh(f"mkdir -p {directory}/x/y; touch {directory}/x/y/z; chmod 500 {directory}/x/y")
    assert master.sh(f"ls -A {directory}") == ""
    assert host.sh(f"find {directory} {master.state} -name x") == ""


def test_keys_that_the_kernel_keeps_are_gone(master: Build) -> None:
    add = (
        "import ctypes; libc = ctypes.CDLL(None);"
        "libc.syscall(248, b'user', b'left', b'secret', 6, -4)"
    )
    master.sh(f'python3 -c "{add}"')
    # The key itself is there for a moment longer, in no keyring.
    keyrings = master.sh("cat /proc/keys").splitlines()
    assert [line.split()[-1] for line in keyrings if f"_uid.{BUILDER}" in line] == ["empty"]


def test_every_process_is_ended_whoever_owns_it(host: Host, master: Build) -> None:
    """Daemons, those that do not listen to SIGTERM, and what a set-uid program became."""
    host.sh("cp /bin/sleep /usr/local/bin/as-root; chmod 4755 /usr/local/bin/as-root")
    before = host.sh("pgrep -c as-root || true")
    assert before == "0\n"
    master.sh(
        "/usr/local/bin/as-root 1000 & "
        "setsid sh -c 'sleep 1000 & sleep 1000 &' ; "
        "(trap '' TERM; setsid setsid sh -c 'trap \"\" TERM; while :; do sleep 1; done' &) ;"
        "sleep 0.3; stat -c %U /proc/[0-9]*/exe 2>/dev/null | sort -u || true",
        time_limit=20,
    )
    assert builders_processes() == []
    assert host.sh("pgrep -c as-root || true") == "0\n"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_helper_that_is_killed_leaves_no_process(host: Host, master: Build, number: int) -> None:
    running = master.start("touch started /tmp/left; exec sleep 1000")
    started = host.path(f"{master.work}/started")
    wait_for(started.exists)
    started.unlink()
    assert builders_processes() != []
    running.send_signal(number)
    running.communicate(timeout=20)
    wait_for(lambda: builders_processes() == [])
    # What it could not tidy up, the next one does.
    master.sh("true")
    assert host.sh(f"find {master.state} -name 'tmp-*'") == ""


def test_commands_of_one_build_may_run_side_by_side(host: Host, master: Build) -> None:
    running = master.start("touch /tmp/first; until test -e go; do sleep 0.1; done; ls /tmp")
    wait_for(lambda: "first" in host.sh(f"find {master.state} -name first"))
    second = master.run(["sh", "-c", "touch go; test ! -e /tmp/first"], log=None)
    assert second["result"] == "ok"
    output, _ = running.communicate(timeout=20)
    assert json.loads(output)["result"] == "ok"
    assert host.path(master.log).read_text().endswith("first\n")
    host.path(f"{master.work}/go").unlink()


# The network


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


# How a command ends


def test_the_verdict_of_a_success(master: Build) -> None:
    began = time.time()
    verdict = master.run(
        ["python3", "-c", "x = bytearray(200_000_000); [i for i in range(5_000_000)]"]
    )
    assert (verdict["result"], verdict["exit_code"], verdict["why"]) == ("ok", 0, "")
    assert 0.05 < verdict["cpu_seconds"] < 20
    assert 200 * MB < verdict["peak_memory_bytes"] < 500 * MB
    assert began <= verdict["started"] <= verdict["finished"] <= time.time()
    assert verdict["seconds"] == pytest.approx(verdict["finished"] - verdict["started"], abs=0.05)


@pytest.mark.parametrize(
    ("script", "code"), [("exit 3", 3), ("kill -SEGV $$", 139), ("kill -9 $$", 137)]
)
def test_the_verdict_of_a_failure(master: Build, script: str, code: int) -> None:
    verdict = master.run(["sh", "-c", script])
    assert (verdict["result"], verdict["exit_code"]) == ("failed", code)
    assert f"sh ended with exit code {code}" in verdict["why"]


def test_the_time_limit(master: Build) -> None:
    verdict = master.run(["sleep", "1000"], time_limit=1)
    assert (verdict["result"], verdict["exit_code"]) == ("timeout", None)
    assert "time limit of 1 s" in verdict["why"]
    assert 1 <= verdict["seconds"] < 8


@pytest.mark.parametrize(
    ("command", "changes", "reason"),
    [
        (["nonesuch"], {}, "nonesuch was not found in /usr/local/sbin"),
        (["./nonesuch"], {}, "./nonesuch was not found in /localdisk"),
        (["true"], {"chdir": "/import/mirrors/nonesuch"}, "no working directory"),
    ],
)
def test_what_cannot_be_started(
    master: Build, command: list[str], changes: dict[str, str], reason: str
) -> None:
    verdict = master.run(command, **changes)
    assert (verdict["result"], verdict["exit_code"]) == ("not-started", None)
    assert reason in verdict["why"]


def test_a_volume_that_fills_up(host: Host, master: Build) -> None:
    """It ends long before another build finds no room."""
    fill = "dd if=/dev/zero of=fill bs=1M count=130 status=none; sleep 1000"
    verdict = master.run(["sh", "-c", fill], min_free_bytes=150 * MB, time_limit=30)
    host.sh(f"rm {master.work}/fill")
    assert (verdict["result"], verdict["exit_code"]) == ("full", None)
    assert "needs 150 MB: free some (`stx-mirror prune`)" in verdict["why"]
    assert verdict["seconds"] < 8
    verdict = master.run(["true"], min_free_bytes=10**15)
    assert verdict["result"] == "full"
    assert "was not started" in verdict["why"]


def test_a_file_that_is_too_big(host: Host, master: Build) -> None:
    verdict = master.run(["sh", "-c", "exec dd if=/dev/zero of=big bs=1M"], max_bytes=20 * MB)
    assert host.path(f"{master.work}/big").stat().st_size <= 20 * MB
    host.sh(f"rm {master.work}/big")
    assert (verdict["result"], verdict["exit_code"]) == ("too-big", 153)
    assert "larger than 20 MB" in verdict["why"]


def test_a_build_that_is_too_big(host: Host, master: Build) -> None:
    """Its files together, wherever it has put them."""
    many = (
        "for place in . ~ /tmp; do dd if=/dev/zero of=$place/fill bs=1M count=15 status=none; done;"
        "sleep 1000"
    )
    verdict = master.run(["sh", "-c", many], max_bytes=40 * MB, time_limit=50)
    host.sh(f"rm {master.work}/fill {master.state}/home/fill")
    assert (verdict["result"], verdict["exit_code"]) == ("too-big", None)
    assert "more than its limit of 40 MB" in verdict["why"]


# What is refused


@pytest.mark.parametrize(
    "changes",
    [
        {"project": "../x"},
        {"project": "a..b"},
        {"project": "a/b"},
        {"project": ""},
        {"project": "master\n"},
        {"workspace": "20261101T020000"},
        {"workspace": ".."},
        {"kept": "../master/centos/20261030T020000Z"},
        {"kept": "master/centos"},
        {"kept": "/etc"},
        {"chdir": "/etc"},
        {"chdir": "/localdisk/loadbuild/builder/master/20261101T020000Z/../../f-evil"},
        {"chdir": "relative"},
        {"chdir": "/import/mirrors/"},
        {"log": "/localdisk/loadbuild/builder/master/20261101T020000Z"},
        {"log": "/localdisk/designer/builder/master/x.log"},
        {"log": "/etc/x"},
        {"command": []},
        {"command": [""]},
        {"command": "true"},
        {"command": ["a\0b"]},
        {"command": ["a", "\ud800"]},
        {"environment": {"A=B": "x"}},
        {"environment": {"A": 1}},
        {"environment": {"": "x"}},
        {"environment": {"A": "x\0"}},
        {"time_limit": 0},
        {"time_limit": True},
        {"time_limit": "10"},
        {"time_limit": 10**9},
        {"network": 1},
        {"sources": "all"},
        {"sources": []},
        {"min_free_bytes": -1},
        {"max_bytes": 1.5},
        {"extra": 1},
    ],
    ids=repr,
)
def test_a_request_that_is_refused(master: Build, changes: dict[str, object]) -> None:
    done = master.host.call("run", {**master.request(["true"]), **changes})
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("run-as-builder: ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "{}", "[" * 100000, " " * 300000])
@pytest.mark.parametrize("verb", ["run", "remove", "reset"])
def test_what_is_no_request(host: Host, verb: str, text: str) -> None:
    done = host.call(verb, text)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr


def test_other_verbs(host: Host) -> None:
    assert host.call("shell", {}).returncode == 2


def test_a_workspace_that_is_a_link_is_not_followed(host: Host, master: Build) -> None:
    other = Build(host, "linked", "20261101T020000Z")
    parent = "/localdisk/loadbuild/builder/linked"
    host.sh(f"mkdir {parent}; ln -s /etc {other.work}; chown -h builder {parent} {other.work}")
    done = host.call("run", other.request(["true"], chdir="/", log=None))
    assert done.returncode == 1
    assert other.work in done.stderr
    assert host.call("remove", {"project": "linked", "workspace": other.workspace}).returncode == 0
    assert host.sh(f"ls {parent}") == ""
    assert host.path("/etc/passwd").exists()


@pytest.mark.parametrize("target", ["/etc/shadow", "/import/mirrors/elsewhere"])
def test_a_log_that_is_a_link_is_not_written(host: Host, master: Build, target: str) -> None:
    before = host.path("/etc/shadow").read_bytes()
    master.sh(f"rm -f {master.work}/trap.log; ln -s {target} {master.work}/trap.log")
    verdict = master.run(["echo", "x"], log=f"{master.work}/trap.log")
    assert verdict["result"] == "not-started"
    assert "trap.log" in verdict["why"]
    assert host.path("/etc/shadow").read_bytes() == before
    assert not host.path(f"{master.downloads}/elsewhere").exists()


def test_a_log_that_is_a_pipe_holds_nothing_up(master: Build) -> None:
    master.sh("rm -f pipe.log; mkfifo pipe.log")
    assert master.run(["true"], log=f"{master.work}/pipe.log")["result"] == "not-started"


def test_a_log_behind_a_link_is_written_with_the_builders_rights_only(
    host: Host, master: Build
) -> None:
    host.sh("mkdir -p /srv/closed; chmod 700 /srv/closed")
    master.sh("ln -sfn /srv/closed logs-elsewhere")
    verdict = master.run(["echo", "x"], log=f"{master.work}/logs-elsewhere/x.log")
    assert verdict["result"] == "not-started"
    assert host.sh("ls /srv/closed") == ""


# Removing


def test_a_workspace_is_removed_whatever_is_in_it(host: Host, evil: Build) -> None:
    evil.sh(
        "mkdir -p a/b; touch a/b/c; chmod 500 a/b a; ln -s /etc/passwd link; ln -s /etc etc;"
        'python3 -c \'import os; [(os.mkdir("d"), os.chdir("d")) for _ in range(3000)]\';'
        "touch ~/x"
    )
    host.sh(f"mkdir -p {evil.work}/mock/root; touch {evil.state}/mock/of-root; ")
    asked = {"project": evil.project, "workspace": evil.workspace}
    done = host.call("remove", asked)
    assert (done.returncode, json.loads(done.stdout)) == (0, {"result": "ok"})
    assert host.sh(f"find /localdisk -name {evil.workspace}") == ""
    assert host.path("/etc/passwd").exists()
    assert host.call("remove", asked).returncode == 0
    assert host.call("remove", {"project": "nonesuch", "workspace": evil.workspace}).returncode == 0


def test_sources_are_emptied(host: Host, evil: Build) -> None:
    evil.sh(f"cd {evil.checkout}; mkdir -p x/.git/hooks; chmod 500 x", sources="write")
    assert host.call("reset", {"project": evil.project}).returncode == 0
    status = host.path(evil.checkout).stat()
    assert (status.st_uid, status.st_mode & 0o7777) == (BUILDER, 0o2755)
    assert host.sh(f"ls -A {evil.checkout}") == ""


def test_sources_that_are_a_link_are_not_followed(host: Host) -> None:
    link = "/localdisk/designer/builder/lured"
    host.sh(f"ln -s /etc {link}")
    assert host.call("reset", {"project": "lured"}).returncode == 0
    assert host.path("/etc/passwd").exists()
    assert stat.S_ISDIR(host.path(link).lstat().st_mode)
