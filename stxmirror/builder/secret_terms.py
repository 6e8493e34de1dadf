"""Finding and cutting out the words that must not be published, on a build host.

``stxmirror.redact`` says which words these are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

REPLACEMENT = b"[redacted]"


class Terms:
    """The words that must not be published, found as whole words in any case."""

    def __init__(self, terms: Iterable[str]) -> None:
        """Compile ``terms``, which the filters redaction_terms and private_terms made."""
        words = sorted({term for term in terms if term}, key=lambda term: (-len(term), term))
        source = "|".join(self._bounded(word) for word in words)
        self.pattern = re.compile(source.encode("utf-8"), re.IGNORECASE) if words else None

    @staticmethod
    def _bounded(term: str) -> str:
        before = r"(?<![A-Za-z0-9_])" if re.match(r"\w", term) else ""
        after = r"(?![A-Za-z0-9_])" if re.search(r"\w\Z", term) else ""
        return before + re.escape(term) + after

    def find(self, content: bytes) -> str | None:
        """Return the first term in ``content`` (bytes) as text, or ``None``."""
        found = self.pattern.search(content) if self.pattern else None
        return found.group().decode("utf-8") if found else None

    def redact(self, content: bytes) -> bytes:
        """Return ``content`` (bytes) with every term replaced."""
        return self.pattern.sub(REPLACEMENT, content) if self.pattern else content
