"""Facts about certificates and keys."""

from __future__ import annotations

import glob
import re
import ssl
import tempfile
from collections.abc import Sequence
from pathlib import Path

from stxmirror import lines
from stxmirror.watch.facts import Certificates, OpenPgpFile, OpenPgpKey, SshKey, Unreadable
from stxmirror.watch.facts_host import output
from stxmirror.watch.settings import ExpiringFiles, SshKeys

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def _paths(patterns: Sequence[str]) -> list[str]:
    """Return what the patterns match; a plain path counts whether it is there or not."""
    found: set[str] = set()
    for pattern in patterns:
        found.update(glob.glob(pattern) if glob.has_magic(pattern) else [pattern])  # noqa: PTH207
    return sorted(found)


def certificates(wanted: ExpiringFiles) -> list[Certificates | Unreadable]:
    """Return when the first certificate to expire in each file does so."""
    found: list[Certificates | Unreadable] = []
    for path in _paths(wanted.paths):
        try:
            blocks = _PEM.findall(Path(path).read_text(errors="replace"))
            if not blocks:
                raise ValueError("it has no certificate in PEM form")
            found.append(Certificates(path, min(map(_certificate_end, blocks))))
        except (OSError, ValueError) as error:
            found.append(Unreadable(path, _words(error)))
    return found


def _certificate_end(block: str) -> float:
    stdout = output("openssl", "x509", "-noout", "-enddate", stdin=block)
    return float(ssl.cert_time_to_seconds(stdout.strip().partition("=")[2]))


def openpgp(wanted: ExpiringFiles) -> list[OpenPgpFile | Unreadable]:
    """Return when each armoured public key stops being good for signatures."""
    found: list[OpenPgpFile | Unreadable] = []
    for path in _paths(wanted.paths):
        try:
            with tempfile.TemporaryDirectory(prefix="stx-watch-") as home:
                listed = output(
                    *("gpg", "--homedir", home, "--no-autostart", "--batch", "--no-options"),
                    *("--with-colons", "--show-keys", path),
                )
            found.append(OpenPgpFile(path, openpgp_keys(listed)))
        except (OSError, ValueError) as error:
            found.append(Unreadable(path, _words(error)))
    return found


def openpgp_keys(listed: str) -> tuple[OpenPgpKey, ...]:
    """Return the keys that gpg listed with colons; of the parts that sign, the last one counts."""
    blocks: list[list[list[str]]] = []
    for line in lines.split(listed):
        words = line.split(":")
        if words[0] == "pub":
            blocks.append([])
        if blocks and words[0] in ("pub", "sub"):
            blocks[-1].append(words)
    if not blocks:
        raise ValueError("it holds no public key")
    return tuple(map(_openpgp_key, blocks))


def _openpgp_key(parts: Sequence[Sequence[str]]) -> OpenPgpKey:
    primary = parts[0]
    signing = [_end(part) for part in parts if "s" in part[11] and part[1] != "r"]
    known = [end for end in signing if end is not None]
    last = max(known) if known and len(known) == len(signing) else None
    whole = _end(primary)
    limits = [end for end in (whole, last) if end is not None]
    return OpenPgpKey(primary[4], min(limits) if limits else None, primary[1] == "r")


def _end(part: Sequence[str]) -> float | None:
    return float(part[6]) if part[6] else None


def ssh_keys(wanted: SshKeys) -> list[SshKey | Unreadable]:
    """Return kind, strength, age and openness of the keys whose public halves are named."""
    found: list[SshKey | Unreadable] = []
    for path in _paths(wanted.paths):
        private = Path(path[: -len(".pub")])
        try:
            # 256 SHA256:... comment (ED25519)
            words = output("ssh-keygen", "-l", "-f", path).split()
            status = private.stat()
            found.append(
                SshKey(
                    path=str(private),
                    kind=words[-1].strip("()").replace("-CERT", ""),
                    bits=int(words[0]),
                    made=status.st_mtime,
                    # RHEL's host keys belong to a group of their own, which nobody is in.
                    is_open=bool(status.st_mode & 0o007),
                )
            )
        except (OSError, ValueError, IndexError) as error:
            found.append(Unreadable(str(private), _words(error)))
    return found


def _words(error: Exception) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)
