"""What this mirror did, one JSON object a line, never rewritten: ``state/log.jsonl``."""

from __future__ import annotations

import json
import os

from stxmirror.mirror.store import Store
from stxmirror.times import format_time

_FILE = "log.jsonl"


def note(store: Store, verb: str, **facts: object) -> None:
    """Append a line; under the store's lock."""
    line = {"when": format_time(store.now), "verb": verb, **facts}
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    fd = os.open(store.config.state / _FILE, flags, 0o600)
    try:
        size = os.fstat(fd).st_size
        # A run that was cut off in the middle of a line costs that line only.
        torn = size > 0 and os.pread(fd, 1, size - 1) != b"\n"
        data = ("\n" * torn + json.dumps(line) + "\n").encode("ascii")
        while data:
            data = data[os.write(fd, data) :]
        os.fsync(fd)
    finally:
        os.close(fd)
