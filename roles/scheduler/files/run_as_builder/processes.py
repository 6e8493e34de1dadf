# SPDX-License-Identifier: Apache-2.0
"""The processes of one command: the first of their name space, what it starts, how all end."""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import resource
import select
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from run_as_builder.places import ACCOUNT, HOME, Request, open_directory
from run_as_builder.view import libc

PACKAGE_SERVER = Path("/usr/local/libexec/stx-mirror/package-server")
# StarlingX's mock configurations name it.
PACKAGE_SERVER_PORT = 8088
STANDARD_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# Between SIGTERM to everything and SIGKILL to what is left; the same again for that to be gone.
GRACE_SECONDS = 10.0
CHECK_SECONDS = 2.0
# Sizes are measured no more often than this, and for no more than a twentieth of the time.
MEASURE_SECONDS = 20.0
MEASURE_SHARE = 20.0

# <asm/unistd.h>, <linux/keyctl.h>
SYS_KEYCTL = {"x86_64": 250, "aarch64": 219}
JOIN_SESSION_KEYRING, CLEAR_KEYRING, USER_KEYRING, USER_SESSION_KEYRING = 1, 7, -4, -5

ENDING_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def fork(action: Callable[[], object]) -> int:
    """Start a process that does one thing; return its id."""
    pid = os.fork()
    if pid:
        return pid
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
        # Python ignores the last two, and a program would inherit that.
        for number in (*ENDING_SIGNALS, signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        action()
    except Exception as error:
        sys.stderr.write(f"run-as-builder: {error!r}\n")
    finally:
        os._exit(127)


def execute(program: str, words: list[str], environment: dict[str, str] | None = None) -> None:
    """Become a program."""
    os.execve(program, words, {} if environment is None else environment)  # noqa: S606


def become_builder() -> None:
    """Give up root's rights for good, in a session of its own."""
    account = pwd.getpwnam(ACCOUNT)
    os.setsid()
    os.umask(0o022)
    os.initgroups(ACCOUNT, account.pw_gid)
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)
    # The kernel keeps an account's keys, whatever processes of it are gone.
    if number := SYS_KEYCTL.get(os.uname().machine):
        libc.syscall(ctypes.c_long(number), JOIN_SESSION_KEYRING, None)
        for keyring in (USER_KEYRING, USER_SESSION_KEYRING):
            libc.syscall(ctypes.c_long(number), CLEAR_KEYRING, ctypes.c_long(keyring))


def serve_packages(listening: int) -> None:
    """Become the package server when the build first asks for one."""
    become_builder()
    os.dup2(listening, 0)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    select.select([0], [], [])
    execute(str(PACKAGE_SERVER), [str(PACKAGE_SERVER)])


def open_log(log: str | None) -> int:
    """Open where the command's output goes; for the builder, with the builder's rights."""
    if log is None:
        return os.open("/dev/null", os.O_WRONLY)
    Path(log).parent.mkdir(parents=True, exist_ok=True)
    # A pipe under that name would otherwise hold everything up.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
    return os.open(log, flags, 0o644)


def open_input(text: str) -> int:
    """Open what the command reads."""
    if not text:
        return os.open("/dev/null", os.O_RDONLY)
    opened = os.memfd_create("input")
    with open(opened, "wb", closefd=False) as file:
        file.write(os.fsencode(text))
    os.lseek(opened, 0, os.SEEK_SET)
    return opened


def start_command(request: Request, hindrance: int) -> None:
    """Become the command, or write why not into a pipe."""
    word = request.command[0]
    environment = {
        "SHELL": "/bin/sh",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "PATH": STANDARD_PATH,
        **request.environment,
        "HOME": str(HOME),
        "USER": ACCOUNT,
        "LOGNAME": ACCOUNT,
    }
    try:
        become_builder()
        given, output = open_input(request.input), open_log(request.log)
        for number, opened in enumerate((given, output, output)):
            os.dup2(opened, number)
        try:
            os.chdir(request.chdir)
        except OSError as error:
            error.strerror = (
                f"it has no working directory, an earlier stage makes it ({error.strerror})"
            )
            raise
        program = shutil.which(word, path=environment["PATH"])
        if program is None:
            where = request.chdir if "/" in word else environment["PATH"]
            why = (
                f"{word} was not found in {where}: correct the stage's command or PATH in the "
                "profile, or install what provides it"
            )
        else:
            if request.max_bytes:
                limits = (request.max_bytes, request.max_bytes)
                resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            execute(program, request.command, environment)
    except OSError as error:
        why = f"{word} could not be started: {error.filename}: {error.strerror}"
    os.write(hindrance, why.encode("utf-8", "replace"))


