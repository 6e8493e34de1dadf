"""The part *collect* as a whole: what stages made becomes a tree that can be published."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from build_host import opened
from module_call import call
from rpm_files import make_rpm

from stxmirror.builder import collecting, host_terms, sealing, session
from stxmirror.builder.collecting import Words, collect
from stxmirror.builder.session import PartFailed, Session
from stxmirror.builder.stages import Limits, run_stages
from stxmirror.errors import StxMirrorError
from stxmirror.layout import ARTIFACT_TYPES
from stxmirror.state.files import write_json

HOST = "build7.example.org"
WORDS = Words([HOST], ["Ann Lee"])
SIGN = [sys.executable, "-c", "print('-----BEGIN PGP SIGNATURE-----')"]


@pytest.fixture(autouse=True)
def _umask():
    """The umask that a session of ``builder`` may have; it is the process's, so put it back."""
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.fixture(scope="session")
def rpms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("rpms")
    make_rpm(base, "bell", description="Rings%{lua:print(string.char(7))} twice.")
    for name in ("one", "two"):
        made = make_rpm(base, name)
    return made / "RPMS"


def stage(name: str, script: str, **changes: object) -> dict:
    return {"name": name, "command": ["sh", "-c", script], "time_limit": 60, **changes}


@pytest.fixture
def build(paths, make_stream, rpms):
    """Run a build of one package and a log, with a profile that keywords change."""

    def build(packages: str = "one", **changes: object) -> Session:
        copy = "".join(f"cp {rpms}/{name}-*.rpm std; " for name in packages.split())
        script = f"mkdir -p std results; {copy} echo Ann Lee on {HOST} > results/build.log"
        yields = [{"from": "std/*.rpm", "type": "outputs/RPMS", "phase": "std"}]
        stages = [stage("packages", script, yields=yields, log_files=["results/*.log"])]
        profile = {"name": "sample", "description": "x", "stages": stages, **changes}
        made = opened(paths, make_stream(), profile)
        run_stages(made, Limits(0, 0))
        (made.directory / "CONTEXT").write_text("")
        return made

    return build


def test_a_good_build_becomes_a_tree(build, paths):
    made = build()
    collecting.close_good(made)
    found = collect(made, WORDS, SIGN)
    assert found.totals["outputs/RPMS/std"]["files"] == 1
    assert made.record()["artifacts"] == found.totals
    assert json.loads((made.tree / "build.json").read_text())["artifacts"] == found.totals
    for side, kinds in ARTIFACT_TYPES.items():
        assert all((made.tree / side / kind).is_dir() for kind in kinds)
    assert (made.tree / "outputs/logs/packages.log").exists()
    log = made.tree / "outputs/logs/results/build.log"
    assert log.read_text() == "[redacted] on [redacted]\n"
    subprocess.run(["sha256sum", "--strict", "-c", "SHA256SUMS"], cwd=made.tree, check=True)
    listed = {line.split("  ")[1] for line in (made.tree / "SHA256SUMS").read_text().splitlines()}
    present = {str(p.relative_to(made.tree)) for p in made.tree.rglob("*") if p.is_file()}
    assert present - listed == {"SHA256SUMS", "SHA256SUMS.asc"}


def test_whatever_the_umask_everybody_may_read_the_tree(build):
    made = build()
    collecting.close_good(made)
    collect(made, WORDS, SIGN)
    modes = {p.is_dir(): p.stat().st_mode & 0o777 for p in (made.tree, *made.tree.rglob("*"))}
    assert modes == {True: 0o755, False: 0o644}
    wrong = [p for p in made.tree.rglob("*") if p.stat().st_mode & 0o777 != modes[p.is_dir()]]
    assert wrong == []


def test_collecting_again_takes_what_is_there_now(build):
    made = build("one two")
    collecting.close_good(made)
    collect(made, WORDS, SIGN)
    (made.workspace / "std/one-1-1.noarch.rpm").unlink()
    assert collect(made, WORDS, SIGN).totals["outputs/RPMS/std"]["files"] == 1
    assert not (made.tree / "outputs/RPMS/std/one-1-1.noarch.rpm").exists()
    subprocess.run(["sha256sum", "--strict", "-c", "SHA256SUMS"], cwd=made.tree, check=True)


def test_of_a_failed_build_logs_and_record_are_taken(build):
    made = build()
    collecting.close_good(made)
    collect(made, WORDS, SIGN)
    session.close_failure(made, f"no room on {HOST}")
    collect(made, WORDS, SIGN)
    present = {str(p.relative_to(made.tree)) for p in made.tree.rglob("*") if p.is_file()}
    assert present == {
        "build.json",
        "outputs/CONTEXT",
        "outputs/fail",
        "outputs/logs/packages.log",
        "outputs/logs/results/build.log",
        "SHA256SUMS",
        "SHA256SUMS.asc",
    }
    assert (made.tree / "outputs/fail").read_text() == "open failed:\nno room on [redacted]\n"
    assert not (made.tree / "inputs").exists()


def test_a_build_that_runs_is_not_collected(build):
    with pytest.raises(PartFailed, match="has not ended"):
        collect(build(), WORDS, SIGN)


def test_what_a_stage_promised_has_to_be_there(build):
    yields = [{"from": "std/*.iso", "type": "outputs/iso"}]
    made = build(stages=[stage("iso", "true", yields=yields)])
    collecting.close_good(made)
    with pytest.raises(PartFailed, match=r"nothing matches std/\*\.iso"):
        collect(made, WORDS, SIGN)
    assert not sealing.is_sealed(made.tree)


