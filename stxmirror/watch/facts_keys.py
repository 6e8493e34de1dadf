"""Facts about certificates and keys."""

from __future__ import annotations

import glob
import re
import ssl
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stxmirror.watch.facts_host import output

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def _paths(patterns: Sequence[str]) -> list[str]:
    """Return what the patterns match; a plain path counts whether it is there or not."""
    found: set[str] = set()
    for pattern in patterns:
        found.update(glob.glob(pattern) if glob.has_magic(pattern) else [pattern])  # noqa: PTH207
    return sorted(found)


def certificates(settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return when the first certificate to expire in each file does so."""
    found = []
    for path in _paths(settings["paths"]):
        try:
            blocks = _PEM.findall(Path(path).read_text(errors="replace"))
            if not blocks:
                raise ValueError("it has no certificate in PEM form")
            found.append({"path": path, "ends": min(map(_certificate_end, blocks))})
        except (OSError, ValueError) as error:
            found.append({"path": path, "error": _words(error)})
    return found


def _certificate_end(block: str) -> float:
    said = output("openssl", "x509", "-noout", "-enddate", stdin=block)
    return float(ssl.cert_time_to_seconds(said.strip().partition("=")[2]))


def openpgp(settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return when each armoured public key stops being good for signatures."""
    found = []
    for path in _paths(settings["paths"]):
        try:
            with tempfile.TemporaryDirectory(prefix="stx-watch-") as home:
                listed = output(
                    *("gpg", "--homedir", home, "--no-autostart", "--batch", "--no-options"),
                    *("--with-colons", "--show-keys", path),
                )
            found.append({"path": path, **openpgp_end(listed)})
        except (OSError, ValueError) as error:
            found.append({"path": path, "error": _words(error)})
    return found


def openpgp_end(listed: str) -> dict[str, Any]:
    """Return the end of the key that gpg listed: of the parts that sign, the last one counts."""
    fields = [line.split(":") for line in listed.splitlines()]
    keys = [field for field in fields if field[0] == "pub"]
    if not keys:
        raise ValueError("it holds no public key")
    ends: list[float | None] = []
    for field in fields:
        if field[0] in ("pub", "sub") and "s" in field[11] and field[1] != "r":
            ends.append(float(field[6]) if field[6] else None)
    whole = float(keys[0][6]) if keys[0][6] else None
    last = None if None in ends or not ends else max(end for end in ends if end is not None)
    limits = [end for end in (whole, last) if end is not None]
    return {"ends": min(limits) if limits else None, "revoked": keys[0][1] == "r"}


def ssh_keys(settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return kind, strength, age and openness of the keys whose public halves are named."""
    found = []
    for path in _paths(settings["paths"]):
        private = Path(path[: -len(".pub")])
        try:
            # 256 SHA256:... comment (ED25519)
            said = output("ssh-keygen", "-l", "-f", path).split()
            status = private.stat()
            found.append(
                {
                    "path": str(private),
                    "bits": int(said[0]),
                    "kind": said[-1].strip("()").replace("-CERT", ""),
                    "made": status.st_mtime,
                    # RHEL's host keys belong to a group of their own, which nobody is in.
                    "open": bool(status.st_mode & 0o007),
                }
            )
        except (OSError, ValueError, IndexError) as error:
            found.append({"path": str(private), "error": _words(error)})
    return found


def _words(error: Exception) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)
