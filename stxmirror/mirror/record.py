"""build.json as the mirror reads it.

The objects stay the JSON that they are, because a published record is shown and never changed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import cast

from stxmirror import fields, records
from stxmirror.errors import StxMirrorError
from stxmirror.records import BuildRecord


def read(data: bytes) -> BuildRecord:
    """Return the record in the bytes of a build.json, checked against its schema, or raise."""
    try:
        raw = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise StxMirrorError("build.json is not JSON: close the build again") from error
    return records.check(cast("Mapping[str, object]", raw))


def kept(raw: object) -> BuildRecord:
    """Return a record that :func:`read` had checked before the mirror kept it beside a tombstone.

    Not checked again: a later version of the schema must not take its page away.
    """
    found: Mapping[str, object] = fields.mapping(raw, "the build.json that was kept")
    return cast(BuildRecord, found)
