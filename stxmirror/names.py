"""What the files in a build's dated directory are called, wherever it lies."""

from __future__ import annotations

RECORD = "build.json"
SUMS = "SHA256SUMS"
SIGNATURE = "SHA256SUMS.asc"
CONTEXT = "outputs/CONTEXT"
LOGS = "outputs/logs"
# Constant, as StarlingX's users expect; the mirror links it under a dated name.
ISO_NAME = "bootimage.iso"
ISO_PLACE = "outputs/iso"
ISO = f"{ISO_PLACE}/{ISO_NAME}"
# The file that says how a build ended: of a success what it lacks, of a failure why.
MARKERS = {"success": "outputs/success", "fail": "outputs/fail"}
# Not among the files that SHA256SUMS lists: itself, and what signs it.
UNLISTED = (SUMS, SIGNATURE)
