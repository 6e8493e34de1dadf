"""The command ``stx-watch``."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from stxmirror.watch import checks, render, report
from stxmirror.watch.model import UNKNOWN, Verdict, worst
from stxmirror.watch.report import Mailed
from stxmirror.watch.settings import Settings

SETTINGS = Path("/etc/stx-mirror/watch.json")
SENDMAIL = "/usr/sbin/sendmail"
MAIL_TIMEOUT = 60

EPILOG = """\
exit status: 0 all is fine, 1 warning, 2 critical, 3 something could not be found out"""


def main(arguments: Sequence[str] | None = None, settings_file: Path = SETTINGS) -> int:
    """Check, report, return the exit code."""
    parser = argparse.ArgumentParser(
        prog="stx-watch", description="Reports host health.", epilog=EPILOG
    )
    parser.add_argument(
        "--report",
        action="store_true",
        help="also write the Prometheus file, and mail what changed (the timer does)",
    )
    given = parser.parse_args(arguments)
    try:
        settings = Settings.parse(json.loads(settings_file.read_text()), str(settings_file))
    except (OSError, ValueError) as error:
        sys.stderr.write(
            f"stx-watch: {settings_file} cannot be read: {error}; run it as root, and "
            "playbooks/provision.yml if the file is not there\n"
        )
        return UNKNOWN
    now = time.time()
    verdicts = checks.run(settings.checks, now)
    sys.stdout.write(render.text(verdicts))
    if given.report:
        deliver(settings, verdicts, now)
    return worst(verdicts)


def deliver(settings: Settings, verdicts: Sequence[Verdict], now: float) -> None:
    """Write the Prometheus file, and mail what people have not heard yet."""
    if settings.prometheus_file:
        write(Path(settings.prometheus_file), render.prometheus(verdicts, now), 0o644)
    memory = Path(settings.memory)
    mailed = _mailed(memory)
    if not report.mail_due(verdicts, mailed, settings.mail_repeat_hours, now):
        return
    if send(report.message(verdicts, mailed, socket.gethostname(), settings.mail_to)):
        heard = Mailed(report.states(verdicts), now)
        write(memory, json.dumps(heard.to_json(), indent=2) + "\n", 0o600)


def _mailed(memory: Path) -> Mailed:
    try:
        return Mailed.parse(json.loads(memory.read_text()))
    except (OSError, ValueError, RecursionError):
        return Mailed()  # nothing was mailed yet: better twice than never


def send(mail: str) -> bool:
    """Hand a mail to the host's own mail system; say whether it took it."""
    if not shutil.which(SENDMAIL):
        sys.stderr.write(f"stx-watch: nothing is mailed, because there is no {SENDMAIL}\n")
        return False
    # A mail system that was never started may wait forever, in a process that it started in turn:
    # timeout(1) ends them all.
    done = subprocess.run(
        ["timeout", "--kill-after=5", str(MAIL_TIMEOUT), SENDMAIL, "-t", "-oi"],
        input=mail.encode("utf-8", "replace"),
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        stderr = " ".join(done.stderr.decode(errors="replace").split())[:300]
        reason = stderr or f"{SENDMAIL} ended with {done.returncode}"
        sys.stderr.write(f"stx-watch: the mail was not sent: {reason}\n")
    return done.returncode == 0


def write(path: Path, content: str, mode: int) -> None:
    """Replace a file as a whole: a reader sees the old content or the new one."""
    # The node exporter reads *.prom only, so it does not see this one.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            out.write(content)
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
