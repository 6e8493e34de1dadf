#!/usr/bin/python3
"""Talk to the mirror: publish a build, list what is there, prune."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
module: mirrorctl
short_description: Publishes to the mirror, lists it, prunes it
description:
  - Runs C(mirrorctl) on the mirror, over SSH or, for a mirror on this host or a mounted path,
    directly.
  - V(publish) is the three steps begin, send, promote. Only what the mirror lacks is sent. A
    dropped connection starts the steps anew, which converges; what arrived stays.
  - What may pass by itself (no connection, a mirror that is busy) is tried again, later and later.
    A refusal is final, and is reported in the mirror's own words.
options:
  command:
    description: What to do.
    type: str
    choices: [publish, list, prune]
    required: true
  id:
    description: The build to publish.
    type: str
  tree:
    description: Its collected and sealed tree.
    type: path
  delete:
    description: For V(prune), the ids of the builds that may go.
    type: list
    elements: str
    default: []
  allow_more:
    description: For V(prune), a person's word that more than the mirror's share may go at once.
    type: bool
    default: false
  host:
    description: The mirror's name or address. Empty for a mirror on this host.
    type: str
    default: ""
  port:
    description: Its SSH port.
    type: int
    default: 22
  user:
    description: The account there.
    type: str
    default: incoming
  key:
    description: The private key.
    type: path
  known_hosts:
    description: The file that has the mirror's host key.
    type: path
  program:
    description: The command C(mirrorctl) of a mirror on this host.
    type: list
    elements: str
    default: [mirrorctl]
  config:
    description: The configuration of a mirror on this host.
    type: path
    default: /etc/stx-mirror/mirror.json
  attempts:
    description: How often all is tried while the mirror cannot be reached or is busy.
    type: int
    default: 6
  delay:
    description: Seconds before the second attempt. They double with each one, up to ten minutes.
    type: float
    default: 10
  io_timeout:
    description: Seconds without any progress after which a transfer is given up and tried again.
    type: int
    default: 120
attributes:
  check_mode:
    description: In check mode V(list) works, and the others neither connect nor change anything.
    support: full
author: StarlingX build tools
"""

EXAMPLES = r"""
- name: Publish
  mirrorctl:
    command: publish
    id: master/sample/20261101T020000Z
    tree: /localdisk/publish/master/sample/20261101T020000Z
    host: mirror.example.org
    key: /var/lib/stx-mirror/.ssh/publish
    known_hosts: /var/lib/stx-mirror/.ssh/known_hosts
"""

RETURN = r"""
reply:
  description: What C(mirrorctl) answered; of V(publish) that of C(promote).
  type: dict
  returned: success, empty in check mode
sent_files:
  description: How many files the mirror lacked.
  type: int
  returned: when command is publish
sent_bytes:
  description: Their bytes.
  type: int
  returned: when command is publish
reused_bytes:
  description: Bytes of the build that the mirror held already.
  type: int
  returned: when command is publish
attempts:
  description: How often it was tried.
  type: int
  returned: success
"""

import hashlib
import json
import os
import subprocess
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DELAY_MAX = 600
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
SUMS = "SHA256SUMS"
SIGNATURE = "SHA256SUMS.asc"


class Final(Exception):
    """An error that does not pass by itself."""


class Passing(Exception):
    """An error that may pass by itself."""


