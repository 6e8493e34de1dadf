"""``stx-mirror``: its command line and its requests."""

from __future__ import annotations

import json
import os
import subprocess

import pytest
import yaml
from build_host import ID, record
from remotes import git

from stxmirror.controller import cli, client
from stxmirror.controller.inventory import load_streams, stage_names
from stxmirror.errors import StxMirrorError
from stxmirror.state.files import write_json


@pytest.fixture
def host(paths, tmp_path, monkeypatch):
    """Programs of a build host, by what they do; and nobody else to become."""
    directory = tmp_path / "bin"
    directory.mkdir()

    def program(name: str, script: str) -> None:
        file = directory / name
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)

    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    monkeypatch.setattr(client, "become_orchestrator", lambda: None)
    monkeypatch.setattr(client, "POLL_SECONDS", 0.01)
    program("systemctl", f"[ ! -e {tmp_path}/runs ] && echo inactive || echo active")
    # sudo -n build-unit start DIRECTORY LIMIT
    program("sudo", f'printf "%s\\n" "$*" > {tmp_path}/called; cat > {tmp_path}/request')
    # A manifest's repository that has every branch; test_remotes asks real ones.
    program("git", "exit 0")
    return program


def run(paths, *words, capsys=None):
    """Return exit code, output and errors of a command line."""
    try:
        code = cli.main(list(words), paths)
    except SystemExit as end:
        code = end.code
    output, errors = capsys.readouterr()
    return code, output, errors


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["build", "nosuch"], "no stream builds 'nosuch'"),
        (["build", "f/../../x"], "can be built"),
        (["build", "r/$(id)"], "can be built"),
        (["build", ""], "no branch or tag was given"),
        (["build", "--", "-x"], "can be built"),
        (["build"], "name the branch or tag"),
        (["build", "r/1.0"], "retired"),
        (["build", "master", "--trigger", "moon"], "moon"),
        (["build", "master", "--from", "iso"], "--resume and --from go together"),
        (["build", "master", "--reason", "{{ lookup('pipe', 'id') }}"], "in plain words"),
        (["build", "master", "--reason", "two\nlines"], "one line"),
        (["build", "--resume", ID, "--from", "iso"], "no record of"),
        (["build", "--resume", "nonsense", "--from", "iso"], "not a build id"),
        (["publish", ID], "no record of"),
        (["status", "nosuch"], "no stream"),
        (["follow", "nosuch"], "no stream"),
        (["stop", "nosuch"], "no stream"),
        (["frobnicate"], "frobnicate"),
        ([], "VERB"),
    ],
)
@pytest.mark.usefixtures("host")
def test_bad_input_is_one_clear_line_and_starts_nothing(paths, tmp_path, capsys, words, says):
    code, output, errors = run(paths, *words, capsys=capsys)
    assert code == 2
    assert output == ""
    assert len(errors.strip().splitlines()) == 1
    assert says in errors
    assert not (tmp_path / "called").exists()


@pytest.mark.parametrize("text", ["streams: [", "streams: 3", "other: 1", "\xff"])
@pytest.mark.usefixtures("host")
def test_a_broken_inventory_is_named(paths, capsys, text):
    file = paths.inventory / "group_vars" / "all" / "streams.yml"
    file.write_bytes(text.encode("latin-1"))
    code, _, errors = run(paths, "build", "master", capsys=capsys)
    assert code == 2
    assert len(errors.strip().splitlines()) == 1


def test_a_vault_beside_the_streams_does_no_harm(paths):
    file = paths.inventory / "group_vars" / "all" / "a.yml"
    file.write_text("secret: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  3136\n")
    assert [stream.name for stream in load_streams(paths)] == ["master", "feature", "old"]


