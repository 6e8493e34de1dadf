"""The signature of SHA256SUMS, which stands for a whole build: checked before a build is visible.

Accepted is what was signed by one of the keys that the mirror's admin has given it, which are those
that it offers to readers. gpgv does the cryptography. The configuration names the streams whose
builds may be unsigned.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Collection
from pathlib import Path

from stxmirror import names
from stxmirror.errors import StxMirrorError
from stxmirror.layout import BuildId
from stxmirror.mirror import openpgp
from stxmirror.mirror.config import Config

_SECONDS = 60
# What gpgv says of a signature that is no good one, see doc/DETAILS of GnuPG.
_TROUBLES = {
    "BADSIG": "its signature does not fit it: sign the list again, or collect the build again",
    "EXPSIG": "its signature has expired: sign it again",
    "EXPKEYSIG": "the key {key} that signed it has expired: prolong that key or sign with another, "
    "and give the mirror its public half again",
    "REVKEYSIG": "the key {key} that signed it was revoked: sign with another",
    "ERRSIG": "it is signed by the key {key}, and this mirror has {known}: sign with one of those, "
    "or add that key where the mirror's admin gives them (mirror_host_signing_key)",
}


def check_announced(config: Config, build: BuildId, files: Collection[str]) -> None:
    """Raise unless a build with these files may be published: signed, or of a stream that need not.

    Also where this mirror could not check a signature, before anything is sent for nothing.
    """
    if not is_required(config, build):
        return
    if names.SIGNATURE not in files:
        raise StxMirrorError(
            f"{build} is not signed, it has no {names.SIGNATURE}: sign {names.SUMS}, or let the "
            "mirror's admin name its stream in unsigned_streams (mirror_host_unsigned_streams)"
        )
    _program()
    _keys(config)


def check(config: Config, build: BuildId, tree: Path, scratch: Path) -> None:
    """Raise unless ``tree``'s SHA256SUMS has the signature that its stream needs.

    ``scratch`` is a directory of this upload's own, beside the tree.
    """
    if not is_required(config, build):
        return
    keys = _keys(config)
    keyring = scratch / "keys.gpg"
    keyring.write_bytes(openpgp.keyring(keys))
    command = [_program(), "--homedir", str(scratch), "--keyring", str(keyring)]
    command += ["--weak-digest", "SHA1", "--status-fd", "1"]
    command += [str(tree / names.SIGNATURE), str(tree / names.SUMS)]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except subprocess.TimeoutExpired as error:
        raise StxMirrorError(
            f"{names.SIGNATURE} of {build} took gpgv too long: sign it again"
        ) from error
    finally:
        keyring.unlink()
    trouble = _trouble(done.stdout.decode("utf-8", "replace"), keys)
    if trouble:
        raise StxMirrorError(f"{names.SUMS} of {build} is not accepted: {trouble}")


def is_required(config: Config, build: BuildId) -> bool:
    """Say whether builds of this one's stream have to be signed."""
    rule = config.policy.rule_for(build.directory)
    return rule is None or rule.stream not in config.unsigned_streams


def _program() -> str:
    program = shutil.which("gpgv")
    if program is None:
        raise StxMirrorError(
            "this mirror has no gpgv to check signatures with: install it there (Debian: gpgv, EL: "
            "gnupg2), or name the stream in unsigned_streams (mirror_host_unsigned_streams)"
        )
    return program


def _keys(config: Config) -> str:
    """Return the armoured keys that this mirror offers to readers, or raise if it has none."""
    path = config.public / names.SIGNING_KEY
    try:
        text = path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        text = ""
    if not openpgp.fingerprints(text):
        raise StxMirrorError(
            f"this mirror has no key to check signatures with in {path}: give it the signer's "
            "public key (mirror_host_signing_key), or name the stream in unsigned_streams "
            "(mirror_host_unsigned_streams)"
        )
    return text


def _trouble(status: str, keys: str) -> str:
    """Return what is wrong with a signature by gpgv's status lines; nothing for a good one.

    While keys rotate a list may have two signatures: one good one is enough.
    """
    lines = [line.split() for line in status.split("\n") if line.startswith("[GNUPG:] ")]
    found = {words[1]: words[2:] for words in lines if len(words) > 1}
    if "GOODSIG" in found and "BADSIG" not in found:
        return ""
    for word, text in _TROUBLES.items():
        if word in found:
            key = found[word][0] if found[word] else "?"
            known = ", ".join(name.replace(" ", "")[-16:] for name in openpgp.fingerprints(keys))
            return text.format(key=key, known=known)
    return f"{names.SIGNATURE} is no OpenPGP signature of it: sign it again"
