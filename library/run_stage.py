#!/usr/bin/python3
"""Run one stage of a build as a tree of processes that ends as a whole."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
---
module: run_stage
short_description: Run one stage of a build, and end everything that it started
version_added: "0.1.0"
author:
  - StarlingX build tools (@starlingx)
description:
  - Runs one command without a shell, in a session of its own, with nothing on its standard input.
  - Its output goes straight into O(log), so that a person can follow it while it runs.
  - Whatever the command starts, daemons too, ends with the stage, first by SIGTERM, then by
    SIGKILL. A process that gave itself to another user is out of reach and is named in RV(msg).
  - The environment is clean. Only C(HOME), C(USER), C(LOGNAME), C(SHELL), C(LANG), C(TZ), a
    standard C(PATH) and O(environment) get through, so that two people who start
    the same build get the same build.
options:
  command:
    description:
      - The command and its arguments. The first word is an absolute path, a path relative to
        O(chdir) if it contains a slash, or is looked up along C(PATH) of O(environment).
    type: list
    elements: str
    required: true
  chdir:
    description: The directory in which it runs.
    type: path
    required: true
  environment:
    description: Environment variables, as name and value.
    type: dict
    default: {}
  log:
    description:
      - The file that its output is appended to. The directory must exist.
    type: path
    required: true
  time_limit:
    description: Seconds that all attempts together may take.
    type: int
    required: true
  retries:
    description: How many times a failed command is started again. A time-out is not retried.
    type: int
    default: 0
  min_free_bytes:
    description: The stage fails at once if the file system of O(chdir) has less room than this.
    type: int
    default: 0
attributes:
  check_mode:
    description: In check mode nothing is started, and RV(result) is V(skipped).
    support: full
"""

EXAMPLES = r"""
- name: Build the packages
  run_stage:
    command: [build-pkgs, --std]
    chdir: /localdisk/loadbuild/builder/master/20261101T020000Z
    environment:
      PATH: /localdisk/designer/builder/master/cgcs-root/build-tools:/usr/bin:/bin
    log: /localdisk/loadbuild/builder/master/20261101T020000Z/logs/packages.log
    time_limit: 3600
  become: true
  become_user: builder
"""

RETURN = r"""
result:
  description: How the stage ended.
  returned: always
  type: str
  sample: ok
  choices: [ok, failed, timeout, skipped]
started:
  description: When the first attempt began, UTC.
  returned: always
  type: str
  sample: "2026-11-01T02:00:00Z"
finished:
  description: When the last process of the stage was gone, UTC.
  returned: always
  type: str
  sample: "2026-11-01T02:10:00Z"
seconds:
  description: Wall time of all attempts, in seconds.
  returned: always
  type: float
  sample: 600.2
cpu_seconds:
  description: User and system time of every process of the stage, in seconds.
  returned: always
  type: float
  sample: 1100.5
peak_memory_bytes:
  description:
    - The largest resident size that a single process of the stage reached. It is never less than
      the size of the Python that started the stage.
  returned: always
  type: int
  sample: 734003200
exit_code:
  description:
    - Of the last attempt; 128 plus the signal for a command that a signal ended; null for one that
      ran out of time.
  returned: always
  type: int
  sample: 0
attempts:
  description: How many times the command was started.
  returned: always
  type: int
  sample: 1
excerpt:
  description: The last lines that the last attempt wrote, at most 30, of at most 500 characters.
  returned: always
  type: list
  elements: str
  sample: ["error: Bad exit status from /var/tmp/rpm-tmp.x (%build)"]
"""

import contextlib
import os
import pwd
import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.process_tree import bequeath_to_me, die_with_parent, end_tree, reap

STANDARD_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
EXCERPT_LINES = 30
EXCERPT_BYTES = 64 * 1024
EXCERPT_WIDTH = 500
# Between two attempts: what is worth a retry is a network that was away for a moment.
RETRY_PAUSE_SECONDS = 5.0

ENDING_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Ended(Exception):
    """This process was told to end while a stage was running."""


