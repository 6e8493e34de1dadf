#!/usr/bin/python3
"""Writes an ISO that behaves like the product's, in a few KiB of machine code.

Under BIOS it says a line on the first serial line, writes a boot sector to the first disk, and says
another line; that disk, started, says a third. Under UEFI it says the first line. Each line is
optional, so that an ISO with any of the faults that a real one may have is made in a moment.
Needs xorriso and mtools.
"""

from __future__ import annotations

import argparse
import struct
import subprocess
import tempfile
from pathlib import Path

HALT = bytes.fromhex("f4ebfd")  # hlt; jmp back
SPIN = bytes.fromhex("ebfe")  # jmp to itself
POWER_OFF = bytes.fromhex("ba0406b80020efebf7")  # mov dx,0x604; mov ax,0x2000; out dx,ax; jmp back

# Entered at 0000:7C00. The text at 7D00, then the sector at 8000 to the first sector of the first
# disk, then, unless that failed, the text at 7D80; goes on at 7C40.
CD = bytes.fromhex(
    "31c08ed88ec08ed0bc007c fc"  # xor ax,ax; mov ds/es/ss,ax; mov sp,0x7c00; cld
    "be007d e81900"  # mov si,0x7d00; call say
    "bb0080 b80103 b90100 ba8000 cd13"  # bx=0x8000, write 1 sector, first of disk 0x80; int 0x13
    "be807d 7203 e80300"  # mov si,0x7d80; jc over; call say
    "eb1690"  # jmp 0x7c40
    "baf803 ac84c07403eeebf8 c3"  # say: mov dx,0x3f8; next: lodsb; out dx,al until 0; ret
)
CD_WITHOUT_DISK = CD[:0x12] + bytes.fromhex("eb2c") + CD[0x14:]  # jmp 0x7c40

# Entered at 0000:7C00. The text at 7C40.
DISK = bytes.fromhex("31c08ed8fc be407c baf803 ac84c07403eeebf8") + HALT

# 64-bit, position independent. The text 32 bytes behind its begin.
UEFI = bytes.fromhex("488d3519000000 fc 66baf803 ac84c07403eeebf8") + HALT


def bios_image(boot: str, install: str, installed: str, at_end: bytes) -> bytes:
    """The El Torito image: four sectors of 512 bytes."""
    image = bytearray(2048)
    code = CD if install else CD_WITHOUT_DISK
    sector = DISK.ljust(64, b"\0") + installed.encode()
    for offset, part in (
        (0, code),
        (0x40, at_end),
        (0x100, boot.encode()),
        (0x180, install.encode()),
        (0x400, sector.ljust(510, b"\0") + b"\x55\xaa"),
    ):
        image[offset : offset + len(part)] = part
    return bytes(image)


def uefi_program(boot: str) -> bytes:
    """A UEFI application (PE32+) of one section, after Microsoft's PE format specification."""
    coff = struct.pack("<HHIIIHH", 0x8664, 1, 0, 0, 0, 0xF0, 0x0022)
    optional = struct.pack("<HBBIIIII", 0x20B, 0, 0, 0x200, 0, 0, 0x1000, 0x1000)
    optional += struct.pack("<QIIHHHHHHI", 0, 0x1000, 0x200, 0, 0, 0, 0, 0, 0, 0)
    optional += struct.pack("<IIIHHQQQQII", 0x2000, 0x200, 0, 10, 0, 0, 0, 0, 0, 0, 16)
    section = struct.pack("<8sIIII12sI", b".text", 0x1000, 0x1000, 0x200, 0x200, b"", 0x60000020)
    dos = b"MZ".ljust(60, b"\0") + struct.pack("<I", 64)
    head = dos + b"PE\0\0" + coff + optional.ljust(0xF0, b"\0") + section
    return head.ljust(0x200, b"\0") + (UEFI.ljust(32, b"\0") + boot.encode()).ljust(0x200, b"\0")


def write_esp(path: Path, boot: str) -> None:
    """A FAT image with the UEFI application at the path that firmware looks for."""
    program = path.with_suffix(".program")
    program.write_bytes(uefi_program(boot))
    for command in (
        ["mformat", "-C", "-i", str(path), "-f", "1440", "::"],
        ["mmd", "-i", str(path), "::/EFI", "::/EFI/BOOT"],
        ["mcopy", "-i", str(path), str(program), "::/EFI/BOOT/BOOTX64.EFI"],
    ):
        subprocess.run(command, check=True)
    program.unlink()


def write_iso(
    out: Path,
    build_id: str,
    *,
    boot: str = "",
    install: str = "",
    installed: str = "",
    at_end: bytes = HALT,
    leave_out: str = "",
    build_link: str = "",
    uefi: bool = True,
) -> None:
    """Write the ISO ``out``.

    ``at_end`` is what it does under BIOS when it has said everything; ``leave_out`` is a file of it
    that is not to be there; ``build_link`` is what ``/BUILD`` links to instead of being a file.
    """
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch)
        (tree / "boot.img").write_bytes(bios_image(boot, install, installed, at_end))
        write_esp(tree / "efi.img", boot)
        (tree / "repodata").mkdir()
        (tree / "repodata" / "repomd.xml").write_text("<repomd/>\n")
        (tree / "BUILD").write_text(f'OS="sample"\nBUILD_PATH="{build_id}"\n')
        if leave_out:
            (tree / leave_out).unlink()
        if build_link:
            (tree / "BUILD").unlink()
            (tree / "BUILD").symlink_to(build_link)
        entry = ["-eltorito-alt-boot", "-e", "efi.img", "-no-emul-boot"] if uefi else []
        subprocess.run(
            [
                *("xorriso", "-as", "mkisofs", "-quiet", "-o", str(out), "-r"),
                *("-b", "boot.img", "-no-emul-boot", "-boot-load-size", "4", *entry, str(tree)),
            ],
            check=True,
            capture_output=True,
        )


def main() -> None:
    """Write an ISO that is well, with the markers of the sample product."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("build_id")
    parser.add_argument("--faulty", action="store_true", help="leave out what it says installed")
    told = parser.parse_args()
    write_iso(
        told.out,
        told.build_id,
        boot=f"SAMPLE: installer {told.build_id} ready\r\n",
        install=f"SAMPLE: installed {told.build_id}\r\n",
        installed="" if told.faulty else f"SAMPLE: running {told.build_id}\r\n",
    )


if __name__ == "__main__":
    main()