def test_what_a_degraded_stage_promised_is_not_asked_for(build):
    yields = [{"from": "*.tgz", "type": "outputs/helm-charts"}]
    made = build(
        stages=[
            stage("c", "touch x.tgz; false", yields=yields, on_failure="degrade", missing="charts")
        ]
    )
    collecting.close_good(made)
    assert "outputs/helm-charts" not in collect(made, WORDS, SIGN).totals
    assert (made.tree / "outputs/success").read_text() == "missing: charts\n"


def test_a_package_that_metadata_cannot_describe_stops_the_build(build):
    made = build("one bell")
    collecting.close_good(made)
    with pytest.raises(StxMirrorError, match=r"outputs/RPMS.* bell "), made.part("collect"):
        collect(made, WORDS, SIGN)
    assert not sealing.is_sealed(made.tree)
    closed = session.close_failure(made, "")
    assert closed["failed_stage"] == "collect"
    assert any(" bell " in line for line in closed["excerpt"])


def test_logs_that_are_left_out_are_told(build):
    made = build()
    (made.workspace / "results/core.log").write_bytes(b"\0")
    collecting.close_good(made)
    collect(made, WORDS, SIGN)
    told = made.paths.events("master").read_text()
    assert "not collected: results/core.log: it is not text" in told


def test_this_hosts_own_names_are_cut_out(build, monkeypatch):
    monkeypatch.setattr(socket, "getfqdn", lambda: "yow9.example.net")
    made = build()
    (made.workspace / "results/build.log").write_text("on yow9.example.net in /home/joan/x\n")
    account = type("Account", (), {"pw_dir": "/home/joan"})
    monkeypatch.setattr(host_terms.pwd, "getpwall", lambda: [account])
    collecting.close_good(made)
    collect(made, Words([], []), SIGN)
    log = (made.tree / "outputs/logs/results/build.log").read_text()
    assert log == "on [redacted] in [redacted]/x\n"


@pytest.mark.parametrize("script", [None, "echo no permission >&2; exit 1"])
def test_a_host_whose_addresses_are_unknown_publishes_nothing(build, monkeypatch, tmp_path, script):
    made = build()
    collecting.close_good(made)
    tools = tmp_path / "no-tools"
    tools.mkdir()
    if script:
        (tools / "ip").write_text(f"#!/bin/sh\n{script}\n")
        (tools / "ip").chmod(0o755)
    monkeypatch.setenv("PATH", str(tools))
    with pytest.raises(StxMirrorError, match="install iproute2"):
        collect(made, WORDS, SIGN)
    assert not made.tree.exists()


def test_addresses_of_this_host_are_found(monkeypatch, tmp_path):
    tool = tmp_path / "ip"
    link = {"addr_info": [{"local": "192.0.2.7"}, {"local": "2001:db8::7"}, {}]}
    tool.write_text(f"#!/bin/sh\necho '{json.dumps([link, {}])}'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert {"192.0.2.7", "2001:db8::7"} <= set(host_terms.host_terms())


def test_a_full_disk_is_one_clear_error(build, tmp_path):
    made = build()
    made.paths.trees.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(made.paths.trees)],
        check=False,
        capture_output=True,
    )
    if mounted.returncode != 0:
        pytest.skip("this machine may not mount a tmpfs")
    try:
        collecting.close_good(made)
        (made.workspace / "results/build.log").write_bytes(b"x\n" * 100_000)
        with pytest.raises(PartFailed, match="No space left on device"):
            collect(made, WORDS, SIGN)
    finally:
        subprocess.run(["umount", str(made.paths.trees)], check=True)


def test_a_resumed_build_takes_what_its_parent_made(build, paths):
    made = build()
    record = made.record()
    record["stages"][0]["result"] = "skipped"
    made.save(record)
    collecting.close_good(made)
    assert collect(made, WORDS, SIGN).totals["outputs/RPMS/std"]["files"] == 1
    shutil.rmtree(made.workspace / "std")
    assert "outputs/RPMS/std" not in collect(made, WORDS, SIGN).totals


def test_check_mode_touches_nothing():
    """Not even a build that is not known is looked for."""
    arguments = {"id": "master/sample/20261101T020000Z", "sign": ["true"]}
    reply = call("collect_build", arguments, check=True)
    assert not reply["failed"]


def test_a_success_that_is_not_valid_is_not_signed(build):
    made = build()
    collecting.close_good(made)
    write_json(made.directory / "build.json", {**made.record(), "images": "x"})
    with pytest.raises(StxMirrorError, match="images"):
        collect(made, WORDS, SIGN)
    assert not sealing.is_sealed(made.tree)


def test_a_failure_whose_profile_was_refused_can_be_shown(build):
    """It has no stages, no logs of theirs and nothing to keep, but a reason."""
    made = build()
    (made.directory / "profile.json").unlink()
    session.close_failure(made, "profile sample has a stage collect: rename the stage")
    collect(made, WORDS, SIGN)
    assert sealing.is_sealed(made.tree)
    assert "rename the stage" in (made.tree / "build.json").read_text()
    # What says that it went well cannot do without.
    record = made.record()
    record["result"] = "success"
    made.save(record)
    with pytest.raises(StxMirrorError, match="profile"):
        collect(made, WORDS, SIGN)
