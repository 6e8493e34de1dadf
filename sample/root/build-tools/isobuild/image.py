"""The ISO itself: boot menu, EFI partition, and one image that starts every way."""

from __future__ import annotations

import os
from pathlib import Path

from .rpms import run

KERNEL_ARGUMENTS = "quiet console=ttyS0,115200 console=tty0"

MENU = """\
if serial --unit=0 --speed=115200; then
    terminal_input console serial
    terminal_output console serial
fi
set default=0
set timeout={timeout}
menuentry "Install StarlingX Sample {build_id} (first disk, if blank)" {{
    linux /boot/vmlinuz {arguments}
    initrd /boot/initrd.img
}}
menuentry "Install, ERASING the first disk" {{
    linux /boot/vmlinuz {arguments} stx.install=force
    initrd /boot/initrd.img
}}
menuentry "Shell, install nothing" {{
    linux /boot/vmlinuz {arguments} stx.install=no
    initrd /boot/initrd.img
}}
"""

# What UEFI loads finds this beside itself, on the EFI partition of a USB stick or on the ISO of a
# CD, and has to find the ISO by its label.
EFI_MENU = """\
search --no-floppy --label --set=root {volume}
configfile ($root)/boot/grub/grub.cfg
"""

SECONDS_TO_CHOOSE = 2

# GPT partition type of an EFI system partition (UEFI specification, 5.3.3).
ESP_TYPE = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"


def volume_id(build_id: str) -> str:
    """The ISO's volume id: at most 32 of A-Z, 0-9 and _ (ECMA-119)."""
    return f"SAMPLE_{build_id}"[:32]


def write_menu(dist: Path, build_id: str) -> None:
    """Write the boot menus of the ISO whose tree is ``dist``."""
    menu = MENU.format(timeout=SECONDS_TO_CHOOSE, build_id=build_id, arguments=KERNEL_ARGUMENTS)
    for name, text in (
        ("boot/grub/grub.cfg", menu),
        ("EFI/BOOT/grub.cfg", EFI_MENU.format(volume=volume_id(build_id))),
    ):
        path = dist / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def write_esp(out: Path, dist: Path, epoch: int) -> None:
    """Write ``out``, a FAT image with what EFI/BOOT of the tree ``dist`` holds.

    The same input gives the same bytes, whatever the time.
    """
    files = sorted((dist / "EFI" / "BOOT").iterdir())
    mebibytes = 1 + sum(-(-path.stat().st_size // (1 << 20)) for path in files)
    out.unlink(missing_ok=True)
    for path in files:
        os.utime(path, (epoch, epoch))
    environment = dict(os.environ, SOURCE_DATE_EPOCH=str(epoch), TZ="UTC", MTOOLS_SKIP_CHECK="1")
    for command in (
        [
            *("mformat", "-C", "-i", str(out), "-N", "53414d50", "-v", "EFI", "-T"),
            *(str(mebibytes * 2048), "-h", "64", "-s", "32", "::"),
        ],
        ["mmd", "-i", str(out), "::/EFI", "::/EFI/BOOT"],
        ["mcopy", "-m", "-i", str(out), *map(str, files), "::/EFI/BOOT/"],
    ):
        run(command, env=environment)


def write_iso(out: Path, dist: Path, loader: Path, build_id: str, epoch: int) -> None:
    """Write the ISO ``out`` from the tree ``dist``.

    It starts from a CD under BIOS (boot/grub/eltorito.img) and UEFI (``loader``/efi.img), and
    from a USB stick under both (``loader``/boot_hybrid.img, and the same EFI image as a
    partition).
    """
    part = out.with_suffix(".part")
    part.unlink(missing_ok=True)
    run(
        [
            *("xorriso", "-as", "mkisofs", "-quiet", "-o", str(part), "-V", volume_id(build_id)),
            *("-r", "-J", "-joliet-long", "-partition_offset", "16", "--mbr-force-bootable"),
            *("--grub2-mbr", str(loader / "boot_hybrid.img")),
            *("-append_partition", "2", ESP_TYPE, str(loader / "efi.img"), "-appended_part_as_gpt"),
            *("-b", "boot/grub/eltorito.img", "-c", "boot/boot.cat"),
            *("-no-emul-boot", "-boot-load-size", "4", "-boot-info-table", "--grub2-boot-info"),
            *("-eltorito-alt-boot", "-e", "--interval:appended_partition_2:all::"),
            *("-no-emul-boot", str(dist)),
        ],
        env=dict(os.environ, SOURCE_DATE_EPOCH=str(epoch), TZ="UTC"),
    )
    part.replace(out)
