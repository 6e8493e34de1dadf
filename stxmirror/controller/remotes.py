"""Whether a branch or tag that a person names exists, asked before a build is opened for it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping

from stxmirror.errors import StxMirrorError

TIMEOUT_SECONDS = 15
# git's own exit code of `ls-remote --exit-code` for a repository that answers and has no such ref.
_NO_SUCH_REF = 2


def check_exists(manifest: Mapping[str, str], ref: str) -> None:
    """Raise if the manifest's repository answers and has no branch or tag for ``ref``.

    A repository that does not answer is for the build to report: this may be a passing fault.
    """
    name = manifest.get("branch") or ref
    command = ["git", "ls-remote", "--exit-code", "--", manifest["url"]]
    command += [f"refs/heads/{name}", f"refs/tags/{name}"]
    environment = {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "/bin/false",
        "GIT_SSH_COMMAND": "ssh -o BatchMode=yes -o ConnectTimeout=10",
        "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
    }
    try:
        done = subprocess.run(
            command,
            env=dict(os.environ, **environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return
    if done.returncode == _NO_SUCH_REF:
        raise StxMirrorError(
            f"the manifest at {manifest['url']} has no branch or tag {name!r}: correct the name, "
            "or create it there"
        )
