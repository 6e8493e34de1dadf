"""The way from this host to the mirror: ``mirrorctl``'s verbs and rsync, over SSH or on a path."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from stxmirror.errors import StxMirrorError
from stxmirror.names import INCOMING, SUMS, UNLISTED

# mirrorctl's own exit codes for what it refuses, and for being busy.
REFUSED = 2
BUSY = 75
SSH_FAILED = 255
# rsync(1), EXIT VALUES: socket and protocol errors, timeouts, and what ssh itself says.
RSYNC_DROPPED = (10, 12, 30, 35, SSH_FAILED)
# What ssh says when trying again cannot help.
KEY_TROUBLE = ("Permission denied", "no such identity", "Load key")
HOST_TROUBLE = ("Host key verification failed", "host key", "No RSA host key")
# The mirror's dispatcher reads rsync's command line, so it may not be hidden.
ENVIRONMENT = {"LC_ALL": "C.UTF-8", "RSYNC_PROTECT_ARGS": "0"}
DELAY_MAX = 600.0

_T = TypeVar("_T")


class MirrorError(StxMirrorError):
    """What does not pass without a person."""


class Passing(Exception):
    """What may pass: a mirror that is busy, a link that is down."""


@dataclass(frozen=True)
class Way:
    """How a mirror is reached. An empty ``host`` is a mirror on this host or a mounted path.

    ``program`` and ``config`` are of such a mirror. ``attempts`` are made in all, the second after
    ``delay`` seconds, then after twice as many each; ``io_timeout`` seconds without progress end a
    transfer, which is then tried again.
    """

    host: str
    port: int
    user: str
    key: str
    known_hosts: str
    program: Sequence[str]
    config: str
    attempts: int
    delay: float
    io_timeout: int = 120


@dataclass(frozen=True)
class Published:
    """What became of a publication: the mirror's reply, and what was sent for it."""

    reply: dict[str, Any]
    sent_files: int
    sent_bytes: int
    reused_bytes: int


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


