"""The look at an ISO as a file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

BUILD_ID = "master/sample/20261122T024512Z"


@pytest.fixture
def check(call_module):
    """The verdict about an ISO of which any size is sane."""

    def judge(path: Path, **arguments):
        told = {"path": str(path), "build_id": BUILD_ID, "min_bytes": 1, **arguments}
        return call_module("iso_check", **told)

    return judge


def test_a_whole_iso_of_this_build_is_well(check, make_iso):
    verdict = check(make_iso())
    assert (verdict["result"], verdict["changed"]) == ("ok", False)
    assert "BIOS and UEFI" in verdict["detail"]


def test_an_iso_that_was_cut_short_is_refused(check, make_iso):
    iso = make_iso()
    os.truncate(iso, iso.stat().st_size - 4096)
    verdict = check(iso)
    assert verdict["result"] == "failed"
    assert "cut short" in verdict["detail"]


def test_the_iso_of_another_build_is_refused(check, make_iso):
    verdict = check(make_iso(), build_id="master/sample/20261123T000000Z")
    assert verdict["result"] == "failed"
    assert f"names build '{BUILD_ID}', this is build 'master/sample/2026112" in verdict["detail"]


@pytest.mark.parametrize(
    ("leave_out", "says"), [("BUILD", "/BUILD"), ("repodata/repomd.xml", "repomd.xml")]
)
def test_what_is_not_on_it_is_named(check, make_iso, leave_out, says):
    verdict = check(make_iso(leave_out=leave_out))
    assert verdict["result"] == "failed"
    assert says in verdict["detail"]


def test_an_iso_without_uefi_is_refused(check, make_iso):
    """A boot loader package that lost its EFI image would go unnoticed on BIOS machines."""
    verdict = check(make_iso(uefi=False))
    assert (verdict["result"], verdict["detail"]) == ("failed", "it has no boot entry for UEFI")


def test_a_size_out_of_bounds_is_refused(check, make_iso):
    assert "not between" in check(make_iso(), min_bytes=10_000_000)["detail"]
    assert "not between" in check(make_iso(), max_bytes=1000)["detail"]


def test_what_is_no_iso_is_refused(check, tmp_path):
    path = tmp_path / "bootimage.iso"
    assert "cannot be read" in check(path)["detail"]
    path.write_bytes(b"<html>not found</html>" * 4000)
    assert check(path)["detail"] == "it is not an ISO 9660 image"
