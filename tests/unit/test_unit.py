"""What runs inside a stream's unit, with the real ansible-runner and small playbooks."""

from __future__ import annotations

import json
from datetime import datetime, timezone

import pytest

from stxmirror import schema
from stxmirror.controller import unit
from stxmirror.controller.request import Request
from stxmirror.state.builds import read_record
from stxmirror.state.events import Reporter
from stxmirror.state.files import read_json, write_json
from stxmirror.times import parse_time

NOW = datetime(2026, 11, 1, 2, 0, 0, tzinfo=timezone.utc)
ID = "master/sample/20261101T020000Z"

REPORTS = """
    - name: Report
      ansible.builtin.copy:
        content: >-
          {{ {'schema': 1, 'ref': 'master', 'last_success': none, 'last_attempt':
          {'request': request, 'id': none, 'parent': none,
          'reason': reason, 'trigger': trigger, 'started': request_started,
          'finished': request_started,
          'result': 'success', 'failed_stage': none, 'why': '', 'missing': [], 'published': true,
          'unpublished_why': ''}} | to_json }}
        dest: STATE/status/master.json
        mode: "0644"
"""
FAILS = """
    - name: Break
      ansible.builtin.fail:
        msg: "{{ reason }} is no reason"
"""


@pytest.fixture
def paths(paths):
    (paths.inventory / "hosts.yml").write_text(
        "build_hosts: {hosts: {localhost: {ansible_connection: local,"
        " ansible_python_interpreter: '{{ ansible_playbook_python }}'}}}\n"
    )
    (paths.state / "status").mkdir(parents=True)
    return paths


@pytest.fixture
def play(paths, tmp_path, monkeypatch, capsys):
    """Run a request whose playbook has these tasks; return exit code and output."""

    def run(tasks: str, **changes):
        project = tmp_path / "project"
        (project / "playbooks").mkdir(parents=True, exist_ok=True)
        (project / "ansible.cfg").write_text("[defaults]\n")
        book = "- name: Build\n  hosts: build_hosts\n  gather_facts: false\n  tasks:\n" + tasks
        (project / "playbooks" / "build.yml").write_text(book.replace("STATE", str(paths.state)))
        monkeypatch.setattr(unit, "project_directory", lambda: project)
        request = Request.make(
            NOW, **{"verb": "build", "ref": "master", "reason": "a $HOME reason", **changes}
        )
        code = unit.Run(paths, request).execute()
        return code, capsys.readouterr().out

    return run


def status(paths):
    """The status file, which is what its schema says whoever's run it is."""
    content = json.loads(paths.status("master").read_text())
    assert schema.findings(content, "status-1") == []
    return content


def test_a_run_that_reports_itself_is_believed(paths, play):
    code, output = play(REPORTS)
    assert code == 0, output
    assert status(paths)["last_attempt"]["reason"] == "a $HOME reason"
    assert output.splitlines()[-1].startswith("SUCCESS")
    assert not paths.running("master").exists()
    assert paths.timings("master").exists()


def test_the_variables_of_one_run_do_not_reach_the_next(paths, play):
    """ansible-runner would keep those of the first in a file, and let them win for ever."""
    play(REPORTS)
    code, _ = play(REPORTS, reason="another")
    assert code == 0
    assert status(paths)["last_attempt"]["reason"] == "another"


def test_what_runs_is_shown_with_its_own_beginning(paths):
    """Also when it is announced again, because the build's id became known."""
    request = Request.make(NOW, verb="build", ref="master", reason="x")
    run = unit.Run(paths, request)
    run.progress.began -= 100
    reporter = Reporter.of(paths, "master")
    reporter.begin("open")
    run.look()
    run.progress.part_began -= 50
    reporter.build(ID)
    run.look()
    running = read_json(paths.running("master"))
    assert (running["id"], running["part"]) == (ID, "open")
    age = datetime.now(timezone.utc) - parse_time(running["part_started"])
    assert 49 <= age.total_seconds() <= 80


def test_what_an_earlier_run_reported_is_over(paths):
    Reporter.of(paths, "master").begin("packages")
    run = unit.Run(paths, Request.make(NOW, verb="build", ref="master", reason="x"))
    run.look()
    assert run.progress.part is None


def test_half_a_line_in_what_is_reported_stops_nobody_from_watching(paths, capsys):
    run = unit.Run(paths, Request.make(NOW, verb="build", ref="master", reason="x"))
    reporter = Reporter.of(paths, "master")
    reporter.begin("open")
    with paths.events("master").open("ab") as events:
        events.write(b'{"event": "no')
    reporter.end("open")
    reporter.begin("sync")
    run.look()
    assert run.progress.part == "sync"
    assert "sync" in capsys.readouterr().out