@pytest.fixture
def ends(paths, tmp_path, host):
    """Let a run end with some verdict as soon as it is started, as its unit would."""

    def end(**attempt):
        full = {
            "id": ID,
            "parent": None,
            "reason": "on request",
            "trigger": "person",
            "started": "2026-11-01T02:00:00Z",
            "finished": "2026-11-01T02:10:00Z",
            "result": "success",
            "failed_stage": None,
            "why": "",
            "missing": [],
            "published": True,
            "unpublished_why": "",
            **attempt,
        }
        (tmp_path / "attempt").write_text(json.dumps(full))
        script = f"""
printf "%s\\n" "$*" > {tmp_path}/called
cat > {tmp_path}/request
python3 - <<'E'
import json, pathlib
tmp, state = pathlib.Path("{tmp_path}"), pathlib.Path("{paths.state}")
request = json.loads((tmp / "request").read_text())
attempt = {{**json.loads((tmp / "attempt").read_text()), "request": request["token"]}}
project = request["ref"].replace("/", "-")
status = state / "status" / f"{{project}}.json"
status.parent.mkdir(parents=True)
status.write_text(json.dumps({{"last_attempt": attempt, "last_success": None}}))
console = state / "runner" / project / "console" / f"{{request['token']}}.log"
console.parent.mkdir(parents=True)
console.write_text("what the run said\\n")
E
"""
        host("sudo", script)
        return tmp_path

    return end


@pytest.mark.parametrize(
    ("attempt", "code"),
    [
        ({}, 0),
        ({"result": "nothing-new", "published": False, "id": None}, 0),
        ({"published": False, "unpublished_why": "no key"}, 1),
        ({"result": "fail"}, 1),
    ],
)
def test_the_exit_code_is_the_builds_verdict(paths, ends, capsys, attempt, code):
    tmp_path = ends(**attempt)
    got, output, _ = run(paths, "build", "master", "--reason", "a $HOME test", capsys=capsys)
    assert got == code
    assert "what the run said\n" in output
    request = json.loads((tmp_path / "request").read_text())
    assert request["reason"] == "a $HOME test"
    assert request["trigger"] == "person"
    assert (tmp_path / "called").read_text() == f"-n {paths.build_unit} start master/sample 21600\n"


def test_a_patterns_stream_is_started_in_its_own_directory(paths, ends, capsys):
    tmp_path = ends()
    assert run(paths, "build", "f/x", "--force", capsys=capsys)[0] == 0
    assert (
        tmp_path / "called"
    ).read_text() == f"-n {paths.build_unit} start feature/x/sample 600\n"
    assert json.loads((tmp_path / "request").read_text())["force"] is True


def test_cron_hears_of_failures_only(paths, ends, capsys):
    """Cron mails whatever a job prints."""
    ends()
    assert run(paths, "build", "master", "--trigger", "cron", capsys=capsys) == (0, "", "")


def test_cron_hears_all_about_a_failure(paths, ends, capsys):
    ends(result="fail")
    code, output, _ = run(paths, "build", "master", "--trigger", "cron", capsys=capsys)
    assert (code, output) == (1, "what the run said\n")


def test_a_second_build_is_refused_with_what_the_first_one_does(paths, host, capsys):
    host("sudo", "cat >/dev/null; echo is running >&2; exit 75")
    write_json(
        paths.running("master"),
        {
            "started": "2026-11-01T02:00:00Z",
            "part": "packages",
            "part_started": "2026-11-01T02:03:00Z",
        },
    )
    code, output, errors = run(paths, "build", "master", capsys=capsys)
    assert (code, output) == (75, "")
    assert len(errors.splitlines()) == 1
    for words in ("02:00:00Z", "packages", "02:03:00Z", "follow master", "stop master"):
        assert words in errors


def test_a_unit_that_ends_without_a_verdict_is_a_failure(paths, host, capsys):
    host("sudo", "cat >/dev/null")
    code, _, errors = run(paths, "build", "master", capsys=capsys)
    assert code == 1
    assert "journalctl" in errors


def test_ctrl_c_leaves_the_build_running(paths, host, capsys, monkeypatch):
    host("sudo", "cat >/dev/null")

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(client, "follow", interrupt)
    code, output, _ = run(paths, "build", "master", capsys=capsys)
    assert code == 130
    assert "goes on without you" in output


