"""Verdicts on certificates and keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stxmirror.watch.model import CRITICAL, OK, UNKNOWN, WARNING, Verdict, below

DAY = 86400
RSA_BITS = 3072
WEAK_KINDS = ("DSA",)


def certificates(facts: Sequence[Mapping[str, Any]], limits: Mapping[str, Any], now: float) -> list:
    """Judge how long each X.509 certificate is still good."""
    return _ends("certificates", facts, limits, now)


def openpgp(facts: Sequence[Mapping[str, Any]], limits: Mapping[str, Any], now: float) -> list:
    """Judge how long readers can still verify with each signing key."""
    return _ends("openpgp", facts, limits, now)


def _ends(
    check: str, facts: Sequence[Mapping[str, Any]], limits: Mapping[str, Any], now: float
) -> list[Verdict]:
    verdicts = []
    for found in facts:
        name = found["path"]
        if found.get("error"):
            verdicts.append(Verdict(check, name, UNKNOWN, found["error"]))
        elif found.get("revoked"):
            verdicts.append(Verdict(check, name, CRITICAL, "it is revoked"))
        elif found["ends"] is None:
            verdicts.append(Verdict(check, name, OK, "it does not expire"))
        else:
            days = (found["ends"] - now) / DAY
            state = below(days, limits["warning_days"], limits["critical_days"])
            text = (
                f"it expires in {days:.0f} days" if days > 0 else f"it expired {-days:.0f} days ago"
            )
            verdicts.append(Verdict(check, name, state, text, value=days, unit="days"))
    return verdicts or [Verdict(check, "", OK, "there are none to look at")]


def ssh_keys(facts: Sequence[Mapping[str, Any]], limits: Mapping[str, Any], now: float) -> list:
    """Judge the age, the strength and the mode of the host's own and its accounts' keys."""
    verdicts = []
    for found in facts:
        name = found["path"]
        if found.get("error"):
            verdicts.append(Verdict("ssh_keys", name, UNKNOWN, found["error"]))
            continue
        days = (now - found["made"]) / DAY
        state, text = OK, f"{found['kind']}, {days:.0f} days old"
        if days >= limits["max_age_days"]:
            state, text = WARNING, f"{text}: time for a new one"
        if found["kind"] in WEAK_KINDS or (found["kind"] == "RSA" and found["bits"] < RSA_BITS):
            state, text = WARNING, f"{found['bits']} bits of {found['kind']} are too weak"
        if found["open"]:
            state, text = CRITICAL, "others than its owner can read the private key"
        verdicts.append(Verdict("ssh_keys", name, state, text, value=days, unit="days"))
    return verdicts or [Verdict("ssh_keys", "", UNKNOWN, "no key was found")]
