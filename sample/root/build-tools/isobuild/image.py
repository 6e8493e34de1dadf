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

# What UEFI loads lies on a partition of its own and has to find the ISO by its label.
EFI_MENU = """\
search --no-floppy --label --set=root {volume}
configfile ($root)/boot/grub/grub.cfg
"""

SECONDS_TO_CHOOSE = 2


def volume_id(build_id: str) -> str:
    """The ISO's volume id: at most 32 of A-Z, 0-9 and _ (ECMA-119)."""
    return f"SAMPLE_{build_id}"[:32]


def write_menu(dist: Path, build_id: str) -> None:
    """Write the boot menu of the ISO whose tree is ``dist``."""
    menu = dist / "boot" / "grub" / "grub.cfg"
    menu.parent.mkdir(parents=True, exist_ok=True)
    menu.write_text(
        MENU.format(timeout=SECONDS_TO_CHOOSE, build_id=build_id, arguments=KERNEL_ARGUMENTS)
    )


def write_esp(out: Path, loader: Path, build_id: str, epoch: int) -> None:
    """Write ``out``, a FAT image with the UEFI ``loader``, the same bytes for the same input."""
    config = out.with_suffix(".cfg")
    config.write_text(EFI_MENU.format(volume=volume_id(build_id)))
    os.utime(config, (epoch, epoch))
    mebibytes = 1 + -(-loader.stat().st_size // (1 << 20))
    out.unlink(missing_ok=True)
    environment = dict(os.environ, SOURCE_DATE_EPOCH=str(epoch), TZ="UTC", MTOOLS_SKIP_CHECK="1")
    for command in (
        ["mformat", "-C", "-i", str(out), "-N", "53414d50", "-v", "EFI", "-T"]
        + [str(mebibytes * 2048), "-h", "64", "-s", "32", "::"],
        ["mmd", "-i", str(out), "::/EFI", "::/EFI/BOOT"],
        ["mcopy", "-m", "-i", str(out), str(loader), "::/EFI/BOOT/BOOTX64.EFI"],
        ["mcopy", "-m", "-i", str(out), str(config), "::/EFI/BOOT/grub.cfg"],
    ):
        run(command, env=environment)
    config.unlink()


def write_iso(out: Path, dist: Path, hybrid_mbr: Path, build_id: str, epoch: int) -> None:
    """Write the ISO ``out`` from the tree ``dist``.

    It starts from a CD under BIOS (boot/grub/eltorito.img) and UEFI (boot/efi.img), and from a
    USB stick under both (the code in ``hybrid_mbr``, and the same EFI image as a partition).
    """
    part = out.with_suffix(".part")
    part.unlink(missing_ok=True)
    run(
        ["xorriso", "-as", "mkisofs", "-quiet", "-o", str(part), "-V", volume_id(build_id)]
        + ["-r", "-J", "-joliet-long", "-partition_offset", "16"]
        + ["-b", "boot/grub/eltorito.img", "-c", "boot/boot.cat"]
        + ["-no-emul-boot", "-boot-load-size", "4", "-boot-info-table", "--grub2-boot-info"]
        + ["--grub2-mbr", str(hybrid_mbr)]
        + ["-eltorito-alt-boot", "-e", "boot/efi.img", "-no-emul-boot", "-isohybrid-gpt-basdat"]
        + [str(dist)],
        env=dict(os.environ, SOURCE_DATE_EPOCH=str(epoch), TZ="UTC"),
    )
    part.replace(out)
