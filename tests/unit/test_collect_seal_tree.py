"""seal_tree with a real OpenPGP key and the commands that a reader verifies with."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from module_call import call

HOST = "build7.example.org"


@pytest.fixture(scope="session")
def gpg(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
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
def arguments(tree: Path, gpg: list[str], good_record: dict) -> dict:
    return {
        "tree": str(tree),
        "record": good_record,
        "texts": {"outputs/CONTEXT": "", "outputs/success": "missing: container images\n"},
        "secret_terms": [HOST],
        "sign": [*gpg, "--armor", "--detach-sign", "--output", "-"],
    }


def seal(arguments: dict, **changes: object) -> dict:
    reply = call("seal_tree", {**arguments, **changes})
    assert not reply["failed"], reply["msg"]
    return reply


def test_a_reader_can_verify_the_tree(arguments, tree, gpg):
    assert seal(arguments)["files"] == 4
    subprocess.run(["sha256sum", "--strict", "-c", "SHA256SUMS"], cwd=tree, check=True)
    subprocess.run([*gpg, "--verify", "SHA256SUMS.asc", "SHA256SUMS"], cwd=tree, check=True)
    listed = [line.split("  ")[1] for line in (tree / "SHA256SUMS").read_text().splitlines()]
    assert listed == ["build.json", "outputs/CONTEXT", "outputs/logs/x.log", "outputs/success"]
    assert json.loads((tree / "build.json").read_text()) == arguments["record"]


def test_a_second_run_changes_nothing_and_does_not_sign_again(arguments, tree):
    seal(arguments)
    signature = (tree / "SHA256SUMS.asc").read_bytes()
    assert seal(arguments)["changed"] is False
    assert (tree / "SHA256SUMS.asc").read_bytes() == signature


def test_a_changed_file_is_listed_and_signed_anew(arguments, tree, gpg):
    seal(arguments)
    (tree / "outputs/logs/x.log").write_text("y")
    assert seal(arguments)["changed"] is True
    subprocess.run(["sha256sum", "--strict", "-c", "SHA256SUMS"], cwd=tree, check=True)
    subprocess.run([*gpg, "--verify", "SHA256SUMS.asc", "SHA256SUMS"], cwd=tree, check=True)


def test_free_texts_are_redacted_and_names_are_not(arguments, tree):
    record = arguments["record"]
    record["manifest"]["url"] = f"git://{HOST}/manifest.git"
    record["excerpt"] = [f"{HOST}: make failed"]
    record["stages"][0]["command"] = ["build-pkgs", f"--host={HOST}"]
    seal(arguments, secret_terms=[HOST, "master", "packages"])
    text = (tree / "build.json").read_text()
    assert HOST not in text
    written = json.loads(text)
    assert written["manifest"]["url"] == "git://[redacted]/manifest.git"
    assert (written["id"], written["ref"]) == (record["id"], "master")
    assert written["stages"][0]["name"] == "packages"


def test_redaction_never_makes_a_record_that_the_schema_refuses(arguments, tree):
    arguments["record"]["excerpt"] = ["ab1 " * 250]
    seal(arguments, secret_terms=["ab1"])
    (line,) = json.loads((tree / "build.json").read_text())["excerpt"]
    assert "ab1" not in line
    assert len(line) == 1000


def test_the_reason_of_a_failure_is_redacted(arguments, tree):
    seal(arguments, texts={"outputs/fail": f"no route to {HOST}\n"})
    assert (tree / "outputs/fail").read_text() == "no route to [redacted]\n"


@pytest.mark.parametrize("command", [["false"], ["echo", "no signature"]])
def test_no_signature_is_one_clear_error_and_leaves_none(arguments, tree, command):
    seal(arguments)
    (tree / "outputs/logs/x.log").write_text("y")
    reply = call("seal_tree", {**arguments, "sign": command})
    assert reply["failed"]
    assert "could not be signed" in reply["msg"]
    assert not (tree / "SHA256SUMS.asc").exists()
    assert seal(arguments)["changed"] is True
    assert (tree / "SHA256SUMS.asc").exists()


def test_check_mode_writes_nothing(arguments, tree):
    call("seal_tree", arguments, check=True)
    assert not (tree / "build.json").exists()
