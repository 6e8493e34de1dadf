"""Packing ``stx-watch`` into one executable file: ``python -m stxmirror.watch.zipapp OUT``."""

from __future__ import annotations

from stxmirror import packing

# The modules that it stands on beside its own package.
_MODULES = (
    *("__init__", "errors", "fields", "layout", "lines", "names", "schedule", "times"),
    *("state/__init__", "state/paths"),
)


def pack() -> bytes:
    """Return the zip application."""
    return packing.pack("watch", _MODULES)


if __name__ == "__main__":
    packing.main(pack)
