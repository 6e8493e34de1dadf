"""The words that name this build host and its people, found out from the host itself."""

from __future__ import annotations

import json
import os
import pwd
import socket
import subprocess

from stxmirror import redact
from stxmirror.errors import StxMirrorError


def host_terms() -> list[str]:
    """Return the names and addresses of this host and the home directories of its accounts."""
    names = [socket.gethostname(), socket.getfqdn(), os.uname().nodename]
    homes = [account.pw_dir for account in pwd.getpwall()]
    return redact.derive_terms(names, _addresses(), homes)


def _addresses() -> list[str]:
    try:
        done = subprocess.run(
            ["ip", "-json", "address"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        why = error.stderr if isinstance(error, subprocess.CalledProcessError) else str(error)
        raise StxMirrorError(
            f"the addresses of this host are not known ({' '.join(why.split())}), so they could "
            "not be kept out of what is published: install iproute2"
        ) from error
    found = [entry for link in json.loads(done.stdout) for entry in link.get("addr_info", [])]
    return [str(entry["local"]) for entry in found if "local" in entry]