class Meter:
    """What the build takes up, measured by a process of root's that follows no link."""

    def __init__(self, directories: list[int]) -> None:
        self.directories = directories
        self.pid = 0
        self.size = 0
        self._output = -1
        self._started = 0.0
        self._due = time.monotonic() + MEASURE_SECONDS

    def start_if_due(self) -> None:
        """Begin to measure, if that was last done long enough ago."""
        if self.pid or time.monotonic() < self._due:
            return
        self._output, writing = os.pipe()
        self._started = time.monotonic()
        self.pid = fork(lambda: self._become_du(writing))
        os.close(writing)

    def _become_du(self, writing: int) -> None:
        os.dup2(writing, 1)
        os.dup2(os.open("/dev/null", os.O_WRONLY), 2)
        for directory in self.directories:
            os.set_inheritable(directory, True)
        places = [f"/proc/self/fd/{directory}/." for directory in self.directories]
        execute("/usr/bin/du", ["du", "-scx", "--block-size=1", "--", *places])

    def finish(self) -> None:
        """Take over what was measured, from a process that has ended."""
        with os.fdopen(self._output, "rb") as output:
            total = output.read().rstrip(b"\n").rpartition(b"\n")[2].split(b"\t")[0]
        # Nothing, if it was itself ended.
        self.size = int(total) if total.isdigit() else 0
        now = time.monotonic()
        self._due = now + max(MEASURE_SECONDS, MEASURE_SHARE * (now - self._started))
        self.pid = 0


class Init:
    """The first process of the name spaces, with which all others end."""

    def __init__(self, request: Request) -> None:
        """Open what is watched, while all of it can be seen."""
        self.request = request
        self.name = request.command[0]
        self.volumes = {path: open_directory(path) for path in (request.work, request.downloads)}
        measured = [request.work, request.state]
        if request.sources != "none":
            measured.append(request.checkout)
        self.meter = Meter([open_directory(path) for path in measured])
        self.command = self.server = 0
        self.exit_code: int | None = None
        self.cpu_seconds = 0.0
        self.peak_kib = 0

    def serve(self) -> None:
        """Offer the build's packages to it."""
        with socket.create_server(("127.0.0.1", PACKAGE_SERVER_PORT)) as listening:
            self.server = fork(lambda: serve_packages(listening.fileno()))

    def start(self) -> str:
        """Start the command; return why that was not possible, or nothing."""
        reading, writing = os.pipe()
        self.command = fork(lambda: start_command(self.request, writing))
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            return pipe.read().decode()

    def reap(self) -> bool:
        """Collect what has ended; return whether anything is left."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self.meter.pid:
                self.meter.finish()
            elif pid != self.server:
                self.cpu_seconds += usage.ru_utime + usage.ru_stime
                self.peak_kib = max(self.peak_kib, usage.ru_maxrss)
            if pid == self.command:
                code = os.waitstatus_to_exitcode(status)
                self.exit_code = code if code >= 0 else 128 - code

    def watch(self) -> tuple[str, str]:
        """Wait until the command ends, or has to; return result and reason."""
        limit, most = self.request.time_limit, self.request.max_bytes
        deadline = time.monotonic() + limit
        while True:
            self.reap()
            if self.exit_code is not None:
                return self.judge(self.exit_code)
            left = deadline - time.monotonic()
            if left <= 0:
                return "timeout", (
                    f"{self.name} took longer than its time limit of {limit:g} s and was ended: "
                    "see in its log what it waited for, or raise time_limit in the profile"
                )
            if why := self.no_room():
                return "full", f"{self.name} was ended: {why}"
            if most and self.meter.size > most:
                return "too-big", (
                    f"{self.name} was ended: the build takes up {self.meter.size // 1000000} MB, "
                    f"more than its limit of {most // 1000000} MB: make it smaller, or raise that"
                )
            if most:
                self.meter.start_if_due()
            signal.sigtimedwait([signal.SIGCHLD], min(left, CHECK_SECONDS))

    def judge(self, code: int) -> tuple[str, str]:
        """Return result and reason of a command that ended before it had to."""
        most = self.request.max_bytes
        if code == 0:
            return "ok", ""
        if most and code == 128 + signal.SIGXFSZ:
            return "too-big", (
                f"{self.name} was ended: it wrote a file larger than {most // 1000000} MB, the "
                "limit of the whole build: make it smaller, or raise that"
            )
        return "failed", f"{self.name} ended with exit code {code}: see its log"

    def no_room(self) -> str:
        """Return which volume is full, or nothing."""
        for path, directory in self.volumes.items():
            volume = os.fstatvfs(directory)
            free = volume.f_bavail * volume.f_frsize
            if free < self.request.min_free_bytes:
                return (
                    f"{path} has {free // 1000000} MB free, and it needs "
                    f"{self.request.min_free_bytes // 1000000} MB: free some (`stx-mirror prune`)"
                )
        return ""

    def end_all(self) -> None:
        """End every other process of the name space, whoever's it is."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            deadline = time.monotonic() + GRACE_SECONDS
            with contextlib.suppress(ProcessLookupError):
                os.kill(-1, number)
            while self.reap() and time.monotonic() < deadline:
                signal.sigtimedwait([signal.SIGCHLD], 0.1)

    def run(self) -> dict[str, Any]:
        """Run the command and end what it left; return the verdict."""
        started, clock = time.time(), time.monotonic()
        result, why, code = "full", self.no_room(), None
        if why:
            why = f"{self.name} was not started: {why}"
        else:
            if not self.request.network and PACKAGE_SERVER.exists():
                self.serve()
            result, why = "not-started", self.start()
            if not why:
                result, why = self.watch()
                code = self.exit_code
        self.end_all()
        return {
            "result": result,
            "exit_code": code,
            "why": why,
            "seconds": round(time.monotonic() - clock, 3),
            "cpu_seconds": round(self.cpu_seconds, 3),
            # Linux counts ru_maxrss in KiB, see getrusage(2).
            "peak_memory_bytes": self.peak_kib * 1024,
            "started": started,
            "finished": time.time(),
        }