@pytest.mark.usefixtures("host")
def test_following_shows_what_comes_until_the_unit_is_gone(paths, tmp_path, capsys):
    (tmp_path / "runs").touch()
    token = "20261101T020000Z-0a1b2c"  # noqa: S105 - the name of a run
    write_json(paths.running("master"), {"request": token})
    console = paths.console("master", token)
    console.parent.mkdir(parents=True)
    console.write_text("first\n")
    later = subprocess.Popen(["sh", "-c", f"sleep 0.3; echo last >> {console}; rm {tmp_path}/runs"])
    code, output, _ = run(paths, "follow", "master", capsys=capsys)
    later.wait()
    assert (code, output) == (0, "first\nlast\n")


def test_a_branch_that_does_not_exist_starts_nothing(paths, tmp_path, host, capsys):
    """Cron's may be between two lives, and is for the build to report."""
    host("git", "exit 2")
    code, output, errors = run(paths, "build", "f/nonesuch", capsys=capsys)
    assert (code, output) == (2, "")
    assert "no branch or tag 'f/nonesuch'" in errors
    assert not (tmp_path / "called").exists()
    assert not paths.state.exists()
    run(paths, "build", "master", "--trigger", "cron", capsys=capsys)
    assert (tmp_path / "called").exists()


def test_a_real_repository_is_asked_before_anything_is_opened(
    paths, tmp_path, ends, make_stream, capsys
):
    (tmp_path / "bin" / "git").unlink()
    bare, work = tmp_path / "manifest.git", tmp_path / "work"
    git(tmp_path, "init", "-q", "--bare", str(bare))
    git(tmp_path, "init", "-q", "-b", "f/x", str(work))
    git(work, "commit", "-q", "--allow-empty", "-m", "x")
    git(work, "push", "-q", str(bare), "f/x")
    entry = make_stream(match="f/*", manifest={"url": f"file://{bare}", "file": "default.xml"})
    file = paths.inventory / "group_vars" / "all" / "streams.yml"
    file.write_text(yaml.safe_dump({"streams": [entry]}))
    ends()
    code, _, errors = run(paths, "build", "f/nonesuch", capsys=capsys)
    assert code == 2
    assert f"file://{bare} has no branch or tag 'f/nonesuch'" in errors
    assert not (tmp_path / "called").exists()
    assert run(paths, "build", "f/x", capsys=capsys)[0] == 0


def test_a_server_that_does_not_answer_is_for_the_build_to_report(paths, host, ends, capsys):
    host("git", "exit 128")
    ends()
    assert run(paths, "build", "f/x", capsys=capsys)[0] == 0


@pytest.mark.usefixtures("host")
def test_resuming_names_what_can_be_resumed(paths, good_record, capsys, monkeypatch):
    record(paths, good_record)
    monkeypatch.setattr(cli, "stage_names", lambda profile: ["packages", "iso"])
    code, _, errors = run(paths, "build", "--resume", ID, "--from", "nosuch", capsys=capsys)
    assert code == 2
    assert "packages, iso, sanity" in errors
    code, _, errors = run(paths, "build", "--resume", ID, capsys=capsys)
    assert code == 2
    assert "packages failed" in errors
    code, _, errors = run(paths, "build", "f/x", "--resume", ID, "--from", "iso", capsys=capsys)
    assert code == 2
    assert "a build of master" in errors


def test_resuming_asks_for_the_parents_ref(paths, ends, good_record, capsys, monkeypatch):
    record(paths, good_record)
    monkeypatch.setattr(cli, "stage_names", lambda profile: ["packages", "iso"])
    tmp_path = ends()
    assert run(paths, "build", "--resume", ID, "--from", "iso", capsys=capsys)[0] == 0
    request = json.loads((tmp_path / "request").read_text())
    assert (request["ref"], request["resume_id"], request["from_stage"]) == ("master", ID, "iso")


def test_publishing_again_succeeds_with_a_failed_build(paths, ends, good_record, capsys):
    record(paths, good_record)
    tmp_path = ends(result="fail", published=True)
    assert run(paths, "publish", ID, capsys=capsys)[0] == 0
    request = json.loads((tmp_path / "request").read_text())
    assert (request["verb"], request["build_id"]) == ("publish", ID)


def test_the_profiles_of_this_project_name_their_stages():
    assert "packages" in stage_names("sample")
    with pytest.raises(StxMirrorError, match=r"nosuch\.yml"):
        stage_names("nosuch")
