"""Which account does what: the tree's owner changes the tree, the receiver's owner receives.

The accounts are those that own ``public`` and ``incoming``. On a mirror that is a local path
both may be one; then everything is done in this process.
"""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
from typing import Callable

from stxmirror import fields
from stxmirror.errors import StxMirrorError
from stxmirror.layout import BuildId
from stxmirror.mirror import manifest, uploads
from stxmirror.mirror.config import DEFAULT_PATH, Config
from stxmirror.mirror.errors import EXIT_BUSY, EXIT_REFUSED, Busy
from stxmirror.mirror.store import token_for

Reply = dict[str, object]
# A call of a verb as the tree's owner: verb and arguments, bytes for standard input.
Call = Callable[[list[str], bytes], Reply]


class Relayed(StxMirrorError):
    """What the verb reported as the tree's owner, with its own exit code."""

    def __init__(self, message: str, code: int) -> None:
        """Keep both."""
        super().__init__(message)
        self.code = code


def owners(config: Config) -> tuple[int, int]:
    """Return the user ids that own the tree and the incoming directory."""
    try:
        return config.public.stat().st_uid, config.incoming.stat().st_uid
    except OSError as error:
        raise StxMirrorError(
            f"the store {config.store} is not complete ({error.strerror}: {error.filename}): "
            "provision this host as a mirror"
        ) from error


def become(uid: int) -> None:
    """Give up root for the account ``uid``, so that what is made belongs to it."""
    account = pwd.getpwuid(uid)
    os.initgroups(account.pw_name, account.pw_gid)
    os.setgid(account.pw_gid)
    os.setuid(uid)


def through_sudo(config: Config, program: str) -> Call:
    """Return a call that runs ``program`` as the tree's owner."""
    owner = pwd.getpwuid(owners(config)[0]).pw_name
    options = [] if config.path == DEFAULT_PATH else ["--config", str(config.path)]

    def call(arguments: list[str], data: bytes) -> Reply:
        command = ["sudo", "-n", "-u", owner, program, *options, *arguments]
        done = subprocess.run(command, input=data, capture_output=True, check=False)
        stderr = done.stderr.decode("utf-8", "replace")
        if done.returncode == 0:
            sys.stderr.write(stderr)
            return dict(fields.mapping(json.loads(done.stdout), f"the reply of {arguments[0]}"))
        # Warnings come before it.
        warnings, _, message = stderr.strip().rpartition("\n")
        sys.stderr.write(warnings + "\n" if warnings else "")
        message = message.removeprefix("mirrorctl: ")
        if done.returncode == EXIT_BUSY:
            raise Busy(message)
        code = EXIT_REFUSED if done.returncode == EXIT_REFUSED else 1
        raise Relayed(message or f"`{' '.join(command)}` failed without a word", code)

    return call


def begin(config: Config, call: Call, build: BuildId, data: bytes, key: str) -> Reply:
    """Clear what was abandoned, open the upload, and make the directory that it is sent to.

    ``key`` names the key that asks, which may have so many uploads open.
    """
    opened = fields.strings(expire(config, call), "open", "the reply of expire")
    uploads.check_limit(config, token_for(build), opened, key)
    reply = call(["begin", str(build)], data)
    if reply["state"] == "open":
        token = fields.required(reply, "upload", str, "the reply of begin")
        need = fields.strings(reply, "need", "the reply of begin")
        files = manifest.read_manifest(data, build)
        uploads.open_directory(config, token, {path: files[path].size for path in need}, key)
    return reply


def promote(config: Config, call: Call, build: BuildId) -> Reply:
    """Publish what was sent, and remove what was received."""
    token = token_for(build)
    uploads.keep_readable(config, token)
    reply = call(["promote", str(build)], b"")
    uploads.close_directory(config, token)
    return reply


def expire(config: Config, call: Call) -> Reply:
    """Close the uploads that nobody promoted in time, and remove what came for them."""
    received = uploads.listed(config)
    reply = call(["expire"], b"")
    uploads.sweep(config, received, fields.strings(reply, "open", "the reply of expire"))
    return reply


def known(call: Call, data: bytes) -> Reply:
    """Say of builds whether readers can see them."""
    return call(["known"], data)