def test_what_the_runner_keeps_is_nobody_elses_business(paths, play):
    """Results of tasks may hold a secret."""
    play(REPORTS)
    for entry in paths.runner("master").glob("artifacts/*"):
        assert entry.stat().st_mode & 0o077 == 0


def test_a_playbook_that_breaks_before_its_report_gets_a_verdict(paths, play, good_record):
    left = {**good_record, "id": ID, "finished": None, "result": "fail"}
    write_json(paths.record(ID), left)
    code, output = play(FAILS)
    assert code == 1
    attempt = status(paths)["last_attempt"]
    assert (attempt["result"], attempt["why"]) == ("fail", "a $HOME reason is no reason")
    assert "FAILED" in output
    assert "a $HOME reason is no reason" in output
    assert not paths.timings("master").exists()
    assert read_record(paths, ID)["finished"] is not None


def test_a_playbook_that_cannot_be_read_says_where_to_look(paths, play):
    code, output = play("    - nonsense: [\n")
    assert code == 1
    assert "artifacts/" in status(paths)["last_attempt"]["why"]
    assert "artifacts/" in output


def begin(paths, good_record):
    """Leave what a run leaves that is killed in its stage iso."""
    request = Request.make(NOW, verb="build", ref="master", reason="x")
    left = {**good_record, "id": ID, "finished": None, "result": "fail", "failed_stage": None}
    write_json(paths.record(ID), left)
    write_json(
        paths.running("master"),
        {"request": request.token, "directory": "master/sample", "id": ID, "part": "iso"},
    )
    return request


@pytest.mark.parametrize(
    ("result", "words"),
    [
        ("signal", "its controller was killed"),
        ("timeout", "time limit"),
        ("success", "was stopped"),
        ("oom-kill", "out of memory"),
        ("strange", "'strange'"),
    ],
)
def test_a_run_that_was_killed_gets_a_verdict(paths, good_record, capsys, result, words):
    request = begin(paths, good_record)
    assert unit.stopped(paths, request, result) == 0
    attempt = status(paths)["last_attempt"]
    assert attempt["request"] == request.token
    assert (attempt["failed_stage"], attempt["parent"]) == ("iso", None)
    assert words in attempt["why"]
    record = read_record(paths, ID)
    assert (record["result"], record["failed_stage"]) == ("fail", "iso")
    assert words in record["excerpt"][-1]
    assert f"--resume {ID} --from iso" in capsys.readouterr().out
    assert not paths.running("master").exists()


def test_a_run_that_has_its_verdict_keeps_it(paths, good_record):
    begin(paths, good_record)
    another = Request.make(NOW, verb="build", ref="master", reason="x")
    assert unit.stopped(paths, another, "signal") == 0
    assert not paths.status("master").exists()
    assert read_record(paths, ID)["finished"] is None


def test_a_host_that_lost_power_closes_what_was_left_at_the_next_build(paths, play, good_record):
    begin(paths, good_record)
    code, output = play(REPORTS)
    assert code == 0
    assert f"build {ID} of an earlier run had no verdict" in output
    assert read_record(paths, ID)["failed_stage"] == "iso"


def test_a_publication_that_was_stopped_says_of_which_build(paths, good_record, capsys):
    """The mirror may have made it visible in that very moment."""
    write_json(paths.record(ID), {**good_record, "id": ID})
    request = Request.make(NOW, verb="publish", ref="master", reason="x", build_id=ID)
    run = unit.Run(paths, request)
    Reporter.of(paths, "master").begin("publish")
    run.look()
    assert unit.stopped(paths, request, "success") == 0
    attempt = status(paths)["last_attempt"]
    assert attempt["id"] == ID
    assert "publish it again to be sure" in attempt["unpublished_why"]
    assert f"stx-mirror publish {ID}" in capsys.readouterr().out
    assert read_record(paths, ID)["result"] == "success"


def test_a_stopped_run_that_resumed_a_build_names_it(paths, good_record):
    begin(paths, good_record)
    token = read_json(paths.running("master"))["request"]
    started = "2026-11-01T02:00:00Z"
    request = Request(token, started, "build", "master", "x", resume_id=ID, from_stage="packages")
    unit.stopped(paths, request, "signal")
    assert status(paths)["last_attempt"]["parent"] == ID


def test_a_module_that_was_killed_has_failed_in_its_part(paths, play, tmp_path):
    """Nobody says so for it, and the report that comes after it is another part."""
    events = paths.events("master")
    tasks = """
    - name: Begin
      ansible.builtin.copy:
        content: "{\\"event\\": \\"begin\\", \\"part\\": \\"sync\\"}\\n"
        dest: EVENTS
        mode: "0640"
""".replace("EVENTS", str(events))
    _, output = play(tasks + REPORTS)
    assert "sync         failed" in output
