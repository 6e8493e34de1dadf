"""The one family of errors that is meant for people."""

from __future__ import annotations


class StxMirrorError(ValueError):
    """Bad input or a refused action.

    ``str()`` of it is one sentence that names what is wrong and says what to do.
    """
