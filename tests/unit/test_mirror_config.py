"""The configuration and the program that reads it."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from stxmirror.errors import StxMirrorError
from stxmirror.mirror import cli, config, zipapp
from stxmirror.retention import Keep, Rule

RULE = {"stream": "master", "directory": "master/sample", "keep": {"days": 14}}
GOOD = {
    "store": "/srv/mirror",
    "prefix": "/mirror/starlingx/",
    "title": "A mirror",
    "rules": [RULE],
    "release_period_days": 182,
    "max_delete_share": 0.5,
    "upload_expiry_hours": 48,
    "reserve_bytes": 0,
}


def test_a_good_configuration_is_read(tmp_path: Path) -> None:
    path = tmp_path / "mirror.json"
    path.write_text(json.dumps(GOOD))
    loaded = config.load(path)
    assert loaded.public == Path("/srv/mirror/public")
    assert loaded.policy.rules == (Rule("master", "master/sample", Keep(days=14)),)
    # What a file of an earlier version does not say is the stricter of two.
    assert loaded.unsigned_streams == frozenset()
    assert loaded.uploads_per_key == 20


def test_what_it_says_of_uploads_counts(tmp_path: Path) -> None:
    path = tmp_path / "mirror.json"
    path.write_text(json.dumps({**GOOD, "unsigned_streams": ["master"], "uploads_per_key": 3}))
    loaded = config.load(path)
    assert loaded.unsigned_streams == {"master"}
    assert loaded.uploads_per_key == 3


@pytest.mark.parametrize(
    "change",
    [
        {"store": "srv"},
        {"store": None},
        {"title": 7},
        {"rules": {}},
        {"rules": [7]},
        {"rules": [{"stream": "master", "directory": "master/sample"}]},
        {"rules": [{**RULE, "keep": {"days": 0}}]},
        {"rules": [{**RULE, "keep": {"years": 1}}]},
        {"rules": [{**RULE, "legacy_alias": "../x"}]},
        {"rules": [{**RULE, "legacy_alias": "builds"}]},
        {"release_period_days": 0},
        {"release_period_days": True},
        {"max_delete_share": 0},
        {"max_delete_share": 1.5},
        {"upload_expiry_hours": -1},
        {"reserve_bytes": -1},
        {"uploads_per_key": 0},
        {"uploads_per_key": True},
        {"unsigned_streams": "master"},
        {"unsigned_streams": ["master", 7]},
        {"unsigned_streams": ["mastre"]},
    ],
)
def test_what_is_wrong_in_it_is_named(tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "mirror.json"
    path.write_text(json.dumps({**GOOD, **change}))
    with pytest.raises(StxMirrorError) as caught:
        config.load(path)
    message = str(caught.value)
    assert str(path) in message
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize("text", ["", "{", "[]", "null"])
def test_what_is_no_configuration_is_said(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mirror.json"
    path.write_text(text)
    with pytest.raises(StxMirrorError, match="JSON"):
        config.load(path)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "VERB"),
        (["publish"], "publish"),
        (["begin"], "ID"),
        (["begin", "master"], "not a build id"),
        (["hold", "master/sample/20260101T020000Z"], "--reason"),
        (["dispatch", "all"], "all"),
        (["--config", "/nowhere/mirror.json", "list"], "provision this host as a mirror"),
    ],
)
def test_a_wrong_call_gets_one_line(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert words in shown.err
    assert len(shown.err.splitlines()) == 1


def test_a_store_that_is_not_there_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mirror.json"
    path.write_text(json.dumps({**GOOD, "store": str(tmp_path / "store")}))
    assert cli.main(["--config", str(path), "list"]) == 2
    assert "provision this host as a mirror" in capsys.readouterr().err


def test_the_program_is_one_file_of_the_same_bytes(tmp_path: Path) -> None:
    """Whatever the sources' times and modes, and nothing of the controller in it."""
    out = tmp_path / "mirrorctl"
    subprocess.run(
        [os.sys.executable, "-m", "stxmirror.mirror.zipapp", out],
        check=True,
        cwd=Path(zipapp.__file__).parents[2],
        env={**os.environ, "TZ": "Asia/Tokyo", "PYTHONHASHSEED": "7"},
    )
    assert out.read_bytes() == zipapp.pack()
    names = zipfile.ZipFile(out).namelist()
    assert not [name for name in names if "controller" in name or "pycache" in name]
    done = subprocess.run(
        [out, "--version"], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.strip()


def test_the_program_holds_all_that_it_imports(tmp_path: Path) -> None:
    """Every module of it, run where the project is not."""
    out = tmp_path / "mirrorctl"
    out.write_bytes(zipapp.pack())
    modules = [
        name[: -len(".py")].replace("/", ".")
        for name in zipfile.ZipFile(out).namelist()
        if name.endswith(".py") and "__" not in name and "/assets/" not in name
    ]
    code = f"import sys; sys.path.insert(0, {str(out)!r}); import {', '.join(modules)}"
    code += "; from stxmirror.mirror import pages; pages._asset('style.css')"
    code += "; from stxmirror import schema; schema.load('build-1')"
    subprocess.run(["/usr/bin/python3", "-I", "-c", code], check=True, cwd=tmp_path)


def test_the_program_is_valid_for_the_oldest_python_of_a_mirror() -> None:
    for path in Path(zipapp.__file__).parent.rglob("*.py"):
        ast.parse(path.read_text(), feature_version=(3, 9))
