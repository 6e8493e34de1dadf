"""What is made of verdicts: text, Prometheus, mail; and the program as a whole."""

from __future__ import annotations

import ast
import json
import subprocess
import zipfile
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from stxmirror.times import parse_time
from stxmirror.watch import (
    cli,
    render,
    report,
    zipapp,
)
from stxmirror.watch.model import CRITICAL, OK, UNKNOWN, WARNING, Verdict
from stxmirror.watch.report import Mailed
from stxmirror.watch.settings import Settings

NOW = parse_time("2026-11-22T12:00:00Z").timestamp()

VERDICTS = [
    Verdict("disk", "/", OK, "10 %", value=10.0, unit="percent"),
    Verdict("streams", 'f/"odd"\\\n', CRITICAL, "it \x1b[2J failed\nTo: evil", ("log: /l",)),
    Verdict("mounts", "/x", OK, ""),
    Verdict("mounts", "/x", WARNING, ""),
]


def test_prometheus_can_read_it():
    families = list(text_string_to_metric_families(render.prometheus(VERDICTS, NOW)))
    samples = [sample for family in families for sample in family.samples]
    found = {(s.name, s.labels.get("check"), s.labels.get("subject")): s.value for s in samples}
    assert found["stx_watch_state", "disk", "/"] == OK
    assert found["stx_watch_state", "streams", 'f/"odd"\\\n'] == CRITICAL
    assert found["stx_watch_state", "mounts", "/x"] == WARNING
    assert found["stx_watch_value", "disk", "/"] == 10
    assert found["stx_watch_worst_state", None, None] == CRITICAL
    assert len(found) == len(samples), "no sample twice"
    assert {family.type for family in families} == {"gauge"}


def test_text_begins_with_the_worst_and_moves_no_cursor():
    lines = render.text(VERDICTS).splitlines()
    assert lines[0] == "CRITICAL: 2 ok, 1 warning, 1 critical"
    assert lines[1].startswith("critical  streams")
    assert lines[2] == "          log: /l"
    assert "\x1b" not in "".join(lines)
    assert "To: evil" not in lines


def test_mail_is_due_on_a_change_and_again_while_critical():
    critical = [Verdict("prune", "", CRITICAL, "late")]
    heard = Mailed({"prune": CRITICAL}, NOW)
    assert report.mail_due(critical, Mailed(), 24, NOW)
    assert not report.mail_due(critical, heard, 24, NOW + 23 * 3600)
    assert report.mail_due(critical, heard, 24, NOW + 24 * 3600)
    assert report.mail_due([], heard, 24, NOW)
    assert not report.mail_due([Verdict("prune", "", OK, "")], Mailed(), 24, NOW)
    warning = [Verdict("prune", "", WARNING, "late")]
    assert report.mail_due(warning, heard, 24, NOW)
    mailed = Mailed(report.states(warning), NOW)
    assert not report.mail_due(warning, mailed, 24, NOW + 99 * 3600)


def test_a_mail_s_head_is_ours_alone():
    mail = report.message(VERDICTS, Mailed({"swap": 1}), "build1\nBcc: x@y", "root")
    head, _, body = mail.partition("\n\n")
    assert [line.partition(":")[0] for line in head.splitlines()] == [
        "To",
        "Subject",
        "Auto-Submitted",
        "Content-Type",
        "Content-Transfer-Encoding",
    ]
    assert "Fine again: swap" in body
    assert "log: /l" in body


def test_a_mail_that_nobody_takes_is_not_taken_for_heard(tmp_path, monkeypatch):
    settings = Settings(
        checks={},
        prometheus_file=str(tmp_path / "x.prom"),
        memory=str(tmp_path / "mailed.json"),
        mail_to="root",
        mail_repeat_hours=24,
    )
    monkeypatch.setattr(cli, "SENDMAIL", "/bin/false")
    cli.deliver(settings, VERDICTS, NOW)
    assert not (tmp_path / "mailed.json").exists()
    monkeypatch.setattr(cli, "SENDMAIL", "/bin/true")
    cli.deliver(settings, VERDICTS, NOW)
    heard = Mailed.parse(json.loads((tmp_path / "mailed.json").read_text()))
    assert heard == Mailed(report.states(VERDICTS), NOW)
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_a_mail_system_that_hangs_is_not_waited_for(tmp_path, monkeypatch, capsys):
    sendmail = tmp_path / "sendmail"
    sendmail.write_text("#!/bin/sh\nsleep 600\n")
    sendmail.chmod(0o755)
    monkeypatch.setattr(cli, "SENDMAIL", str(sendmail))
    monkeypatch.setattr(cli, "MAIL_TIMEOUT", 0.2)
    assert not cli.send("To: root\n\n")
    assert "the mail was not sent" in capsys.readouterr().err


def test_no_settings_is_unknown(tmp_path, capsys):
    assert cli.main([], tmp_path / "watch.json") == UNKNOWN
    assert "playbooks/provision.yml" in capsys.readouterr().err


def test_the_program_is_whole_and_valid_for_the_oldest_python(tmp_path):
    out = tmp_path / "stx-watch"
    out.write_bytes(zipapp.pack())
    assert out.read_bytes() == zipapp.pack()
    names = zipfile.ZipFile(out).namelist()
    assert not [name for name in names if "controller" in name or "mirror/mirror" in name]
    modules = [n[:-3].replace("/", ".") for n in names if n.endswith(".py") and "__" not in n]
    code = f"import sys; sys.path.insert(0, {str(out)!r}); import {', '.join(modules)}"
    subprocess.run(["/usr/bin/python3", "-I", "-c", code], check=True, cwd=tmp_path)
    for path in Path(zipapp.__file__).parent.glob("*.py"):
        ast.parse(path.read_text(), feature_version=(3, 9))


def test_a_mail_about_a_failed_build_says_so_though_another_check_has_no_answer():
    verdicts = [
        Verdict("streams", "master", WARNING, "last build failed in packages: ..."),
        Verdict("prune", "", UNKNOWN, "it has not run yet"),
    ]
    mail = report.message(verdicts, Mailed(), "build7", "root")
    assert "Subject: [stx-watch] build7: warning (streams master, prune)" in mail.split("\n")
    told = Mailed({"streams master": WARNING, "prune": UNKNOWN}, 0)
    worse = [Verdict("streams", "master", CRITICAL, "again"), verdicts[1]]
    mail = report.message(worse, told, "build7", "root")
    assert "Subject: [stx-watch] build7: critical (streams master)" in mail.split("\n")
