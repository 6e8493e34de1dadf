"""The forced command of the two keys: what a connection may ask for, and nothing else."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import time
from typing import NoReturn

from stxmirror.errors import StxMirrorError
from stxmirror.mirror import uploads
from stxmirror.mirror.config import Config
from stxmirror.mirror.errors import shown

VERBS = {"publish": ("begin", "promote", "known"), "prune": ("list", "prune")}
_WITH_ID = frozenset({"begin", "promote"})
# rsync's options and a token need no other character, so that no reader of the rebuilt
# command line can take it apart in another way than this module did.
_PLAIN = re.compile(r"[A-Za-z0-9.,=/_%:+-]+", re.ASCII)

# How often it is looked at what an upload holds while it is sent.
_LOOK_SECONDS = 0.2
# rsync may want to write a few lines beside what it receives.
_SMALLEST_LIMIT = 64 * 1024


def allowed(role: str, command: str) -> list[str]:
    """Return the words of a permitted command of ``role`` (``publish``, ``prune``), or raise."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise _refusal(role, command) from error
    if role == "publish" and words[:2] == ["rsync", "--server"]:
        return _checked_rsync(words)
    program, verb, arguments = words[:1], "".join(words[1:2]), words[2:]
    if program == ["mirrorctl"] and verb in VERBS[role] and len(arguments) == (verb in _WITH_ID):
        return words
    raise _refusal(role, command)


def _refusal(role: str, command: str) -> StxMirrorError:
    usage = [f"mirrorctl {verb}{' ID' if verb in _WITH_ID else ''}" for verb in VERBS[role]]
    if role == "publish":
        usage.append("rsync to an open upload")
    instead = f"not {shown(command)}" if command else "no shell"
    return StxMirrorError(f"this key lets you run {', '.join(usage)}, and {instead}")


def _checked_rsync(words: list[str]) -> list[str]:
    if "--sender" in words:
        raise StxMirrorError("this key only sends: read the mirror over HTTP")
    if not all(_PLAIN.fullmatch(word) for word in words):
        raise StxMirrorError("rsync's command line has characters that no upload needs")
    *options, dot, target = words
    token = target.rstrip("/")
    if dot != "." or not all(word.startswith("-") for word in options[1:]):
        raise StxMirrorError(
            "rsync may name one directory, that of the upload: rsync ... HOST:<upload>/ "
            "(without --secluded-args)"
        )
    if not uploads.is_token(token):
        raise StxMirrorError(
            f"{shown(target)} is not an upload: send to the name that `mirrorctl begin` answers"
        )
    return words


def run_rsync(config: Config, words: list[str]) -> NoReturn:
    """Run rsync's server, jailed by rrsync to the upload's directory; exit as it does.

    While it runs, the upload is kept within what was promised: one that outgrows that is ended and
    emptied.
    """
    token = words[-1].rstrip("/")
    path = config.incoming / token
    quota = uploads.quota(config, token)
    if quota is None or not path.is_dir() or path.is_symlink():
        raise StxMirrorError("no such upload is open: begin it (again), then send")
    program = shutil.which("rrsync")
    if program is None:
        raise StxMirrorError("this mirror has no rrsync: install rsync 3.2.4 or newer there")
    # Readable for the mirror whatever group rsync gives it; `incoming` keeps everybody else out.
    os.umask(0o022)
    # No file can outgrow the largest that was promised, however fast it comes.
    limit = max(quota.largest, _SMALLEST_LIMIT)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    child = subprocess.Popen(
        [program, "-wo", "-no-del", str(path)],
        env={**os.environ, "SSH_ORIGINAL_COMMAND": " ".join([*words[:-1], "."])},
        start_new_session=True,
    )
    pause = _LOOK_SECONDS
    code = None
    while code is None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = child.wait(pause)
        began = time.monotonic()
        if uploads.is_beyond(config, token, quota):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            uploads.empty_directory(config, token)
            raise StxMirrorError(
                "more was sent than was announced, and all of it is removed: send what `mirrorctl "
                "begin` asked for, and nothing else"
            )
        # Many files take long to look at: no more than a tenth of the time goes into that.
        pause = max(_LOOK_SECONDS, 10 * (time.monotonic() - began))
    sys.exit(code if code >= 0 else 128 - code)
