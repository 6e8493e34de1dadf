"""A tree is closed with a real OpenPGP key and the commands that a reader verifies with."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from stxmirror import records
from stxmirror.builder import sealing
from stxmirror.builder.secret_terms import Terms
from stxmirror.errors import StxMirrorError

HOST = "build7.example.org"


@pytest.fixture(scope="session")
def gpg(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """gpg with a key of its own; the path is short because of gpg-agent's socket."""
    home = tmp_path_factory.mktemp("g")
    home.chmod(0o700)
    command = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--passphrase", ""]
    subprocess.run([*command, "--quick-generate-key", "T <t@example.org>", "ed25519"], check=True)
    yield command
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "outputs/logs").mkdir(parents=True)
    (tmp_path / "outputs/logs/x.log").write_text("x")
    return tmp_path


@pytest.fixture
def seal(tree: Path, gpg: list[str]):
    """Seal the tree with a record; keywords change how."""

    def seal(record: dict, **changes: object) -> dict:
        logs = {"outputs/logs/x.log": (tree / "outputs/logs/x.log").read_bytes()}
        settings = {
            "context": "",
            "digests": {path: hashlib.sha256(text).hexdigest() for path, text in logs.items()},
            "terms": Terms([HOST]),
            "sign": [*gpg, "--armor", "--detach-sign", "--output", "-"],
            **changes,
        }
        sealing.seal(tree, record, **settings)
        return json.loads((tree / "build.json").read_text())

    return seal


def verify(tree: Path, gpg: list[str]) -> None:
    subprocess.run(["sha256sum", "--strict", "-c", "SHA256SUMS"], cwd=tree, check=True)
    subprocess.run([*gpg, "--verify", "SHA256SUMS.asc", "SHA256SUMS"], cwd=tree, check=True)


def test_a_reader_can_verify_the_tree(seal, good_record, tree, gpg):
    assert seal(good_record) == good_record
    verify(tree, gpg)
    listed = [line.split("  ")[1] for line in (tree / "SHA256SUMS").read_text().splitlines()]
    assert listed == ["build.json", "outputs/CONTEXT", "outputs/logs/x.log", "outputs/success"]
    assert (tree / "outputs/success").read_text() == "missing: container images\n"
    assert sealing.is_sealed(tree)
    assert {*listed, "SHA256SUMS", "SHA256SUMS.asc"} == {
        *sealing.kept_names(good_record),
        "outputs/logs/x.log",
    }


def test_a_changed_file_is_listed_and_signed_anew(seal, good_record, tree, gpg):
    seal(good_record)
    (tree / "outputs/logs/x.log").write_text("y")
    seal(good_record)
    verify(tree, gpg)


def test_everybody_may_read_what_is_sealed(seal, good_record, tree):
    seal(good_record)
    for path in sealing.kept_names(good_record):
        assert (tree / path).stat().st_mode & 0o777 == 0o644


def test_a_build_without_sources_has_no_context(seal, good_record, tree, gpg):
    seal(good_record, context=None)
    assert not (tree / "outputs/CONTEXT").exists()
    verify(tree, gpg)


def test_free_texts_are_redacted_and_names_are_not(seal, good_record):
    good_record["manifest"]["url"] = f"git://{HOST}/manifest.git"
    good_record["excerpt"] = [f"{HOST}: make failed"]
    good_record["missing"] = [f"what {HOST} makes"]
    good_record["reason"] = f"asked on {HOST}"
    good_record["stages"][0]["command"] = ["build-pkgs", f"--host={HOST}"]
    good_record["sanity"] = {
        "boot": {"result": "failed", "seconds": 1, "detail": f"{HOST.upper()} login:"}
    }
    good_record["changes"][0]["commits"][0]["subject"] = f"Move off {HOST}"
    written = seal(good_record, terms=Terms([HOST, "master", "packages", "failed", "boot"]))
    assert HOST not in json.dumps(written).lower()
    assert written["manifest"]["url"] == "git://[redacted]/manifest.git"
    assert written["sanity"]["boot"]["detail"] == "[redacted] login:"
    assert written["sanity"]["boot"]["result"] == "failed"
    assert written["changes"][0]["commits"][0]["subject"] == "Move off [redacted]"
    assert (written["id"], written["ref"]) == (good_record["id"], "master")
    assert written["stages"][0]["name"] == "packages"
    assert records.check(written)


def test_redaction_never_makes_a_record_that_the_schema_refuses(seal, good_record):
    good_record["excerpt"] = ["ab1 " * 250]
    written = seal(good_record, terms=Terms(["ab1"]))
    (line,) = written["excerpt"]
    assert "ab1" not in line
    assert len(line) == 1000
    assert records.check(written)


def test_the_reason_of_a_failure_is_redacted(seal, good_record, tree):
    failed = {**good_record, "result": "fail", "failed_stage": "packages", "missing": []}
    seal({**failed, "excerpt": [f"no route to {HOST}"]})
    assert (tree / "outputs/fail").read_text() == "packages failed:\nno route to [redacted]\n"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["false"], "ended with 1"),
        (["echo", "no signature"], "no armoured signature"),
        (["sh", "-c", "echo no key >&2; exit 2"], "no key"),
    ],
)
def test_no_signature_is_one_clear_error_and_leaves_none(seal, good_record, tree, command, words):
    seal(good_record)
    with pytest.raises(StxMirrorError, match="could not be signed") as failure:
        seal(good_record, sign=command)
    assert words in str(failure.value)
    assert not sealing.is_sealed(tree)
    seal(good_record)
    assert sealing.is_sealed(tree)


ARMOUR = "-----BEGIN PGP SIGNATURE-----"


def test_a_tree_that_is_empty_gets_its_directories_and_everybody_may_read_it(tmp_path, good_record):
    place = tmp_path / "a" / "b"
    before = os.umask(0o077)
    try:
        sealing.seal(
            place, good_record, context="", digests={}, terms=Terms([]), sign=["echo", ARMOUR]
        )
    finally:
        os.umask(before)
    text = (place / "build.json").read_text()
    assert text == json.dumps(good_record, indent=2, sort_keys=True) + "\n"
    for name in sealing.kept_names(good_record):
        assert (place / name).stat().st_mode & 0o777 == 0o644


def test_a_signature_of_a_command_that_failed_is_none(tree, good_record):
    sign = ["sh", "-c", f"echo '{ARMOUR}'; exit 3"]
    with pytest.raises(StxMirrorError, match="ended with 3"):
        sealing.seal(tree, good_record, context=None, digests={}, terms=Terms([]), sign=sign)
    assert not sealing.is_sealed(tree)


def test_a_long_text_does_not_grow_past_its_bound_and_a_short_one_may():
    terms = Terms(["yow7"])
    short, long = (f"yow7 {'x' * (length - 5)}" for length in (99, 100))
    found = sealing.redacted({"reason": short, "detail": long, "excerpt": ["yow7"]}, terms)
    assert found["reason"] == f"[redacted] {'x' * 94}"
    assert found["detail"] == f"[redacted] {'x' * 89}"
    assert found["excerpt"] == ["[redacted]"]


def test_what_is_no_free_text_stays_as_it_is():
    assert sealing.redacted({"detail": 5, "reason": None, "id": "yow7"}, Terms(["yow7"])) == {
        **{"detail": 5, "reason": None, "id": "yow7"}
    }
    assert sealing.redacted("yow7", Terms(["yow7"])) == "yow7"