def utc(seconds: float) -> str:
    """Return a time since the epoch as build records write it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def excerpt(log: Path, offset: int) -> list[str]:
    """Return the last lines that were written to ``log`` behind ``offset``."""
    try:
        with log.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(offset, size - EXCERPT_BYTES))
            text = stream.read().decode("utf-8", "replace")
    except OSError:
        return []
    lines = [line.rpartition("\r")[2].rstrip() for line in text.replace("\r\n", "\n").split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    return ["".join(c if c.isprintable() else " " for c in line)[:EXCERPT_WIDTH] for line in lines][
        -EXCERPT_LINES:
    ]


def clean_environment(extra: dict[str, Any]) -> dict[str, str]:
    """Return the environment of a stage: a few standard variables and the given ones."""
    account = pwd.getpwuid(os.geteuid())
    return {
        "HOME": account.pw_dir,
        "USER": account.pw_name,
        "LOGNAME": account.pw_name,
        "SHELL": "/bin/sh",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "PATH": STANDARD_PATH,
        **{name: "" if value is None else str(value) for name, value in extra.items()},
    }


def find_program(word: str, chdir: Path, path: str) -> str | None:
    """Return the absolute path of the program that ``word`` names, or None."""
    if "/" in word:
        program = chdir / word
        return str(program) if program.is_file() and os.access(program, os.X_OK) else None
    return shutil.which(word, path=path)


class Stage:
    """One command under one time limit."""

    def __init__(self, params: dict[str, Any]) -> None:
        self.command: list[str] = params["command"]
        self.chdir = Path(params["chdir"])
        self.log = Path(params["log"])
        self.environment = clean_environment(params["environment"])
        self.retries: int = params["retries"]
        self.min_free_bytes: int = params["min_free_bytes"]
        self.deadline = time.monotonic() + params["time_limit"]
        self.time_limit: int = params["time_limit"]

    def refusal(self) -> str | None:
        """Return why the command cannot be started, or None."""
        if not self.chdir.is_dir():
            return (
                f"has no working directory: {self.chdir} does not exist, an earlier stage makes it"
            )
        volume = os.statvfs(self.chdir)
        free = volume.f_bavail * volume.f_frsize
        if free < self.min_free_bytes:
            return (
                f"was not started: {self.chdir} has {free // 1000000} MB free, and it needs "
                f"{self.min_free_bytes // 1000000} MB: free some (`stx-mirror prune`)"
            )
        word = self.command[0]
        if find_program(word, self.chdir, self.environment["PATH"]) is None:
            where = self.chdir if "/" in word else self.environment["PATH"]
            return (
                f"was not found in {where}: correct the stage's command or PATH in the profile, "
                "or install what provides it"
            )
        return None

    def attempt(self) -> int | None:
        """Start the command once; return its exit code, or None when its time ran out.

        Its processes may still be there afterwards.
        """
        program = find_program(self.command[0], self.chdir, self.environment["PATH"])

        def prepare() -> None:
            # Signals are blocked here so that they can be waited for; the stage gets them.
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD, *ENDING_SIGNALS])
            die_with_parent()
            os.umask(0o022)

        with self.log.open("ab") as output:
            child = subprocess.Popen(
                self.command,
                executable=program,
                cwd=self.chdir,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=prepare,  # noqa: PLW1509 - this process has one thread
            )
        while True:
            statuses = reap()
            if child.pid in statuses:
                code = os.waitstatus_to_exitcode(statuses[child.pid])
                child.returncode = code
                return code if code >= 0 else 128 - code
            remaining = self.deadline - time.monotonic()
            if remaining <= 0:
                child.returncode = -signal.SIGKILL
                return None
            # SIGCHLD may have come between reap() and here; it then stays pending.
            got = signal.sigtimedwait([signal.SIGCHLD, *ENDING_SIGNALS], remaining)
            if got is not None and got.si_signo in ENDING_SIGNALS:
                child.returncode = -signal.SIGKILL
                raise Ended(signal.Signals(got.si_signo).name)

    def note(self, text: str) -> None:
        """Append a line of our own to the log; a full disk does not stop the verdict."""
        with contextlib.suppress(OSError), self.log.open("a") as output:
            output.write(f"== {text}\n")

    def run(self) -> dict[str, Any]:
        """Run the command, again where allowed; return what the module returns."""
        code: int | None = 127
        attempts = 0
        offset = self.log.stat().st_size if self.log.exists() else 0
        why = self.refusal()
        left: list[int] = []
        while why is None:
            attempts += 1
            code = self.attempt()
            left = end_tree()
            if code is None:
                why = f"took longer than its time limit of {self.time_limit} s and was ended"
            elif code == 0:
                break
            elif attempts <= self.retries and time.monotonic() < self.deadline:
                self.note(f"attempt {attempts} of {1 + self.retries} ended with exit code {code}")
                time.sleep(RETRY_PAUSE_SECONDS)
                offset = self.log.stat().st_size
            else:
                why = f"ended with exit code {code}"
        if why is not None:
            self.note(f"{self.command[0]} {why}")
        if left:
            self.note(f"could not be ended, since they run as another user: {left}")
        return {
            "result": "ok" if why is None else "timeout" if code is None else "failed",
            "exit_code": code,
            "attempts": attempts,
            "excerpt": excerpt(self.log, offset),
            "msg": f"{self.command[0]} {why or 'succeeded'}"
            + (f"; processes of another user are left: {left}" if left else ""),
        }


def main() -> None:
    """Read the arguments, run the stage and report."""
    module = AnsibleModule(
        argument_spec={
            "command": {"type": "list", "elements": "str", "required": True},
            "chdir": {"type": "path", "required": True},
            "environment": {"type": "dict", "default": {}},
            "log": {"type": "path", "required": True},
            "time_limit": {"type": "int", "required": True},
            "retries": {"type": "int", "default": 0},
            "min_free_bytes": {"type": "int", "default": 0},
        },
        supports_check_mode=True,
    )
    params = module.params
    if not params["command"] or not params["command"][0]:
        module.fail_json(msg="command is empty: name the program that the stage runs")
    if params["time_limit"] <= 0:
        module.fail_json(msg="time_limit must be a positive number of seconds")
    began, clock = time.time(), time.monotonic()
    verdict: dict[str, Any] = {
        "result": "skipped",
        "exit_code": 0,
        "attempts": 0,
        "excerpt": [],
        "msg": "check mode: nothing was started",
    }
    if not module.check_mode:
        log = Path(params["log"])
        if not log.parent.is_dir():
            module.fail_json(msg=f"the directory of the log {log} does not exist: make it first")
        bequeath_to_me()
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD, *ENDING_SIGNALS])
        try:
            verdict = Stage(params).run()
        except Ended as ended:
            end_tree()
            module.fail_json(msg=f"the build was ended by {ended} while this stage was running")
        except OSError as error:
            end_tree()
            module.fail_json(msg=f"the stage could not be started: {error}")
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    module.exit_json(
        changed=True,
        failed=verdict["result"] in ("failed", "timeout"),
        started=utc(began),
        finished=utc(time.time()),
        seconds=round(time.monotonic() - clock, 1),
        cpu_seconds=round(usage.ru_utime + usage.ru_stime, 1),
        # Linux counts ru_maxrss in KiB, see getrusage(2).
        peak_memory_bytes=usage.ru_maxrss * 1024,
        **verdict,
    )


if __name__ == "__main__":
    main()