class Mirror:
    """The way to one mirror."""

    def __init__(self, params):
        """Take the module's parameters."""
        self.params = params
        self.host = params["host"]
        self.name = self.host or "on this host"
        self.remote_shell = [
            *("ssh", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes"),
            *("-o", "StrictHostKeyChecking=yes", "-o", "ConnectTimeout=20"),
            *("-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=4"),
            *("-o", f"UserKnownHostsFile={params['known_hosts']}"),
            *("-p", str(params["port"]), "-i", str(params["key"])),
        ]

    def call(self, *words, request=None):
        """Run one verb; return its JSON reply."""
        if self.host:
            command = [*self.remote_shell, f"{self.params['user']}@{self.host}", "mirrorctl"]
        else:
            command = [*self.params["program"], "--config", self.params["config"]]
        code, out, said = run([*command, *words], request)
        if code == 0:
            try:
                return json.loads(out)
            except ValueError as error:
                raise Final(
                    f"the mirror {self.name} answered {words[0]} with something that is not JSON "
                    f"({out[:200]!r}): nothing but mirrorctl may write to the account's output"
                ) from error
        self._raise(code, said, words[0])

    def send(self, tree, files, token):
        """Send ``files`` (paths below ``tree``) into the open upload."""
        command = ["rsync", "--times", "--no-perms", "--partial", "--files-from=-"]
        # A file of an earlier attempt is compared by content: its size and time prove nothing.
        command += ["--ignore-times", f"--timeout={self.params['io_timeout']}"]
        if self.host:
            command += ["-e", " ".join(self.remote_shell)]
            target = f"{self.params['user']}@{self.host}:{token}/"
        else:
            target = str(self._incoming() / token) + "/"
        code, _, said = run([*command, str(tree) + "/", target], "\n".join(files) + "\n")
        if code == 0:
            return
        if "mirrorctl: " in said:
            # The mirror's own words: rsync only sees that the other end is gone.
            raise Final(f"the mirror {self.name} refuses what is sent: {mirrors_words(said)}")
        if code in RSYNC_DROPPED:
            self._raise(SSH_FAILED, said, "the transfer")
        raise Final(f"rsync to the mirror {self.name} failed ({code}): {said}")

    def _incoming(self):
        config = Path(self.params["config"])
        try:
            return Path(json.loads(config.read_text(encoding="utf-8"))["store"]) / "incoming"
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Final(f"{config} is not the configuration of a mirror: {error}") from error

    def _raise(self, code, said, what):
        if code == REFUSED:
            raise Final(f"the mirror {self.name} refuses {what}: {mirrors_words(said)}")
        if code == BUSY:
            raise Passing(f"the mirror {self.name} is busy: {mirrors_words(said)}")
        if code == SSH_FAILED and self.host:
            self._raise_ssh(said)
        if code == SSH_FAILED:
            raise Passing(f"{what} to the mirror {self.name} broke off: {said}")
        if code == 127:
            raise Final(f"the mirror {self.name} has no mirrorctl: provision it ({said})")
        raise Final(f"{what} failed on the mirror {self.name} ({code}): {mirrors_words(said)}")

    def _raise_ssh(self, said):
        key, user = self.params["key"], self.params["user"]
        where = f"{user}@{self.host} port {self.params['port']}"
        if any(words in said for words in KEY_TROUBLE):
            raise Final(
                f"the mirror refuses the key {key} for {where}: check that the key is there and "
                f"that {key}.pub stands in the authorized keys of {user} on the mirror, then "
                f"publish again ({said})"
            )
        if any(words in said for words in HOST_TROUBLE):
            raise Final(
                f"the host key of {where} is not the one in {self.params['known_hosts']}: find out "
                "why; if the mirror was really made anew, provision the build host again "
                f"({said})"
            )
        raise Passing(f"the mirror does not answer at {where}: {said}")


def run(command, text=None):
    """Run a command (a list) without a terminal; return exit code, output, last words."""
    try:
        done = subprocess.run(
            command,
            input=(text or "").encode(),
            capture_output=True,
            check=False,
            env=dict(os.environ, **ENVIRONMENT),
        )
    except OSError as error:
        raise Final(f"{command[0]} cannot be run here: {error.strerror}") from error
    said = [line.strip() for line in done.stderr.decode("utf-8", "replace").splitlines()]
    return (
        done.returncode,
        done.stdout.decode("utf-8", "replace"),
        " / ".join(line for line in said[-4:] if line),
    )


def mirrors_words(said):
    """Return what mirrorctl said without what ssh or rsync said around it."""
    words = [part for part in said.split(" / ") if part.startswith("mirrorctl: ")]
    return words[-1][len("mirrorctl: ") :] if words else said or "no reason was given"


def read_manifest(tree, build_id):
    """Return the manifest of a sealed tree for ``mirrorctl begin``."""
    again = f"collect the build {build_id} again"
    try:
        lines = (tree / SUMS).read_text(encoding="ascii").splitlines()
    except OSError as error:
        raise Final(f"{tree / SUMS} cannot be read ({error.strerror}): {again}") from error
    sums = dict(reversed(line.split("  ", 1)) for line in lines)
    for name in (SUMS, SIGNATURE):
        if (tree / name).is_file():
            sums[name] = hashlib.sha256((tree / name).read_bytes()).hexdigest()
    files = []
    for path in sorted(sums):
        try:
            size = (tree / path).stat().st_size
        except OSError as error:
            raise Final(f"{tree / path} is listed and not there: {again}") from error
        files.append({"path": path, "sha256": sums[path], "size": size})
    return {"id": build_id, "files": files}


def publish(mirror, build_id, tree):
    """Bring one build to the mirror and make it visible; return what the module returns."""
    manifest = read_manifest(tree, build_id)
    begun = mirror.call("begin", build_id, request=json.dumps(manifest))
    if begun["state"] == "open" and begun["need"]:
        mirror.send(tree, begun["need"], begun["upload"])
    reply = mirror.call("promote", build_id)
    return {
        "changed": begun["state"] == "open" or reply["alias"]["moved"],
        "reply": reply,
        "sent_files": len(begun["need"]),
        "sent_bytes": begun["need_bytes"],
        "reused_bytes": begun["have_bytes"],
    }


def prune(mirror, delete, allow_more):
    """Delete builds on the mirror; return what the module returns."""
    request = json.dumps({"delete": delete, "allow_more": allow_more})
    reply = mirror.call("prune", request=request)
    return {"changed": bool(reply["deleted"]), "reply": reply}


def persist(action, attempts, delay):
    """Do ``action`` until it succeeds, fails for good, or was tried ``attempts`` times."""
    for attempt in range(1, attempts + 1):
        try:
            return {**action(), "attempts": attempt}
        except Passing as error:
            if attempt == attempts:
                raise Final(
                    f"{error} (tried {attempts} times). See to the mirror or the way to it, then "
                    "run this again: nothing on the mirror was left half done"
                ) from error
            time.sleep(min(delay * 2 ** (attempt - 1), DELAY_MAX))
    raise Final("it was not tried: `attempts` has to be at least 1")


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "command": {
                "type": "str",
                "required": True,
                "choices": ["publish", "list", "prune"],
            },
            "id": {"type": "str"},
            "tree": {"type": "path"},
            "delete": {"type": "list", "elements": "str", "default": []},
            "allow_more": {"type": "bool", "default": False},
            "host": {"type": "str", "default": ""},
            "port": {"type": "int", "default": 22},
            "user": {"type": "str", "default": "incoming"},
            "key": {"type": "path", "no_log": False},
            "known_hosts": {"type": "path"},
            "program": {"type": "list", "elements": "str", "default": ["mirrorctl"]},
            "config": {"type": "path", "default": "/etc/stx-mirror/mirror.json"},
            "attempts": {"type": "int", "default": 6},
            "delay": {"type": "float", "default": 10},
            "io_timeout": {"type": "int", "default": 120},
        },
        required_if=[("command", "publish", ("id", "tree"))],
        supports_check_mode=True,
    )
    params = module.params
    mirror = Mirror(params)
    actions = {
        "publish": lambda: publish(mirror, params["id"], Path(params["tree"])),
        "list": lambda: {"changed": False, "reply": mirror.call("list")},
        "prune": lambda: prune(mirror, params["delete"], params["allow_more"]),
    }
    if module.check_mode and params["command"] != "list":
        changed = params["command"] == "publish" or bool(params["delete"])
        module.exit_json(
            changed=changed, reply={}, sent_files=0, sent_bytes=0, reused_bytes=0, attempts=0
        )
    try:
        result = persist(actions[params["command"]], params["attempts"], params["delay"])
    except Final as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
