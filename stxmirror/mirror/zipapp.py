"""Packing ``mirrorctl`` into one executable file: ``python -m stxmirror.mirror.zipapp OUT``."""

from __future__ import annotations

from stxmirror import packing

# The pure modules that the mirror's tool stands on; its own package goes in whole.
_MODULES = (
    *("__init__", "errors", "fields", "layout", "lines", "records", "retention", "schema"),
    "times",
)
_DATA = ("schemas/build-1.schema.json",)


def pack() -> bytes:
    """Return the zip application."""
    return packing.pack("mirror", _MODULES, _DATA)


if __name__ == "__main__":
    packing.main(pack)
