"""A real mirror for tests: a store, mirrorctl, and a real sshd with its two forced commands."""

from __future__ import annotations

import contextlib
import getpass
import json
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]

SSHD_CONFIG = """\
ListenAddress {address}
Port {port}
HostKey {base}/host_key
PidFile none
AuthorizedKeysFile {base}/authorized_keys
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
PermitRootLogin yes
"""


class Mirror:
    """One account is both the receiver and the owner of the tree, as on a local mirror."""

    def __init__(self, base: Path, address: str = "127.0.0.1") -> None:
        """Make the store and the keys below ``base``; ``address`` is where sshd listens."""
        self.base = base
        self.address = address
        self.store = base / "store"
        for name in ("public", "staging", "incoming", "state"):
            (self.store / name).mkdir(parents=True)
        self.config = base / "mirror.json"
        self.configure()
        for name in ("host_key", "publish", "prune", "stranger"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(base / name)], check=True
            )
        self.program = [sys.executable, "-m", "stxmirror.mirror"]
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.create_server((address, 0), family=family) as free:
            self.port = free.getsockname()[1]
        self._authorize()
        host_key = (base / "host_key.pub").read_text().rsplit(" ", 1)[0]
        (base / "known_hosts").write_text(f"[{address}]:{self.port} {host_key}\n")
        self.daemon: subprocess.Popen | None = None

    def configure(self, **changes: object) -> None:
        """Write mirror.json: master keeps 14 days, everything below release/ for ever."""
        rules = [
            {"stream": "master", "directory": "master/sample", "keep": {"days": 14}},
            {"stream": "r", "directory": "release/*/sample", "keep": {"forever": True}},
        ]
        content = {
            "store": str(self.store),
            "prefix": "/mirror/starlingx/",
            "title": "Test",
            "rules": [
                {**rule, "audience": "try", "description": "x", "legacy_alias": None}
                | {"retired": False}
                for rule in rules
            ],
            "release_period_days": 182,
            "max_delete_share": 0.9,
            "upload_expiry_hours": 48,
            "reserve_bytes": 0,
            "unsigned_streams": ["master", "r"],
        }
        self.config.write_text(json.dumps({**content, **changes}))

    def _authorize(self) -> None:
        program = " ".join(shlex.quote(word) for word in self.program)
        lines = []
        for role in ("publish", "prune"):
            forced = f"cd {PROJECT} && {program} --config {self.config} dispatch {role}"
            public = (self.base / f"{role}.pub").read_text().strip()
            lines.append(f'restrict,command="{forced}" {public}\n')
        (self.base / "authorized_keys").write_text("".join(lines))

    def start(self) -> None:
        """Start sshd and wait until it answers."""
        config = self.base / "sshd_config"
        config.write_text(SSHD_CONFIG.format(address=self.address, port=self.port, base=self.base))
        Path("/run/sshd").mkdir(exist_ok=True)
        self.daemon = subprocess.Popen(
            ["/usr/sbin/sshd", "-D", "-e", "-f", str(config)],
            stderr=(self.base / "sshd.log").open("w"),
        )
        for _ in range(100):
            with contextlib.suppress(OSError), socket.create_connection((self.address, self.port)):
                return
            time.sleep(0.05)
        raise AssertionError((self.base / "sshd.log").read_text())

    def stop(self) -> None:
        """Stop it; connections that are open end as well."""
        if self.daemon:
            self.daemon.terminate()
            self.daemon.wait()
            self.daemon = None

    def way(self, key: str = "publish") -> dict[str, object]:
        """Return the module's arguments that lead here."""
        return {
            "host": self.address,
            "port": self.port,
            "user": getpass.getuser(),
            "key": str(self.base / key),
            "known_hosts": str(self.base / "known_hosts"),
        }

    @property
    def public(self) -> Path:
        """The tree that readers see."""
        return self.store / "public"


@contextlib.contextmanager
def running(base: Path, address: str = "127.0.0.1") -> Iterator[Mirror]:
    """Give a mirror whose sshd runs."""
    mirror = Mirror(base, address)
    mirror.start()
    try:
        yield mirror
    finally:
        mirror.stop()
