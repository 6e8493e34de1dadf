"""What run-as-builder refuses, and what it removes."""

from __future__ import annotations

import json
import stat

import pytest
from sandbox_host import BUILDER, Build, Host


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
        {"input": None},
        {"input": "x\0"},
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
