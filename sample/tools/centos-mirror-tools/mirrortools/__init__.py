"""Downloads the inputs of a build from the distribution's package mirror."""

from __future__ import annotations


class MirrorToolsError(Exception):
    """Something that a person has to put right; str() is one sentence that says what."""
