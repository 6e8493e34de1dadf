"""Fingerprints of keys are those that gpg shows."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from stxmirror.mirror import openpgp, pages

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "pages"))
import sample_site as sample


@pytest.fixture(scope="module")
def keys() -> Iterator[list[tuple[str, str]]]:
    """Armoured keys and what gpg calls them: of two kinds, and one with a subkey."""
    with tempfile.TemporaryDirectory(prefix="gpg-", ignore_cleanup_errors=True) as home:
        gpg = ["gpg", "--homedir", home, "--batch", "--quiet", "--passphrase", ""]

        def run(*arguments: str) -> str:
            command = [*gpg, *arguments]
            return subprocess.run(command, check=True, capture_output=True, text=True).stdout

        made = []
        for number, kind in enumerate(["ed25519", "rsa3072", "default"]):
            name = f"k{number}@example.org"
            run("--quick-generate-key", name, kind, "default" if kind == "default" else "sign")
            listed = run("--with-colons", "--fingerprint", name).splitlines()
            first = next(line for line in listed if line.startswith("fpr"))
            made.append((run("--armor", "--export", name), first.split(":")[9]))
        yield made
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=True)


def test_they_are_what_gpg_says(keys: list[tuple[str, str]]) -> None:
    for armour, name in keys:
        (found,) = openpgp.fingerprints(armour)
        assert found.replace(" ", "") == name
        assert {len(group) for group in found.split()} == {4}


def test_of_two_keys_in_one_file_both_are_shown(keys: list[tuple[str, str]]) -> None:
    text = "the old one\n" + "\n".join(armour for armour, _ in keys[:2])
    found = [entry.replace(" ", "") for entry in openpgp.fingerprints(text.replace("\n", "\r\n"))]
    assert found == [name for _, name in keys[:2]]


def test_headers_of_an_armour_are_no_part_of_the_key(keys: list[tuple[str, str]]) -> None:
    armour, name = keys[0]
    first, rest = armour.split("\n", 1)
    (found,) = openpgp.fingerprints(f"{first}\nComment: of the site\n{rest}")
    assert found.replace(" ", "") == name


def test_what_is_no_key_has_none(keys: list[tuple[str, str]]) -> None:
    lines = keys[0][0].splitlines()
    cut = "\n".join([*lines[:3], lines[-1]])
    begin, end = lines[0], lines[-1]
    for text in ("", "a key\n", cut, f"{begin}\n\nAAAA\n{end}\n", f"{begin}\n\n%%%%\n{end}\n"):
        assert openpgp.fingerprints(text) == []


def test_gpgv_reads_the_keyring_of_several_keys(
    keys: list[tuple[str, str]], tmp_path: Path
) -> None:
    """What is no key among them harms none of the others."""
    begin, end = keys[0][0].splitlines()[0], keys[0][0].splitlines()[-1]
    text = f"the old one\n{keys[0][0]}{begin}\n\nAAAA\n{end}\n{keys[1][0]}"
    (tmp_path / "keys.gpg").write_bytes(openpgp.keyring(text))
    listed = subprocess.run(
        ["gpg", "--homedir", tmp_path, "--with-colons", "--show-keys", tmp_path / "keys.gpg"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    found = [line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr")]
    assert found == [name for _, name in keys[:2]]


def test_the_front_page_shows_what_to_recognize_the_key_by() -> None:
    name = "3D59 0090 6F46 7A7E 6B6E A621 33A5 9B6B 4A88 6504"
    made = pages.render(
        sample.known(sample.site()),
        sample.RULES,
        sample.LATEST,
        sample.SITE,
        sample.NOW,
        fingerprints=[name],
    )
    words = re.sub(r"<[^>]*>", "", made["index.html"].decode())
    assert f"Fingerprint of the key {name}" in words
    assert "that you have from somewhere else" in words
    assert json.loads(made["builds.json"])["signing_key_fingerprints"] == [name.replace(" ", "")]


def test_a_mirror_without_a_key_promises_none() -> None:
    made = sample.render()
    assert b"Fingerprint" not in made["index.html"]
    assert json.loads(made["builds.json"])["signing_key_fingerprints"] == []
