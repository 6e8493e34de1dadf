"""The way to the mirror: a real sshd with the real mirrorctl, and all that refuses."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shlex
import shutil
import socket
import subprocess
import threading
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from build_host import opened
from mirror_over_ssh import PROJECT, Mirror, running
from module_call import call

from stxmirror.builder import reporting
from stxmirror.builder.mirror import Mirror as Client
from stxmirror.builder.mirror import MirrorError, Published, Way


def build_id(days: int = 0, directory: str = "master/sample") -> str:
    """Return the id of a build of so many days ago."""
    when = datetime.now(timezone.utc) - timedelta(days=days, minutes=1)
    return f"{directory}/{when:%Y%m%dT%H%M%SZ}"


@pytest.fixture
def make_tree(tmp_path: Path, good_record: dict):
    """Make a sealed tree of a build, without a signature, as cheaply as it can be made."""

    def make(build: str, result: str = "success", **files: bytes) -> Path:
        tree = tmp_path / "publish" / build
        content = {f"outputs/logs/{name}.log": data for name, data in files.items()}
        content["outputs/CONTEXT"] = b""
        content[f"outputs/{result}"] = b""
        directory, _, date = build.rpartition("/")
        identifier, _, distro = directory.rpartition("/")
        started = datetime.strptime(date, "%Y%m%dT%H%M%SZ").strftime("%Y-%m-%dT%H:%M:%SZ")
        record = {
            **good_record,
            **{"id": build, "identifier": identifier, "distro": distro, "result": result},
            **{"started": started, "finished": started, "previous_good": None, "iso": None},
            "artifacts": {},
        }
        if result == "fail":
            record["failed_stage"] = "packages"
        content["build.json"] = json.dumps(record).encode()
        for path, data in content.items():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_bytes(data)
        lines = [f"{hashlib.sha256(content[p]).hexdigest()}  {p}\n" for p in sorted(content)]
        (tree / "SHA256SUMS").write_text("".join(lines))
        return tree

    return make


def way(mirror: Mirror, key: str = "publish", **changes: object) -> Way:
    """Return the way to a mirror over SSH; keywords change it."""
    usual = {"program": ["mirrorctl"], "config": "", "attempts": 1, "delay": 0.2}
    return Way(**{**usual, **mirror.way(key), **changes})


def publish(mirror: Mirror, build: str, tree: Path, **changes: object) -> Published:
    told = changes.pop("told", [])
    return Client(way(mirror, **changes), told.append).publish(build, tree)


def refusal(mirror: Mirror, build: str, tree: Path, **changes: object) -> str:
    """Return why the mirror refuses, or cannot be reached."""
    with pytest.raises(MirrorError) as failure:
        publish(mirror, build, tree, **changes)
    return str(failure.value)


def module(mirror: Mirror, command: str, key: str = "publish", **changes: object) -> dict:
    arguments = {"command": command, "attempts": 1, "delay": 0.2, **mirror.way(key), **changes}
    return call("mirrorctl", arguments)


def test_a_build_arrives_and_the_alias_moves(mirror, make_tree):
    build = build_id()
    reply = publish(mirror, build, make_tree(build, one=b"x" * 5000))
    assert reply.reply["alias"]["moved"] is True
    assert (mirror.public / build / "outputs/logs/one.log").read_bytes() == b"x" * 5000
    assert (
        str((mirror.public / "master/sample/latest_build").readlink()) == build.rpartition("/")[2]
    )
    assert reply.sent_bytes > 5000
    # Two of its five files are empty, and so the same.
    assert reply.sent_files == 4


def test_publishing_again_sends_and_changes_nothing(mirror, make_tree):
    build = build_id()
    tree = make_tree(build, one=b"x" * 5000)
    publish(mirror, build, tree)
    reply = publish(mirror, build, tree)
    assert (reply.sent_files, reply.sent_bytes) == (0, 0)
    assert reply.reply["id"] == build


def test_what_the_mirror_holds_is_not_sent_again(mirror, make_tree):
    """Whatever build or stream it came from, and under whatever name."""
    big = os.urandom(200_000)
    first, second = build_id(2), build_id(directory="release/2018.10/sample")
    publish(mirror, first, make_tree(first, one=big))
    reply = publish(mirror, second, make_tree(second, other=big, new=b"y" * 100))
    assert reply.reused_bytes >= 200_000
    assert reply.sent_bytes < 20_000
    assert (mirror.public / second / "outputs/logs/other.log").read_bytes() == big


def test_a_failed_build_is_published_and_moves_nothing(mirror, make_tree):
    good, bad = build_id(1), build_id()
    publish(mirror, good, make_tree(good))
    reply = publish(mirror, bad, make_tree(bad, "fail"))
    assert reply.reply["result"] == "fail"
    assert reply.reply["alias"]["moved"] is False
    assert str((mirror.public / "master/sample/latest_build").readlink()) == good.rpartition("/")[2]


def test_a_mirror_on_this_host_gives_the_same(mirror, make_tree, monkeypatch):
    monkeypatch.chdir(PROJECT)
    build = build_id()
    local = {"host": "", "program": mirror.program, "config": str(mirror.config)}
    tree = make_tree(build, one=b"x" * 5000)
    reply = publish(mirror, build, tree, **local)
    assert reply.reply["alias"]["moved"] is True
    assert publish(mirror, build, tree, **local).sent_files == 0
    assert (mirror.public / build / "outputs/logs/one.log").stat().st_size == 5000


def test_a_refusal_is_final_and_in_the_mirrors_words(mirror, make_tree):
    build = build_id(directory="feature/unknown/sample")
    why = refusal(mirror, build, make_tree(build), attempts=5, delay=60)
    assert why.startswith("the mirror 127.0.0.1 refuses begin: ")
    assert "no retention rule for feature/unknown/sample" in why
    assert list(mirror.public.iterdir()) == []


def test_a_refused_key_names_key_host_and_what_to_check(mirror, make_tree):
    build = build_id()
    why = refusal(mirror, build, make_tree(build), key="stranger", attempts=5, delay=60)
    assert "refuses the key" in why
    assert f"{mirror.base}/stranger.pub stands in the authorized keys" in why
    assert f"127.0.0.1 port {mirror.port}" in why


def test_a_missing_key_is_no_reason_to_wait(mirror, make_tree):
    build = build_id()
    why = refusal(mirror, build, make_tree(build), key="nokey", attempts=5, delay=60)
    assert "refuses the key" in why


def test_another_host_key_is_not_trusted(mirror, make_tree):
    build = build_id()
    stranger = (mirror.base / "stranger.pub").read_text().rsplit(" ", 1)[0]
    (mirror.base / "known_hosts").write_text(f"[127.0.0.1]:{mirror.port} {stranger}\n")
    why = refusal(mirror, build, make_tree(build), attempts=5, delay=60)
    assert "the host key of" in why
    assert "known_hosts" in why


def test_a_mirror_that_is_down_is_tried_again_and_then_named(mirror, make_tree):
    build = build_id()
    mirror.stop()
    why = refusal(mirror, build, make_tree(build), attempts=3)
    assert f"does not answer at {mirror.way()['user']}@127.0.0.1 port {mirror.port}" in why
    assert "tried 3 times" in why


def test_whoever_waits_is_told_for_what_and_how_long(mirror, make_tree, monkeypatch):
    build, told, slept = build_id(), [], []
    monkeypatch.setattr(time, "sleep", slept.append)
    mirror.stop()
    refusal(mirror, build, make_tree(build), attempts=9, delay=10, told=told)
    assert slept == [10, 20, 40, 80, 160, 320, 600, 600]
    where = f"the mirror does not answer at {mirror.way()['user']}@127.0.0.1 port {mirror.port}: "
    assert all(text.startswith(where) and "refused" in text for text in told)
    waits = [text.split("; ")[1] for text in told]
    assert waits[0] == "attempt 1 of 9, the next one in 10 s, the last one in 30 min"
    assert waits[1] == "attempt 2 of 9, the next one in 20 s, the last one in 30 min"
    assert waits[-1] == "attempt 8 of 9, the next one in 600 s, the last one in 10 min"
    assert told[0].endswith(f"; if it is stopped, `stx-mirror publish {build}` publishes it later")


def test_a_short_wait_is_told_in_seconds(mirror, make_tree):
    build, told = build_id(), []
    mirror.stop()
    refusal(mirror, build, make_tree(build), attempts=3, delay=0.6, told=told)
    assert "the next one in 1 s, the last one in 2 s; " in told[0]


def test_a_wait_reaches_whoever_follows_the_build(mirror, make_tree, paths, make_stream):
    session = opened(paths, make_stream())
    mirror.stop()
    client = Client(way(mirror, attempts=2), session.reporter.note)
    (session.tree.parent).mkdir(parents=True)
    make_tree(session.id).rename(session.tree)
    with pytest.raises(MirrorError, match="tried 2 times"):
        reporting.publish(session, client)
    events = [json.loads(line) for line in paths.events("master").read_text().splitlines()]
    assert [event["event"] for event in events] == ["begin", "note", "end"]
    assert "attempt 1 of 2" in events[1]["text"]
    assert events[2] == {"event": "end", "part": "publish", "result": "failed"}


def test_a_mirror_that_is_busy_is_tried_again(mirror, make_tree):
    build, told = build_id(), []
    busy = mirror.base / "busy"
    busy.write_text(
        f"#!/bin/sh\nif mkdir {mirror.base}/once 2>/dev/null; then "
        "echo 'mirrorctl: another publication is under way' >&2; exit 75; fi\n"
        f'cd {PROJECT} && exec {shlex.join(mirror.program)} "$@"\n'
    )
    busy.chmod(0o755)
    local = {"host": "", "program": [str(busy)], "config": str(mirror.config)}
    publish(mirror, build, make_tree(build), attempts=2, told=told, **local)
    assert (mirror.public / build / "build.json").exists()
    (text,) = told
    assert "the mirror on this host is busy: another publication is under way" in text


def test_a_mirror_that_comes_back_gets_the_build(mirror, make_tree):
    build, told = build_id(), []
    tree = make_tree(build)
    mirror.stop()
    back = threading.Timer(1.5, mirror.start)
    back.start()
    try:
        publish(mirror, build, tree, attempts=6, delay=0.5, told=told)
    finally:
        back.join()
    assert told
    assert (mirror.public / build / "build.json").exists()


def test_an_ipv6_address_is_a_mirrors_name_as_any_other(tmp_path, make_tree):
    base = tmp_path / "mirror6"
    base.mkdir()
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    build = build_id()
    with running(base, "::1") as mirror:
        reply = publish(mirror, build, make_tree(build, one=b"x" * 5000))
        assert reply.sent_files == 4
        assert (mirror.public / build / "outputs/logs/one.log").stat().st_size == 5000
        assert module(mirror, "list", key="prune")["reply"]["builds"][0]["id"] == build
        mirror.stop()
        why = refusal(mirror, build, make_tree(build))
    assert f"@::1 port {mirror.port}" in why


class DroppingProxy:
    """Passes TCP on, and cuts the first connections after so many bytes."""

    def __init__(self, port: int, limits: list[int]) -> None:
        """Listen; connection n is cut after ``limits[n]`` bytes to the mirror, later ones never."""
        self.port, self.limits = port, limits
        self.server = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self.server.accept()
            except OSError:
                return
            limit = self.limits.pop(0) if self.limits else None
            remote = socket.create_connection(("127.0.0.1", self.port))
            for source, sink, bound in ((client, remote, limit), (remote, client, None)):
                threading.Thread(target=self._pass, args=(source, sink, bound), daemon=True).start()

    @staticmethod
    def _pass(source: socket.socket, sink: socket.socket, bound: int | None) -> None:
        passed = 0
        try:
            while data := source.recv(16384):
                passed += len(data)
                if bound is not None and passed > bound:
                    break
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            end.close() if bound is None else _reset(end)


def _reset(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()


def test_a_link_that_drops_while_sending_is_taken_up_again(mirror, make_tree):
    build = build_id()
    big = os.urandom(3_000_000)
    tree = make_tree(build, one=big)
    # Connections: begin, rsync (cut), begin, rsync (cut), begin, rsync, promote.
    proxy = DroppingProxy(mirror.port, [10**9, 1_000_000, 10**9, 1_500_000])
    port = proxy.server.getsockname()[1]
    known = (mirror.base / "known_hosts").read_text().replace(str(mirror.port), str(port))
    (mirror.base / "known_hosts").write_text(known)
    told: list[str] = []
    publish(mirror, build, tree, port=port, attempts=5, told=told)
    proxy.server.close()
    assert len(told) == 2
    assert (mirror.public / build / "outputs/logs/one.log").read_bytes() == big


def test_a_damaged_tree_is_named_and_nothing_is_published(mirror, make_tree):
    build = build_id()
    tree = make_tree(build, one=b"x" * 100)
    (tree / "outputs/logs/one.log").write_bytes(b"y" * 100)
    assert "refuses promote" in refusal(mirror, build, tree)
    assert not (mirror.public / build).exists()
    (tree / "outputs/logs/one.log").unlink()
    assert "outputs/logs/one.log is listed and missing" in refusal(mirror, build, tree)


def test_a_tree_that_was_never_sealed_is_named(mirror, tmp_path):
    why = refusal(mirror, build_id(), tmp_path / "none")
    assert "SHA256SUMS cannot be read" in why
    assert "collect the build" in why


def test_a_mirror_without_mirrorctl_is_named(mirror, make_tree):
    build = build_id()
    local = {"host": "", "program": ["/no/such/mirrorctl"], "config": str(mirror.config)}
    assert "cannot be run here" in refusal(mirror, build, make_tree(build), **local)
    keys = (mirror.base / "authorized_keys").read_text()
    (mirror.base / "authorized_keys").write_text(
        keys.replace('command="', 'command="mirrorctx; exit; ')
    )
    assert "provision it" in refusal(mirror, build, make_tree(build), attempts=5, delay=60)


def test_the_publishing_key_cannot_list_or_prune(mirror):
    reply = module(mirror, "list")
    assert reply["failed"]
    assert "this key lets you run" in reply["msg"]


def test_prune_deletes_what_the_rules_let_go_and_reports_refusals(mirror, make_tree):
    old, older, new = build_id(20), build_id(30), build_id()
    for build in (older, old, new):
        publish(mirror, build, make_tree(build))
    listing = module(mirror, "list", key="prune")["reply"]
    assert [build["id"] for build in listing["builds"]] == [older, old, new]
    dry = call(
        "mirrorctl", {"command": "prune", **mirror.way("prune"), "delete": [old]}, check=True
    )
    assert (dry["changed"], dry["reply"]) == (True, {})
    reply = module(mirror, "prune", key="prune", delete=[old, older, new])
    assert reply["changed"] is True
    assert reply["reply"]["deleted"] == [old, older]
    assert [refused["id"] for refused in reply["reply"]["refused"]] == [new]
    assert not (mirror.public / old).exists()
    assert (mirror.public / new).exists()


def test_check_mode_does_not_connect(mirror):
    mirror.stop()
    arguments = {"command": "publish", "id": build_id(), **mirror.way()}
    assert call("mirrorctl", arguments, check=True)["changed"] is True
    arguments = {"command": "prune", "delete": [], **mirror.way()}
    assert call("mirrorctl", arguments, check=True)["changed"] is False


def test_a_mirror_that_is_full_says_so_and_publishes_nothing(mirror, make_tree):
    build = build_id()
    tree = make_tree(build, one=b"x" * 1000)
    room = shutil.disk_usage(mirror.store).free
    mirror.configure(reserve_bytes=room * 2)
    why = refusal(mirror, build, tree)
    assert "refuses begin" in why
    assert "room" in why
    mirror.configure()
    publish(mirror, build, tree)


def test_the_helper_runs_a_real_sshd(mirror):
    """What refuses above is sshd and the dispatcher, not a missing server."""
    options = ["-o", "BatchMode=yes", "-o", f"UserKnownHostsFile={mirror.base}/known_hosts"]
    options += ["-i", str(mirror.base / "publish"), "-p", str(mirror.port)]
    done = subprocess.run(
        ["ssh", *options, "127.0.0.1", "id"], capture_output=True, text=True, check=False
    )
    assert "this key lets you run" in done.stderr
