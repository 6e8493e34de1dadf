"""A collected tree is closed: its record, CONTEXT, its result, the list of files, a signature."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stxmirror.builder.secret_terms import Terms
from stxmirror.errors import StxMirrorError
from stxmirror.names import CONTEXT, MARKERS, RECORD, SIGNATURE, SUMS
from stxmirror.records import BuildRecord

_ARMOUR = b"-----BEGIN PGP SIGNATURE-----"
# What people, commands and guests write as they like; all else in a record is a name of the
# specification, a number or a hash, and has to stay as it is.
_FREE_TEXT = frozenset(("reason", "excerpt", "missing", "command", "subject", "url", "detail"))
# The schema bounds these texts: a longer one may not grow past its bound.
_LONG = 100


def seal(
    tree: Path,
    record: BuildRecord,
    *,
    context: str | None,
    digests: Mapping[str, str],
    terms: Terms,
    sign: Sequence[str],
) -> None:
    """Write what belongs to every build, list all files by ``digests`` (path: sha256), and sign.

    ``terms`` are cut out of the record and the result. ``sign`` is a command that signs its
    standard input. Never, not even after a crash, does an old signature lie beside a new list.
    """
    shown = redacted(record, terms)
    texts = {
        RECORD: (json.dumps(shown, indent=2, sort_keys=True) + "\n").encode(),
        MARKERS[record["result"]]: terms.redact(_marker(record).encode()),
    }
    if context is not None:
        texts[CONTEXT] = context.encode("ascii")
    all_digests = dict(digests)
    for path, content in texts.items():
        _write(tree / path, content)
        all_digests[path] = hashlib.sha256(content).hexdigest()
    lines = (f"{digest}  {path}\n" for path, digest in sorted(all_digests.items()))
    sums = "".join(lines).encode("ascii")
    (tree / SIGNATURE).unlink(missing_ok=True)
    _write(tree / SUMS, sums)
    _write(tree / SIGNATURE, _signature(sums, sign, tree))


def is_sealed(tree: Path) -> bool:
    """Whether a tree was closed; its signature comes last."""
    return (tree / SIGNATURE).is_file()


def kept_names(record: BuildRecord) -> list[str]:
    """Return the files that :func:`seal` writes, which the collector leaves alone."""
    return [RECORD, SUMS, SIGNATURE, CONTEXT, MARKERS[record["result"]]]


def redacted(value: Any, terms: Terms, *, is_free: bool = False) -> Any:
    """Return a record with the terms cut out of its free texts."""
    if isinstance(value, dict):
        return {key: redacted(v, terms, is_free=key in _FREE_TEXT) for key, v in value.items()}
    if isinstance(value, list):
        return [redacted(item, terms, is_free=is_free) for item in value]
    if isinstance(value, str) and is_free:
        clean = terms.redact(value.encode("utf-8", "replace")).decode("utf-8")
        return clean if len(value) < _LONG else clean[: len(value)]
    return value


def _marker(record: BuildRecord) -> str:
    if record["result"] == "success":
        lines = [f"missing: {what}" for what in record["missing"]]
    else:
        lines = [f"{record['failed_stage']} failed:", *record["excerpt"]]
    return "".join(f"{line}\n" for line in lines)


def _signature(sums: bytes, sign: Sequence[str], tree: Path) -> bytes:
    done = subprocess.run(sign, input=sums, capture_output=True, check=False)
    if done.returncode == 0 and done.stdout.startswith(_ARMOUR):
        return done.stdout
    stderr = " ".join(done.stderr.decode("utf-8", "replace").split())[-500:]
    raise StxMirrorError(
        f"{SUMS} of {tree} could not be signed: {' '.join(sign)} ended with {done.returncode} "
        f"({stderr or 'no armoured signature'}). Provision the build host again, then publish the "
        "build again"
    )


def _write(path: Path, content: bytes) -> None:
    """Replace a file of the tree as a whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    part.chmod(0o644)
    part.replace(path)
