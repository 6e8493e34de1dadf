"""Each bad input gives one clear message, and the next build is none the worse."""

from __future__ import annotations

import pytest
from conftest import get_json


def published(directory: str = "") -> list[str]:
    builds = get_json("builds.json")["builds"]
    return [build["id"] for build in builds if build["id"].startswith(directory)]


@pytest.mark.parametrize(
    "ref", ["nosuch", "f/../../x", "r/$(id)", "", "f/", "../etc", "f/a b", "-x", "f/x/y"]
)
def test_a_ref_that_no_stream_has_is_refused(builder, ref):
    before = published()
    done = builder.stx_mirror("build", "--reason", "test", "--", ref, check=False)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert published() == before
