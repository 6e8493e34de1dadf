"""Builds packages as StarlingX's build-tools do: source RPMs, then RPMs, each in a clean root.

Standard library only. ``cli`` holds the commands; everything else is called by it.
"""

from __future__ import annotations


class BuildError(Exception):
    """What a person has to put right; str() is one message that says what."""
