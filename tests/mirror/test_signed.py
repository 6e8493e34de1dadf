"""Signed or not at all: what the mirror makes of the signature before anything is visible."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import backdated
import pytest
from mirrors import Mirror, refusal, sha256sum

from stxmirror.errors import StxMirrorError
from stxmirror.layout import BuildId
from stxmirror.mirror import signature
from stxmirror.mirror.config import load

ONE = "master/sample/20260101T020000Z"
TWO = "master/sample/20260102T020000Z"


class Signer:
    """A keyring with keys of several kinds, and the commands that sign with each."""

    def __init__(self, home: str) -> None:
        self.gpg = ["gpg", "--homedir", home, "--batch", "--quiet", "--passphrase", ""]
        self.long_ago = ["--faked-system-time", "20250101T000000"]
        for name in ("first", "second", "stranger"):
            self._run("--quick-generate-key", name, "ed25519", "sign", "never")
        self._run(*self.long_ago, "--quick-generate-key", "expired", "ed25519", "sign", "30d")

    def _run(self, *arguments: str) -> bytes:
        return subprocess.run([*self.gpg, *arguments], check=True, capture_output=True).stdout

    def public(self, *names: str) -> str:
        """The armoured public keys, one block a key."""
        return "".join(self._run("--armor", "--export", name).decode() for name in names)

    def command(self, *names: str, how: str = "--detach-sign") -> list[str]:
        """The command that signs its standard input with these keys."""
        old = self.long_ago if names == ("expired",) else []
        users = [word for name in names for word in ("--local-user", name)]
        return [*self.gpg, *old, *users, "--armor", how]


@pytest.fixture
def strict(local: Mirror, signer: Signer) -> Mirror:
    """A mirror that takes what the first key signed, and unsigned builds of old releases."""
    local.configure(unsigned_streams=["release-old-sample"])
    offer(local, signer.public("first"))
    return local


def offer(mirror: Mirror, keys: str) -> None:
    """Give the mirror its keys, as its admin does."""
    (mirror.public / "assets").mkdir(exist_ok=True)
    (mirror.public / "assets/signing-key.asc").write_text(keys)


def signed(mirror: Mirror, build_id: str, command: list[str], result: str = "success") -> Path:
    directory = mirror.make(build_id, result)
    backdated.sign(directory, command)
    return directory


def page(mirror: Mirror) -> dict[str, Any]:
    """What builds.json says of each build."""
    content = json.loads((mirror.public / "builds.json").read_text())
    return {build["id"]: build for build in content["builds"]}


def test_what_the_mirrors_key_signed_becomes_visible(strict: Mirror, signer: Signer) -> None:
    for build, result in ((ONE, "success"), (TWO, "fail")):
        directory = signed(strict, build, signer.command("first"), result)
        backdated.publish(strict.transport, directory, build)
        sha256sum(strict.public / build)
    assert strict.alias("master/sample") == "20260101T020000Z"
    assert page(strict)[ONE]["signature"] == f"{ONE}/SHA256SUMS.asc"
    assert strict.leftovers() == []


@pytest.mark.parametrize("result", ["success", "fail"])
def test_an_unsigned_build_is_refused_before_anything_is_sent(strict: Mirror, result: str) -> None:
    message, code = refusal(strict.begin, strict.make(ONE, result), ONE)
    assert "is not signed, it has no SHA256SUMS.asc" in message
    assert "mirror_host_unsigned_streams" in message
    assert code == 2
    assert strict.leftovers() == []


def _other_list(directory: Path, signer: Signer) -> None:
    backdated.sign(directory, signer.command("first"))
    (directory / "outputs/logs/more.log").write_text("more")
    kept = (directory / "SHA256SUMS.asc").read_bytes()
    (directory / "SHA256SUMS.asc").unlink()
    backdated.write_files(directory, {})
    (directory / "SHA256SUMS.asc").write_bytes(kept)


def _by(*names: str, how: str = "--detach-sign") -> Callable[[Path, Signer], None]:
    return lambda directory, signer: backdated.sign(directory, signer.command(*names, how=how))


def _text(text: str) -> Callable[[Path, Signer], None]:
    def write(directory: Path, signer: Signer) -> None:
        (directory / "SHA256SUMS.asc").write_text(text)

    return write


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (_other_list, "its signature does not fit it"),
        (_by("stranger"), "it is signed by the key"),
        (_by("expired"), "has expired"),
        (_by("first", how="--clearsign"), "is no OpenPGP signature of it"),
        (_by("first", how="--sign"), "is no OpenPGP signature of it"),
        (_text("signed\n"), "is no OpenPGP signature of it"),
        (_text(""), "is no OpenPGP signature of it"),
        (_text("[GNUPG:] GOODSIG 0123 x\n"), "is no OpenPGP signature of it"),
    ],
)
def test_a_signature_that_is_none_of_the_mirrors_keys_is_refused(
    strict: Mirror, signer: Signer, harm: Callable[[Path, Signer], None], words: str
) -> None:
    offer(strict, signer.public("first", "expired"))
    directory = strict.make(ONE)
    harm(directory, signer)
    message, code = refusal(lambda: backdated.publish(strict.transport, directory, ONE))
    assert f"SHA256SUMS of {ONE} is not accepted: " in message
    assert words in message
    assert code == 2
    assert strict.builds() == set()
    assert strict.alias("master/sample") is None
    # Signed rightly, the same build comes through.
    backdated.sign(directory, signer.command("first"))
    backdated.publish(strict.transport, directory, ONE)
    assert strict.builds() == {ONE}
    assert strict.leftovers() == []


def test_while_keys_change_both_are_accepted(strict: Mirror, signer: Signer) -> None:
    """Also a list that both have signed, on a mirror that knows only one of them yet."""
    directory = signed(strict, ONE, signer.command("stranger", "first"))
    backdated.publish(strict.transport, directory, ONE)
    offer(strict, signer.public("first", "second"))
    for number, key in enumerate(("first", "second"), 2):
        build = f"master/sample/2026010{number}T020000Z"
        backdated.publish(strict.transport, signed(strict, build, signer.command(key)), build)
    assert len(strict.builds()) == 3


def test_a_stream_whose_builds_may_be_unsigned_is_named(strict: Mirror) -> None:
    """And readers are not told of a signature that is not there."""
    build = "release/old/sample/20260101T020000Z"
    strict.publish(build)
    assert page(strict)[build]["signature"] is None
    html = (strict.public / "builds" / build / "index.html").read_text()
    assert "SHA256SUMS.asc" not in html
    assert "not signed" in html


def test_a_stream_that_is_misspelt_is_no_exception(local: Mirror) -> None:
    local.configure(unsigned_streams=["release-sample"])
    message, code = refusal(local.admin, "list")
    assert "'unsigned_streams'" in message
    assert "names release-sample, and the streams are" in message
    assert code == 2


def test_a_mirror_of_before_asks_for_signatures_with_the_key_that_it_offers(
    local: Mirror, signer: Signer
) -> None:
    """Its configuration says nothing of signatures, and its provisioning gave it the key."""
    content = json.loads(local.config.read_text())
    del content["unsigned_streams"]
    local.config.write_text(json.dumps(content))
    message, _ = refusal(local.begin, signed(local, ONE, signer.command("first")), ONE)
    assert "this mirror has no key to check signatures with" in message
    offer(local, signer.public("first"))
    backdated.publish(local.transport, signed(local, ONE, signer.command("first")), ONE)
    assert local.builds() == {ONE}


def test_what_was_published_before_stays_and_converges(local: Mirror, signer: Signer) -> None:
    directory = local.make(ONE)
    backdated.publish(local.transport, directory, ONE)
    local.configure(unsigned_streams=[])
    assert local.begin(directory, ONE)["state"] == "published"
    assert local.ctl("promote", ONE)["id"] == ONE


def test_an_upload_begun_before_the_rule_is_refused_by_promote(local: Mirror) -> None:
    directory = local.make(ONE)
    local.send(directory, local.begin(directory, ONE))
    local.configure(unsigned_streams=[])
    message, _ = refusal(local.ctl, "promote", ONE)
    assert "is not signed" in message
    assert local.builds() == set()


def test_a_mirror_without_gpgv_says_so(strict: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signature.shutil, "which", lambda name: None)
    build, files = BuildId.parse(ONE), ["SHA256SUMS.asc"]
    with pytest.raises(StxMirrorError, match="no gpgv to check signatures with"):
        signature.check_announced(load(strict.config), build, files)


@pytest.mark.parametrize("ahead", [30, 240])
def test_a_build_of_the_future_cannot_beat_the_one_of_now(local: Mirror, ahead: int) -> None:
    when = datetime.now(timezone.utc) + timedelta(seconds=ahead)
    build = f"master/sample/{when:%Y%m%dT%H%M%SZ}"
    message, code = refusal(local.begin, local.make(build), build)
    assert " s in the future (here it is " in message
    assert "set the clocks right" in message
    assert code == 2


def test_the_helper_signs_from_the_command_line(strict: Mirror, signer: Signer) -> None:
    """As the demo calls it."""
    command = ["python3", backdated.__file__, "--mirrorctl", " ".join(strict.transport.mirrorctl)]
    command += [
        "--target",
        strict.transport.target,
        "--sign",
        " ".join(word or "''" for word in signer.command("first")),
    ]
    subprocess.run([*command, ONE], check=True, capture_output=True)
    assert strict.builds() == {ONE}
