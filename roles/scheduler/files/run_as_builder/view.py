# SPDX-License-Identifier: Apache-2.0
"""What a command sees of the host: mounts in a name space of its own.

Nothing of the request names a source or a target of a mount but through `places`.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import re
import socket
import stat
import struct
from pathlib import Path

from run_as_builder.places import (
    DOWNLOADS,
    HOME,
    IMPORT,
    KEPT,
    LOCALDISK,
    TEMPORARY,
    Request,
    open_directory,
)

RUN = Path("/run")
# Empty, but for what a command is shown in them.
COVERED = (LOCALDISK, IMPORT, HOME.parent)
HIDDEN = (Path("/var/lib/stx-mirror"), Path("/var/log/stx-mirror"))
# What sudo records in, and docker where the builder may use it.
WRITTEN = (Path("/var/log/sudo.log"), RUN / "systemd/journal/dev-log", RUN / "docker.sock")
# The kernel's own: what is in them is new, or root's.
KERNEL = (b"dev", b"proc", b"sys")

# <linux/sched.h>, <linux/mount.h>, <linux/prctl.h>, <linux/sockios.h>, <linux/if.h>
CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWPID, CLONE_NEWNET = 0x20000, 0x8000000, 0x20000000, 0x40000000
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 8, 0x1000, 0x4000, 0x40000
SYS_MOUNT_SETATTR, AT_FDCWD = 442, -100
READ_ONLY, NOSUID, NODEV = 1, 2, 4
PR_SET_PDEATHSIG = 1
SIOCSIFFLAGS, IFF_UP = 0x8914, 1

libc = ctypes.CDLL(None, use_errno=True)


def check(result: int, what: object) -> None:
    """Raise OSError for a call of the C library that failed."""
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(what))


def unshare(spaces: int) -> None:
    """Give this process new name spaces; of processes: to those that it starts."""
    check(libc.unshare(spaces), "unshare")


def join_processes(space: int) -> None:
    """Let what this process starts belong to a name space of processes, given as an open file."""
    check(libc.setns(space, CLONE_NEWPID), "setns")


def die_with_parent(number: int) -> None:
    """Let the kernel send this process a signal when its parent is gone."""
    check(libc.prctl(PR_SET_PDEATHSIG, number, 0, 0, 0), "prctl")


def mount(source: str, target: Path, kind: str, flags: int, data: str = "") -> None:
    """Call mount(2)."""
    words = [os.fsencode(word) for word in (source, target, kind, data)]
    check(libc.mount(*words[:3], ctypes.c_ulong(flags), words[3]), target)


def set_mount(path: bytes, add: int, clear: int = 0) -> None:
    """Change the attributes of one mount, see mount_setattr(2)."""
    attributes = struct.pack("=QQQQ", add, clear, 0, 0)
    numbers = [ctypes.c_long(n) for n in (SYS_MOUNT_SETATTR, AT_FDCWD, 0, len(attributes))]
    check(libc.syscall(*numbers[:2], path, numbers[2], attributes, numbers[3]), os.fsdecode(path))


def close_host() -> None:
    """Make the host's own file systems read-only, and let no change of a mount in or out."""
    mount("", Path("/"), "", MS_REC | MS_PRIVATE)
    for line in Path("/proc/self/mountinfo").read_bytes().split(b"\n")[:-1]:
        point = re.sub(rb"\\([0-7]{3})", lambda octal: bytes([int(octal[1], 8)]), line.split()[4])
        if point.split(b"/")[1] in KERNEL:
            continue
        try:
            set_mount(point, READ_ONLY)
        except OSError as error:
            # Another mount hides it.
            if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.EINVAL):
                raise


def mount_kernel() -> None:
    """Mount what shows or joins processes anew: it has to begin empty, too."""
    plain = MS_NOSUID | MS_NODEV
    mount("proc", Path("/proc"), "proc", plain | MS_NOEXEC)
    terminals = "gid=5,mode=620,ptmxmode=666"
    mount("devpts", Path("/dev/pts"), "devpts", MS_NOSUID | MS_NOEXEC, terminals)
    mount("tmpfs", Path("/dev/shm"), "tmpfs", plain, "mode=1777")  # noqa: S108
    if Path("/dev/mqueue").is_dir():
        mount("mqueue", Path("/dev/mqueue"), "mqueue", plain | MS_NOEXEC)


def mount_run(resolver: Path, servers: bytes | None) -> None:
    """Fill the empty /run: nobody who listens in the host's can be asked for anything."""
    (RUN / "lock").mkdir()
    (RUN / "lock").chmod(0o1777)
    if servers is not None:
        resolver.parent.mkdir(parents=True, exist_ok=True)
        resolver.write_bytes(servers)


def shown(request: Request, temporary: str) -> list[tuple[Path, Path, int]]:
    """Return what a command may see: directory, where it sees it, attributes of that mount."""
    rights = 0 if request.sources == "write" else READ_ONLY
    pairs = [(request.work, request.work, 0), (request.downloads, DOWNLOADS, 0)]
    if request.sources != "none":
        # The checkout is the build's own; the git objects that it borrows serve later builds.
        pairs += [(request.checkout, request.checkout, 0), (request.cache, request.cache, rights)]
    if request.kept:
        pairs.append((KEPT / request.kept, KEPT / request.kept, READ_ONLY))
    pairs += [(source, target, 0) for source, target, _ in request.own()]
    for name, target in TEMPORARY.items():
        pairs.append((request.state / temporary / name, target, NOSUID | NODEV))
    return pairs


def make_view(request: Request, temporary: str) -> None:
    """Show this process, which has name spaces of its own, what the command may see."""
    # Opened before anything is covered.
    sources = [(open_directory(p), target, add) for p, target, add in shown(request, temporary)]
    sources += [(os.open(path, os.O_PATH), path, 0) for path in WRITTEN if path.exists()]
    resolver = Path("/etc/resolv.conf").resolve()
    servers = resolver.read_bytes() if request.network and RUN in resolver.parents else None
    close_host()
    mount_kernel()
    covered = [*COVERED, *(path for path in HIDDEN if path.is_dir())]
    for path in (*covered, RUN):
        mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=16m")
    for source, target, add in sources:
        if stat.S_ISDIR(os.fstat(source).st_mode):
            target.mkdir(parents=True, exist_ok=True)
        elif not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()
        mount(f"/proc/self/fd/{source}", target, "", MS_BIND)
        set_mount(os.fsencode(target), add, READ_ONLY & ~add)
        os.close(source)
    mount_run(resolver, servers)
    for path in covered:
        set_mount(os.fsencode(path), READ_ONLY)
    os.chdir("/")


def raise_loopback() -> None:
    """Bring up the only device of a new network name space."""
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", IFF_UP))
