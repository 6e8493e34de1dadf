"""A real sshd on a loopback port, which sees accounts and files that this machine does not have.

It runs in a mount namespace of its own: a copy of /etc with two more accounts and a sudo rule, and
a /usr/local/bin with nothing but mirrorctl. The machine itself is left as it is, even if the tests
are killed.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

UIDS = {"mirror": 61801, "incoming": 61802}
_SUDOERS = """\
Defaults !pam_session
incoming ALL=(mirror) NOPASSWD: \
/usr/local/bin/mirrorctl ^(begin|promote) [A-Za-z0-9._/-]+$, /usr/local/bin/mirrorctl expire, \
/usr/local/bin/mirrorctl known
"""
_CONFIG = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {directory}/host_key
PidFile {directory}/sshd.pid
AuthorizedKeysFile /etc/ssh/authorized_keys/%u
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
"""
_START = """\
set -e
mount --bind "$1/etc" /etc
mount --bind "$1/bin" /usr/local/bin
mkdir -p /run/sshd
exec /usr/sbin/sshd -D -e -f "$1/sshd_config"
"""


class Sshd:
    """The server; ``take_over`` gives it the store that the next connections work on."""

    def __init__(self, directory: Path, program: Path) -> None:
        self.directory = directory
        self.program = program
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Make the server's view of the machine, and start it."""
        etc = self.directory / "etc"
        shutil.copytree("/etc", etc, symlinks=True, ignore_dangling_symlinks=True)
        for name, uid in UIDS.items():
            home = self.directory / name
            home.mkdir()
            _append(etc / "passwd", f"{name}:x:{uid}:{uid}::{home}:/bin/sh\n")
            _append(etc / "group", f"{name}:x:{uid}:\n")
            _append(etc / "shadow", f"{name}:*:19000:0:99999:7:::\n")
        (etc / "sudoers.d" / "stx-mirror").write_text(_SUDOERS)
        (etc / "sudoers.d" / "stx-mirror").chmod(0o440)
        (etc / "stx-mirror").mkdir(exist_ok=True)
        tools = self.directory / "bin"
        tools.mkdir()
        shutil.copy(self.program, tools / "mirrorctl")
        self._make_keys()
        config = _CONFIG.format(port=self.port, directory=self.directory)
        (self.directory / "sshd_config").write_text(config)
        with (self.directory / "sshd.log").open("wb") as log:
            self._process = subprocess.Popen(
                ["unshare", "--mount", "sh", "-c", _START, "sh", str(self.directory)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._wait()

    def _make_keys(self) -> None:
        keys = self.directory / "etc" / "ssh" / "authorized_keys"
        keys.mkdir()
        for name in ("host_key", "publish", "prune"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.directory / name],
                check=True,
            )
        for account, role in (("incoming", "publish"), ("mirror", "prune")):
            key = (self.directory / f"{role}.pub").read_text()
            (keys / account).write_text(
                f'restrict,command="/usr/local/bin/mirrorctl dispatch {role}" {key}'
            )
        (self.directory / "client").write_text(
            f"Host mirror\n  HostName 127.0.0.1\n  Port {self.port}\n"
            "  StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n  LogLevel ERROR\n"
            "  IdentitiesOnly yes\n  IdentityAgent none\n  BatchMode yes\n"
        )

    def _wait(self) -> None:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise RuntimeError((self.directory / "sshd.log").read_text())

    def stop(self) -> None:
        """End the server; its namespace goes with it."""
        if self._process:
            self._process.terminate()
            self._process.wait()

    def client(self, key: str) -> list[str]:
        """The ssh command with one of the keys, ``publish`` or ``prune``."""
        return ["ssh", "-F", f"{self.directory}/client", "-i", f"{self.directory}/{key}"]

    def inside(self, *command: str) -> list[str]:
        """A command as root runs it on the mirror itself."""
        return ["nsenter", "--mount", "--target", str(self._process.pid), *command]

    def take_over(self, store: Path, config: Path) -> None:
        """Give a store to the two accounts, as the provisioning does, and make it the server's."""
        for name in ("public", "staging", "state"):
            os.chown(store / name, UIDS["mirror"], UIDS["mirror"])
        for name in ("staging", "state"):
            (store / name).chmod(0o700)
        os.chown(store / "incoming", UIDS["incoming"], UIDS["mirror"])
        (store / "incoming").chmod(0o2750)
        link = self.directory / "etc" / "stx-mirror" / "mirror.json"
        link.unlink(missing_ok=True)
        link.symlink_to(config)


def _append(path: Path, line: str) -> None:
    with path.open("a") as stream:
        stream.write(line)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