class Mirror:
    """One mirror; ``tell`` is told what it is waited for."""

    def __init__(self, way: Way, tell: Callable[[str], None]) -> None:
        """Nothing is asked of the mirror yet."""
        self.way = way
        self.tell = tell
        self.name = way.host or "on this host"
        self.remote_shell = [
            *("ssh", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes"),
            *("-o", "StrictHostKeyChecking=yes", "-o", "ConnectTimeout=20"),
            *("-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=4"),
            *("-o", f"UserKnownHostsFile={way.known_hosts}"),
            *("-p", str(way.port), "-i", way.key),
        ]

    def publish(self, build_id: str, tree: Path) -> Published:
        """Bring a sealed tree to the mirror and make it visible."""
        later = f"; if it is stopped, `stx-mirror publish {build_id}` publishes it later"
        return self._persist(lambda: self._publish(build_id, tree), later)

    def known(self, build_ids: Sequence[str]) -> dict[str, dict[str, str]]:
        """Return of each build its ``state``: ``published``, ``withdrawn`` or ``absent``.

        With the ``result`` of a published one, and the ``reason`` of a withdrawn one.
        """
        request = json.dumps({"builds": list(build_ids)})
        answer = self._persist(lambda: self._call("known", request=request)).get("builds")
        if not isinstance(answer, dict) or not all(
            isinstance(answer.get(build_id), dict) for build_id in build_ids
        ):
            raise MirrorError(f"the mirror {self.name} did not say which builds it has")
        return answer

    def list(self) -> dict[str, Any]:
        """Return what the mirror has."""
        return self._persist(lambda: self._call("list"))

    def prune(self, delete: Sequence[str], *, allow_more: bool) -> dict[str, Any]:
        """Ask the mirror to delete builds; return what it says it did."""
        request = json.dumps({"delete": list(delete), "allow_more": allow_more})
        return self._persist(lambda: self._call("prune", request=request))

    def _publish(self, build_id: str, tree: Path) -> Published:
        manifest = read_manifest(tree, build_id)
        begun = self._call("begin", build_id, request=json.dumps(manifest))
        if begun["state"] == "open" and begun["need"]:
            self._send(tree, begun["need"], begun["upload"])
        reply = self._call("promote", build_id)
        return Published(reply, len(begun["need"]), begun["need_bytes"], begun["have_bytes"])

    def _persist(self, action: Callable[[], _T], later: str = "") -> _T:
        """Do ``action`` until it succeeds, fails for good, or was tried often enough.

        ``later`` is told to whoever waits: how it can be done another time.
        """
        way = self.way
        for attempt in range(1, way.attempts + 1):
            try:
                return action()
            except Passing as error:
                if attempt == way.attempts:
                    raise MirrorError(
                        f"{error} (tried {way.attempts} times). See to the mirror or the way to "
                        "it, then run this again: nothing on the mirror was left half done"
                    ) from error
                pauses = [min(way.delay * 2 ** (n - 1), DELAY_MAX) for n in range(1, way.attempts)]
                left = sum(pauses[attempt - 1 :])
                self.tell(
                    f"{error}; attempt {attempt} of {way.attempts}, the next one in "
                    f"{pauses[attempt - 1]:.0f} s, the last one in {_span(left)}{later}"
                )
                time.sleep(pauses[attempt - 1])
        raise MirrorError("it was not tried: the number of attempts has to be at least 1")

    def _call(self, *words: str, request: str = "") -> dict[str, Any]:
        """Run one verb; return its JSON reply."""
        if self.way.host:
            # An IPv6 address is written bare: ssh takes what follows the '@' as it is.
            command = [*self.remote_shell, f"{self.way.user}@{self.way.host}", "mirrorctl"]
        else:
            command = [*self.way.program, "--config", self.way.config]
        code, out, stderr = _run([*command, *words], request)
        if code != 0:
            self._fail(code, stderr, words[0])
        try:
            reply = json.loads(out)
        except ValueError as error:
            raise MirrorError(
                f"the mirror {self.name} answered {words[0]} with something that is not JSON "
                f"({out[:200]!r}): nothing but mirrorctl may write to the account's output"
            ) from error
        return dict(reply)

    def _send(self, tree: Path, files: Sequence[str], token: str) -> None:
        """Send ``files`` (paths below ``tree``) into the open upload."""
        command = ["rsync", "--times", "--no-perms", "--partial", "--files-from=-"]
        # A file of an earlier attempt is compared by content: its size and time prove nothing.
        command += ["--ignore-times", f"--timeout={self.way.io_timeout}"]
        if self.way.host:
            # rsync parts host and path at a colon, so an IPv6 address needs brackets here.
            host = f"[{self.way.host}]" if ":" in self.way.host else self.way.host
            command += ["-e", " ".join(self.remote_shell)]
            target = f"{self.way.user}@{host}:{token}/"
        else:
            target = str(self._incoming() / token) + "/"
        code, _, stderr = _run([*command, f"{tree}/", target], "\n".join(files) + "\n")
        if code == 0:
            return
        if "mirrorctl: " in stderr:
            # The mirror's own words: rsync only sees that the other end is gone.
            raise MirrorError(
                f"the mirror {self.name} refuses what is sent: {_mirrors_words(stderr)}"
            )
        if code in RSYNC_DROPPED:
            self._fail(SSH_FAILED, stderr, "the transfer")
        raise MirrorError(f"rsync to the mirror {self.name} failed ({code}): {stderr}")

    def _incoming(self) -> Path:
        config = Path(self.way.config)
        try:
            return Path(json.loads(config.read_text(encoding="utf-8"))["store"]) / INCOMING
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise MirrorError(f"{config} is not the configuration of a mirror: {error}") from error

    def _fail(self, code: int, stderr: str, what: str) -> NoReturn:
        if code == REFUSED:
            raise MirrorError(f"the mirror {self.name} refuses {what}: {_mirrors_words(stderr)}")
        if code == BUSY:
            raise Passing(f"the mirror {self.name} is busy: {_mirrors_words(stderr)}")
        if code == SSH_FAILED and self.way.host:
            self._fail_by_ssh(stderr)
        if code == SSH_FAILED:
            raise Passing(f"{what} to the mirror {self.name} broke off: {stderr}")
        if code == 127:
            raise MirrorError(f"the mirror {self.name} has no mirrorctl: provision it ({stderr})")
        raise MirrorError(
            f"{what} failed on the mirror {self.name} ({code}): {_mirrors_words(stderr)}"
        )

    def _fail_by_ssh(self, stderr: str) -> NoReturn:
        key, user = self.way.key, self.way.user
        where = f"{user}@{self.way.host} port {self.way.port}"
        if any(words in stderr for words in KEY_TROUBLE):
            raise MirrorError(
                f"the mirror refuses the key {key} for {where}: check that the key is there and "
                f"that {key}.pub stands in the authorized keys of {user} on the mirror, then "
                f"publish again ({stderr})"
            )
        if any(words in stderr for words in HOST_TROUBLE):
            raise MirrorError(
                f"the host key of {where} is not the one in {self.way.known_hosts}: find out why; "
                f"if the mirror was really made anew, provision the build host again ({stderr})"
            )
        raise Passing(f"the mirror does not answer at {where}: {stderr}")


def _run(command: Sequence[str], text: str) -> tuple[int, str, str]:
    """Run a command without a terminal; return exit code, output, last words."""
    try:
        done = subprocess.run(
            command,
            input=text.encode(),
            capture_output=True,
            check=False,
            env=dict(os.environ, **ENVIRONMENT),
        )
    except OSError as error:
        raise MirrorError(f"{command[0]} cannot be run here: {error.strerror}") from error
    lines = [line.strip() for line in done.stderr.decode("utf-8", "replace").split("\n")]
    words = " / ".join([line for line in lines if line][-4:])
    return done.returncode, done.stdout.decode("utf-8", "replace"), words


def _mirrors_words(stderr: str) -> str:
    """Return what mirrorctl said without what ssh or rsync said around it."""
    words = [part for part in stderr.split(" / ") if part.startswith("mirrorctl: ")]
    return words[-1][len("mirrorctl: ") :] if words else stderr or "no reason was given"


def read_manifest(tree: Path, build_id: str) -> dict[str, Any]:
    """Return the manifest of a sealed tree for ``mirrorctl begin``."""
    again = f"collect the build {build_id} again"
    try:
        lines = (tree / SUMS).read_text(encoding="ascii").split("\n")
    except OSError as error:
        raise MirrorError(f"{tree / SUMS} cannot be read ({error.strerror}): {again}") from error
    sums = {path: digest for digest, _, path in (x.partition("  ") for x in lines) if path}
    for name in UNLISTED:
        if (tree / name).is_file():
            sums[name] = hashlib.sha256((tree / name).read_bytes()).hexdigest()
    files = []
    for path in sorted(sums):
        try:
            size = (tree / path).stat().st_size
        except OSError as error:
            raise MirrorError(f"{tree / path} is listed and missing: {again}") from error
        files.append({"path": path, "sha256": sums[path], "size": size})
    return {"id": build_id, "files": files}
