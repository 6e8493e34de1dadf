"""Which facts go to which judge. What cannot be found out is a verdict, too: unknown."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from typing import Any, Callable, NamedTuple

from stxmirror.errors import StxMirrorError
from stxmirror.watch import builds, drift, facts_builds, facts_host, facts_keys, host, keys
from stxmirror.watch.model import UNKNOWN, Verdict


class Check(NamedTuple):
    """A collector and the judge of what it finds."""

    collect: Callable[[Mapping[str, Any]], Any]
    judge: Callable[[Any, Mapping[str, Any], float], list[Verdict]]


CHECKS = {
    "disk": Check(facts_host.file_systems, host.disk),
    "inodes": Check(facts_host.file_systems, host.inodes),
    "memory": Check(facts_host.memory, host.memory),
    "swap": Check(facts_host.memory, host.swap),
    "clock": Check(facts_host.clock, host.clock),
    "units": Check(facts_host.failed_units, host.units),
    "reboot": Check(facts_host.reboot, host.reboot),
    "mounts": Check(facts_host.mounts, host.mounts),
    "locks": Check(facts_host.locks, host.locks),
    "uploads": Check(facts_host.uploads, host.uploads),
    "certificates": Check(facts_keys.certificates, keys.certificates),
    "openpgp": Check(facts_keys.openpgp, keys.openpgp),
    "ssh_keys": Check(facts_keys.ssh_keys, keys.ssh_keys),
    "streams": Check(facts_builds.streams, builds.streams),
    "prune": Check(facts_builds.prune, builds.prune),
    "drift": Check(facts_builds.drift, drift.drift),
}


def run(settings: Mapping[str, Mapping[str, Any]], now: float) -> list[Verdict]:
    """Carry out the checks that have settings, in the order of the settings."""
    verdicts: list[Verdict] = []
    for name, limits in settings.items():
        if name not in CHECKS:
            verdicts.append(Verdict(name, "", UNKNOWN, "there is no such check"))
            continue
        try:
            facts = CHECKS[name].collect(limits)
            verdicts += CHECKS[name].judge(facts, limits, now)
        except (OSError, subprocess.SubprocessError) as error:
            verdicts.append(Verdict(name, "", UNKNOWN, f"it could not be found out: {error}"))
        except (StxMirrorError, ValueError, KeyError, TypeError, IndexError) as error:
            words = f"what was found makes no sense: {type(error).__name__}: {error}"
            verdicts.append(Verdict(name, "", UNKNOWN, words))
    return verdicts
