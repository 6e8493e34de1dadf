"""What a check of an ISO leaves behind on the build host."""

from __future__ import annotations

import pytest

SANITY = "/home/builder/good/sanity"


@pytest.mark.parametrize("log", ["iso-bios", "iso-uefi", "installed-bios"])
def test_the_serial_line_of_each_machine_is_kept(host, log):
    """They are published with the build's logs."""
    file = host.file(f"{SANITY}/{log}.log")
    assert file.user == "builder"
    assert "SAMPLE: " in file.content_string


def test_the_disk_is_gone(host):
    assert not host.file(f"{SANITY}/disk.img").exists


def test_no_machine_is_left_running(host):
    assert not host.process.filter(comm="qemu-system-x86")
