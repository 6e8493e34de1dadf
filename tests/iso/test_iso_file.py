"""The look at an ISO as a file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from conftest import BUILD_ID

from stxmirror.builder import iso_file
from stxmirror.builder.machine import HostUnable


@pytest.fixture
def check(tmp_path):
    """What is said of an ISO of which any size is sane."""

    def judge(path: Path, build_id: str = BUILD_ID, **bounds):
        scratch = tmp_path / "scratch"
        scratch.mkdir(exist_ok=True)
        try:
            return iso_file.check(path, build_id, scratch=scratch, **({"min_bytes": 1} | bounds))
        except iso_file.UnfitIso as error:
            return f"unfit: {error}"
        finally:
            assert list(scratch.iterdir()) == []

    return judge


def test_a_whole_iso_of_this_build_is_well(check, make_iso):
    iso = make_iso()
    assert check(iso) == f"{iso.stat().st_size} bytes, boots under BIOS and UEFI"


def test_an_iso_that_was_cut_short_is_refused(check, make_iso):
    iso = make_iso()
    os.truncate(iso, iso.stat().st_size - 4096)
    assert check(iso).startswith("unfit: it is cut short")


def test_the_iso_of_another_build_is_refused(check, make_iso):
    found = check(make_iso(), build_id="master/sample/20261123T000000Z")
    assert f"names build '{BUILD_ID}', this is build 'master/sample/2026112" in found


@pytest.mark.parametrize(
    ("leave_out", "says"),
    [("BUILD", "it has no file /BUILD"), ("repodata/repomd.xml", "repomd.xml")],
)
def test_what_is_not_on_it_is_named(check, make_iso, leave_out, says):
    assert says in check(make_iso(leave_out=leave_out))


def test_an_iso_without_uefi_is_refused(check, make_iso):
    """A boot loader package that lost its EFI image would go unnoticed on BIOS machines."""
    assert check(make_iso(uefi=False)) == "unfit: it has no boot entry for UEFI"


def test_a_link_on_the_iso_leads_to_no_file_of_this_host(check, make_iso, tmp_path):
    outside = tmp_path / "outside"
    outside.write_text(f"BUILD_PATH={BUILD_ID}\n")
    assert check(make_iso(build_link=str(outside))) == "unfit: it has no file /BUILD"


def test_a_size_out_of_bounds_is_refused(check, make_iso):
    assert "not between" in check(make_iso(), min_bytes=10_000_000)
    assert "not between" in check(make_iso(), max_bytes=1000)


def test_what_is_no_iso_is_refused(check, tmp_path):
    path = tmp_path / "bootimage.iso"
    assert check(path).startswith("unfit: it cannot be read")
    path.write_bytes(b"<html>not found</html>" * 4000)
    assert check(path) == "unfit: it is not an ISO 9660 image"


def test_a_host_without_xorriso_says_what_to_install(check, make_iso, monkeypatch, tmp_path):
    iso = make_iso()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HostUnable, match="install the package xorriso"):
        check(iso)
