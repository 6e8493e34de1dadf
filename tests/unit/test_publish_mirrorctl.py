"""Publishing and pruning over a real sshd with the real mirrorctl, and all that refuses."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from mirror_over_ssh import PROJECT, Mirror, running
from module_call import call


def build_id(days: int = 0, directory: str = "master/sample") -> str:
    """Return the id of a build of so many days ago."""
    when = datetime.now(timezone.utc) - timedelta(days=days, minutes=1)
    return f"{directory}/{when:%Y%m%dT%H%M%SZ}"


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[Mirror]:
    base = tmp_path / "mirror"
    base.mkdir()
    with running(base) as started:
        yield started


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


def module(mirror: Mirror, command: str, key: str = "publish", **changes: object) -> dict:
    arguments = {"command": command, "attempts": 1, "delay": 0.2, **mirror.way(key), **changes}
    return call("mirrorctl", arguments)


def publish(mirror: Mirror, build: str, tree: Path, **changes: object) -> dict:
    reply = module(mirror, "publish", id=build, tree=str(tree), **changes)
    assert not reply["failed"], reply["msg"]
    return reply


def test_a_build_arrives_and_the_alias_moves(mirror, make_tree):
    build = build_id()
    reply = publish(mirror, build, make_tree(build, one=b"x" * 5000))
    assert reply["changed"] is True
    assert reply["reply"]["alias"]["moved"] is True
    assert (mirror.public / build / "outputs/logs/one.log").read_bytes() == b"x" * 5000
    assert (
        str((mirror.public / "master/sample/latest_build").readlink()) == build.rpartition("/")[2]
    )
    assert reply["sent_bytes"] > 5000


def test_publishing_again_sends_and_changes_nothing(mirror, make_tree):
    build = build_id()
    tree = make_tree(build, one=b"x" * 5000)
    publish(mirror, build, tree)
    reply = publish(mirror, build, tree)
    assert reply["changed"] is False
    assert (reply["sent_files"], reply["sent_bytes"]) == (0, 0)
    assert reply["reply"]["id"] == build


def test_what_the_mirror_holds_is_not_sent_again(mirror, make_tree):
    """Whatever build or stream it came from, and under whatever name."""
    big = os.urandom(200_000)
    first, second = build_id(2), build_id(directory="release/2018.10/sample")
    publish(mirror, first, make_tree(first, one=big))
    reply = publish(mirror, second, make_tree(second, other=big, new=b"y" * 100))
    assert reply["reused_bytes"] >= 200_000
    assert reply["sent_bytes"] < 20_000
    assert (mirror.public / second / "outputs/logs/other.log").read_bytes() == big


def test_a_failed_build_is_published_and_moves_nothing(mirror, make_tree):
    good, bad = build_id(1), build_id()
    publish(mirror, good, make_tree(good))
    reply = publish(mirror, bad, make_tree(bad, "fail"))
    assert reply["reply"]["result"] == "fail"
    assert reply["reply"]["alias"]["moved"] is False
    assert str((mirror.public / "master/sample/latest_build").readlink()) == good.rpartition("/")[2]


def test_a_mirror_on_this_host_gives_the_same(mirror, make_tree, monkeypatch):
    monkeypatch.chdir(PROJECT)
    build = build_id()
    local = {"host": "", "program": mirror.program, "config": str(mirror.config)}
    tree = make_tree(build, one=b"x" * 5000)
    reply = publish(mirror, build, tree, **local)
    assert reply["reply"]["alias"]["moved"] is True
    assert publish(mirror, build, tree, **local)["changed"] is False
    assert (mirror.public / build / "outputs/logs/one.log").stat().st_size == 5000


def test_a_refusal_is_final_and_in_the_mirrors_words(mirror, make_tree):
    build = build_id(directory="feature/unknown/sample")
    reply = module(mirror, "publish", id=build, tree=str(make_tree(build)), attempts=5, delay=60)
    assert reply["failed"]
    assert reply["msg"].startswith("the mirror 127.0.0.1 refuses begin: ")
    assert "no retention rule for feature/unknown/sample" in reply["msg"]
    assert list(mirror.public.iterdir()) == []


def test_a_refused_key_names_key_host_and_what_to_check(mirror, make_tree):
    build = build_id()
    reply = module(
        mirror, "publish", key="stranger", id=build, tree=str(make_tree(build)), attempts=5
    )
    assert reply["failed"]
    assert "refuses the key" in reply["msg"]
    assert f"{mirror.base}/stranger.pub stands in the authorized keys" in reply["msg"]
    assert f"127.0.0.1 port {mirror.port}" in reply["msg"]


def test_a_missing_key_is_no_reason_to_wait(mirror, make_tree):
    build = build_id()
    reply = module(
        mirror, "publish", key="nokey", id=build, tree=str(make_tree(build)), attempts=5, delay=60
    )
    assert "refuses the key" in reply["msg"]


def test_another_host_key_is_not_trusted(mirror, make_tree):
    build = build_id()
    stranger = (mirror.base / "stranger.pub").read_text().rsplit(" ", 1)[0]
    (mirror.base / "known_hosts").write_text(f"[127.0.0.1]:{mirror.port} {stranger}\n")
    reply = module(mirror, "publish", id=build, tree=str(make_tree(build)), attempts=5, delay=60)
    assert "the host key of" in reply["msg"]
    assert "known_hosts" in reply["msg"]


def test_a_mirror_that_is_down_is_tried_again_and_then_named(mirror, make_tree):
    build = build_id()
    mirror.stop()
    reply = module(mirror, "publish", id=build, tree=str(make_tree(build)), attempts=3)
    assert reply["failed"]
    assert f"does not answer at {mirror.way()['user']}@127.0.0.1 port {mirror.port}" in reply["msg"]
    assert "tried 3 times" in reply["msg"]


def test_a_mirror_that_comes_back_gets_the_build(mirror, make_tree):
    build = build_id()
    tree = make_tree(build)
    mirror.stop()
    back = threading.Timer(1.5, mirror.start)
    back.start()
    try:
        reply = publish(mirror, build, tree, attempts=6, delay=0.5)
    finally:
        back.join()
    assert reply["attempts"] > 1
    assert (mirror.public / build / "build.json").exists()


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
    reply = publish(mirror, build, tree, port=port, attempts=5)
    proxy.server.close()
    assert reply["attempts"] == 3
    assert (mirror.public / build / "outputs/logs/one.log").read_bytes() == big


def test_a_damaged_tree_is_named_and_nothing_is_published(mirror, make_tree):
    build = build_id()
    tree = make_tree(build, one=b"x" * 100)
    (tree / "outputs/logs/one.log").write_bytes(b"y" * 100)
    reply = module(mirror, "publish", id=build, tree=str(tree))
    assert "refuses promote" in reply["msg"]
    assert not (mirror.public / build).exists()
    (tree / "outputs/logs/one.log").unlink()
    reply = module(mirror, "publish", id=build, tree=str(tree))
    assert "outputs/logs/one.log is listed and not there" in reply["msg"]


def test_a_tree_that_was_never_sealed_is_named(mirror, tmp_path):
    reply = module(mirror, "publish", id=build_id(), tree=str(tmp_path / "none"))
    assert "SHA256SUMS cannot be read" in reply["msg"]
    assert "collect the build" in reply["msg"]


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


def test_check_mode_does_not_connect(mirror, make_tree):
    build = build_id()
    tree = make_tree(build)
    mirror.stop()
    arguments = {"command": "publish", "id": build, "tree": str(tree), **mirror.way()}
    assert call("mirrorctl", arguments, check=True)["changed"] is True


def test_a_mirror_that_is_full_says_so_and_publishes_nothing(mirror, make_tree):
    build = build_id()
    tree = make_tree(build, one=b"x" * 1000)
    room = shutil.disk_usage(mirror.store).free
    mirror.configure(reserve_bytes=room * 2)
    reply = module(mirror, "publish", id=build, tree=str(tree))
    assert "refuses begin" in reply["msg"]
    assert "room" in reply["msg"]
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
