"""``stx-mirror`` on a machine that builds nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from stxmirror.controller import cli, client

PROJECT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("checkout", [True, False])
def test_off_a_build_host_it_says_what_it_is_and_where_the_playbooks_are(
    checkout, paths, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(client, "ORCHESTRATOR", "no-account-of-this-name")
    monkeypatch.setattr(client, "project_directory", lambda: PROJECT if checkout else tmp_path)
    assert cli.main(["status"], paths) == 2
    message = capsys.readouterr().err
    assert message.startswith("stx-mirror: this command starts builds on a build host, and this")
    where = f"run playbooks/provision.yml in {PROJECT}" if checkout else "get the project's sources"
    assert where in message
    assert message.count("\n") == 1
