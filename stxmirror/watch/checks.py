"""Which facts go to which judge. What cannot be found out is a verdict, too: unknown."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from typing import Callable, TypeVar

from stxmirror import fields
from stxmirror.errors import StxMirrorError
from stxmirror.watch import (
    builds,
    drift,
    facts_builds,
    facts_host,
    facts_keys,
    host,
    keys,
    settings,
)
from stxmirror.watch.model import UNKNOWN, Verdict

_Settings = TypeVar("_Settings")
_Facts = TypeVar("_Facts")
# The settings of a check as the file has them, and the time; gives the verdicts.
Check = Callable[[Mapping[str, object], float], "list[Verdict]"]


def _check(
    parse: Callable[[Mapping[str, object], str], _Settings],
    collect: Callable[[_Settings], _Facts],
    judge: Callable[[_Facts, _Settings, float], list[Verdict]],
) -> Check:
    """Return the check that collects facts and lets a judge look at them."""

    def check(raw: Mapping[str, object], now: float) -> list[Verdict]:
        wanted = parse(raw, "the settings")
        return judge(collect(wanted), wanted, now)

    return check


CHECKS: dict[str, Check] = {
    "disk": _check(settings.Disks.parse, facts_host.file_systems, host.disk),
    "inodes": _check(settings.Disks.parse, facts_host.file_systems, host.inodes),
    "memory": _check(settings.Limits.parse, facts_host.memory, host.memory),
    "swap": _check(settings.Limits.parse, facts_host.memory, host.swap),
    "clock": _check(settings.Nothing.parse, facts_host.clock, host.clock),
    "units": _check(settings.Units.parse, facts_host.failed_units, host.units),
    "reboot": _check(settings.Days.parse, facts_host.reboot, host.reboot),
    "mounts": _check(settings.MountPlaces.parse, facts_host.mounts, host.mounts),
    "locks": _check(settings.LockPlaces.parse, facts_host.locks, host.locks),
    "uploads": _check(settings.Uploads.parse, facts_host.uploads, host.uploads),
    "verify": _check(settings.Verify.parse, facts_host.verified, host.verify),
    "certificates": _check(
        settings.ExpiringFiles.parse, facts_keys.certificates, keys.certificates
    ),
    "openpgp": _check(settings.ExpiringFiles.parse, facts_keys.openpgp, keys.openpgp),
    "ssh_keys": _check(settings.SshKeys.parse, facts_keys.ssh_keys, keys.ssh_keys),
    "streams": _check(settings.Streams.parse, facts_builds.streams, builds.streams),
    "prune": _check(settings.Prune.parse, facts_builds.prune, builds.prune),
    "drift": _check(settings.Drift.parse, facts_builds.drift, drift.drift),
}


def run(wanted: Mapping[str, object], now: float) -> list[Verdict]:
    """Carry out the checks that have settings, in the order of the settings."""
    verdicts: list[Verdict] = []
    for name, raw in wanted.items():
        if name not in CHECKS:
            verdicts.append(Verdict(name, "", UNKNOWN, "there is no such check"))
            continue
        try:
            verdicts += CHECKS[name](fields.mapping(raw, "the settings"), now)
        except (OSError, subprocess.SubprocessError) as error:
            verdicts.append(Verdict(name, "", UNKNOWN, f"it could not be found out: {error}"))
        except (StxMirrorError, ValueError, KeyError, TypeError, IndexError) as error:
            words = f"what was found makes no sense: {type(error).__name__}: {error}"
            verdicts.append(Verdict(name, "", UNKNOWN, words))
    return verdicts
