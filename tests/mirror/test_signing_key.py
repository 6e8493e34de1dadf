"""Readers are shown which key is offered."""

from __future__ import annotations

import json

from mirrors import Mirror

ONE = "master/sample/20260101T020000Z"

KEY = """\
-----BEGIN PGP PUBLIC KEY BLOCK-----

mDMEawMUpBYJKwYBBAHaRw8BAQdAeXra2qoHyhNJwq1x7IF3swbB3bCnmh00LHLj
gXh+lOm0G01pcnJvciA8bWlycm9yQGV4YW1wbGUub3JnPoiQBBMWCAA4FiEEQyEO
RgJVAZHvqjCE2mnCMs8/Ai4FAmsDFKQCGwMFCwkIBwIGFQoJCAsCBBYCAwECHgEC
F4AACgkQ2mnCMs8/Ai4xAwD9H3yAEw3B1fAcAYRG9JSx3lGBkhAS6RRu+HJTGoa3
mDQBAPD+/Kem1hhhxEbf+/exNUAjD4FuOkVo5xpGmaq/H1cE
=Z9eY
-----END PGP PUBLIC KEY BLOCK-----
"""


def test_the_pages_name_the_key_that_is_offered(local: Mirror) -> None:
    local.publish(ONE)
    names = "signing_key_fingerprints"
    assert json.loads((local.public / "builds.json").read_text())[names] == []
    for content, expected in (
        (KEY, ["43210E4602550191EFAA3084DA69C232CF3F022E"]),
        ("half a key\n", []),
    ):
        (local.public / "assets/signing-key.asc").write_text(content)
        local.admin("pages")
        assert json.loads((local.public / "builds.json").read_text())[names] == expected
