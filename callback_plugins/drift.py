# Copyright the StarlingX build tools authors
# SPDX-License-Identifier: Apache-2.0
"""Callback drift: what a run in check mode would change, without the vault's secrets."""

from __future__ import annotations

DOCUMENTATION = """
name: drift
type: stdout
short_description: The default output without the vault's secrets, and a list of what would change
version_added: "0.1.0"
description:
  - Prints what the default callback prints, with every value of a variable named C(vault_*), and
    every value that is encrypted by itself, replaced. This comes on top of C(no_log).
  - Writes for each host which tasks would change something, and which failed.
extends_documentation_fragment:
  - default_callback
  - result_format_callback
options:
  result_file:
    description: Where that list is written, as JSON. Empty writes none.
    type: path
    default: ""
    env:
      - name: STX_DRIFT_RESULT
requirements:
  - set as stdout in configuration
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path

from ansible import context
from ansible.parsing.vault import VaultHelper
from ansible.playbook.handler import Handler
from ansible.plugins.callback.default import CallbackModule as DefaultCallback

HIDDEN = "[secret]"
# A shorter line would hide more than it is worth, such as every `x`.
SHORTEST = 4
ALWAYS_SECRET = "vault_"  # noqa: S105 - how such variables are called


def secret_lines(value, known=False):
    """Return the lines of text in a value that are a vault's; all of them if it is ``known``."""
    if isinstance(value, Mapping):
        found = (
            secret_lines(inner, known or str(name).startswith(ALWAYS_SECRET))
            for name, inner in value.items()
        )
        return set().union(*found)
    known = known or VaultHelper.get_ciphertext(value, with_tags=False) is not None
    if isinstance(value, Sequence) and not isinstance(value, str) and not hasattr(value, "encode"):
        return set().union(*(secret_lines(inner, known) for inner in value))
    if not known or value is None or isinstance(value, bool):
        return set()
    lines = {line.strip() for line in str(value).splitlines()}
    lines |= {json.dumps(line)[1:-1] for line in lines}
    return {line for line in lines if len(line) >= SHORTEST}


def is_partial():
    """Whether the command line left tasks out."""
    given = context.CLIARGS
    tags = set(given.get("tags") or ()) - {"all"}
    return bool(tags or given.get("skip_tags") or given.get("start_at_task"))


class Mask:
    """Keeps secrets out of everything that Ansible says, errors and warnings included."""

    def __init__(self, display):
        """Stand between Ansible and ``display``, which is the only one there is."""
        self._secrets = []
        self._show = display.display
        display.display = self._masked

    def _masked(self, msg, *args, **kwargs):
        return self._show(self.mask(str(msg)), *args, **kwargs)

    def learn(self, secrets):
        """Hide these from now on; the longest first, as one may be part of another."""
        self._secrets = sorted({*self._secrets, *secrets}, key=lambda line: (-len(line), line))

    def mask(self, text):
        """Return ``text`` without secrets."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text


class CallbackModule(DefaultCallback):
    """The default callback, with an account of what would change."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "drift"

    def __init__(self):
        """Begin with nothing found."""
        super().__init__()
        self._mask = Mask(self._display)
        self.changes = {}
        self.failures = {}
        self.last_play = None
        self.is_whole = False

    def v2_playbook_on_start(self, playbook):
        """Learn how far a whole comparison goes."""
        self.last_play = playbook.get_plays()[-1].get_name()
        super().v2_playbook_on_start(playbook)

    def v2_playbook_on_play_start(self, play):
        """Learn the secrets of the play's hosts before anything of it is shown."""
        manager = play.get_variable_manager()
        for host in manager._inventory.get_hosts():
            self._mask.learn(secret_lines(manager.get_vars(host=host, include_hostvars=False)))
        self.is_whole = self.is_whole or play.get_name() == self.last_play
        super().v2_playbook_on_play_start(play)

    def v2_runner_on_ok(self, result):
        """Note what would change; a handler only follows from it."""
        if result.result.get("changed") and not isinstance(result.task, Handler):
            self._note(self.changes, result)
        super().v2_runner_on_ok(result)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        """Note what failed."""
        if not ignore_errors:
            self._note(self.failures, result)
        super().v2_runner_on_failed(result, ignore_errors=ignore_errors)

    def v2_runner_on_unreachable(self, result):
        """Note who cannot be compared."""
        self._note(self.failures, result)
        super().v2_runner_on_unreachable(result)

    def _note(self, where, result):
        name = self._mask.mask(result.task.get_name())
        names = where.setdefault(result.host.get_name(), [])
        if name not in names:
            names.append(name)

    def v2_playbook_on_stats(self, stats):
        """Sum up, and write it down."""
        super().v2_playbook_on_stats(stats)
        hosts = {}
        for name in sorted(stats.processed):
            # What a rescue made good again did not fail.
            bad = stats.failures.get(name) or stats.dark.get(name)
            failed = self.failures.get(name, ["a task"]) if bad else []
            if not failed and not self.is_whole:
                # Another host's failure ended the run: what is not looked at is not the same.
                failed = ["(the run ended before all of it was played)"]
            hosts[name] = {"changes": self.changes.get(name, []), "failed": failed}
        self._say(hosts)
        path = self.get_option("result_file")
        if path:
            self._write(Path(path), hosts)

    def _say(self, hosts):
        for name, found in hosts.items():
            count = len(found["changes"])
            words = "nothing differs" if not count else f"{count} would change"
            words = (
                f"could not be compared, failed in {found['failed'][0]}"
                if found["failed"]
                else words
            )
            self._display.display(f"{name}: {words}")
            for task in found["changes"]:
                self._display.display(f"    {task}")

    @staticmethod
    def _write(path, hosts):
        failed = not hosts or any(found["failed"] for found in hosts.values())
        differs = any(found["changes"] for found in hosts.values())
        content = {
            "checked": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "verdict": "failed" if failed else "differs" if differs else "same",
            "partial": is_partial(),
            "hosts": hosts,
        }
        path.write_text(json.dumps(content, indent=2) + "\n")
