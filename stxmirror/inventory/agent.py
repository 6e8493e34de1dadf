"""Whether the keys of an admin's ssh agent leave a try for the right one."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence


def keys_held() -> int:
    """Return how many keys the agent of whoever runs this holds; none without an agent."""
    try:
        done = subprocess.run(["ssh-add", "-l"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return 0
    return len(done.stdout.splitlines()) if done.returncode == 0 else 0


def offers_all(address: str, arguments: Sequence[str]) -> bool:
    """Whether ssh would offer all of them to a host; it does not connect to find out."""
    done = subprocess.run(
        ["ssh", *arguments, "-G", "--", address], capture_output=True, text=True, check=False
    )
    return done.returncode == 0 and "identitiesonly yes" not in done.stdout.splitlines()


def warning(keys: int, tries: Mapping[str, int]) -> str:
    """Say which hosts would end the connection before the right key is offered.

    ``tries`` are the numbers of keys that hosts accept, by host. Nothing to say is an empty
    string.
    """
    hosts = sorted(host for host, number in tries.items() if number < keys)
    if not hosts:
        return ""
    names = f"{hosts[0]} and {len(hosts) - 1} more hosts" if len(hosts) > 1 else hosts[0]
    return (
        f"your ssh agent offers {keys} keys, and {names} will end a connection after "
        f"{tries[hosts[0]]} (hardening_ssh_max_tries): write `IdentitiesOnly yes` and your "
        "`IdentityFile` for them into ~/.ssh/config, or you may be locked out"
    )
