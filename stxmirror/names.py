"""What the files of a build are called on a build host and on the mirror, and how a run may end."""

from __future__ import annotations

from typing import Final, Literal

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
# What the mirror has beside the builds: the link to the newest success of a directory, an index,
# the program that readers check with, the key.
LATEST = "latest_build"
BUILDS = "builds.json"
VERIFY = "verify.py"
SIGNING_KEY = "assets/signing-key.asc"
# Where a mirror's own settings lie, and the account and the directory for what is sent to it.
MIRROR_SETTINGS = "/etc/stx-mirror/mirror.json"
INCOMING = "incoming"
# How a run may end: as a build, or as none because no source has changed.
NOTHING_NEW: Final = "nothing-new"
Result = Literal["success", "fail", "nothing-new"]
# Not among the files that SHA256SUMS lists: itself, and what signs it.
UNLISTED = (SUMS, SIGNATURE)
