"""Packing ``mirrorctl`` into one executable file: ``python -m stxmirror.mirror.zipapp OUT``."""

from __future__ import annotations

from stxmirror import packing

# The pure modules that the mirror's tool stands on; its own package goes in whole.
_MODULES = ("__init__", "errors", "layout", "records", "retention", "schema", "times")
_SCHEMAS = ("build-1",)


def pack() -> bytes:
    """Return the zip application."""
    return packing.pack("mirror", _MODULES, _SCHEMAS)


if __name__ == "__main__":
    packing.main(pack)
