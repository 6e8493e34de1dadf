"""Verdicts on certificates and keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from stxmirror.watch.facts import Certificates, OpenPgpFile, OpenPgpKey, SshKey, Unreadable
from stxmirror.watch.model import CRITICAL, OK, UNKNOWN, WARNING, Verdict, below
from stxmirror.watch.settings import Days, ExpiringFiles, SshKeys

DAY = 86400
RSA_BITS = 3072
WEAK_KINDS = ("DSA",)


def certificates(
    found: Sequence[Certificates | Unreadable], wanted: ExpiringFiles, now: float
) -> list[Verdict]:
    """Judge how long each X.509 certificate is still good."""
    verdicts = [
        Verdict("certificates", file.path, UNKNOWN, file.error)
        if isinstance(file, Unreadable)
        else _expiry("certificates", file.path, file.ends, wanted.days, now)
        for file in found
    ]
    return verdicts or [Verdict("certificates", "", OK, "there are none to look at")]


def openpgp(
    found: Sequence[OpenPgpFile | Unreadable], wanted: ExpiringFiles, now: float
) -> list[Verdict]:
    """Judge how long readers can still verify with the signing keys of each file.

    Old keys stay in a file, because what they signed stays on the mirror: the one that is good for
    the longest counts.
    """
    verdicts = [
        Verdict("openpgp", file.path, UNKNOWN, file.error)
        if isinstance(file, Unreadable)
        else _best_key(file, wanted.days, now)
        for file in found
    ]
    return verdicts or [Verdict("openpgp", "", OK, "there are none to look at")]


def _best_key(file: OpenPgpFile, limits: Days, now: float) -> Verdict:
    usable = [key for key in file.keys if not key.is_revoked]
    details = tuple(f"{key.id}: {_words(key, now)}" for key in file.keys)
    details = details if len(details) > 1 else ()
    if not usable:
        text = "it is revoked" if not details else "all its keys are revoked"
        return Verdict("openpgp", file.path, CRITICAL, text, details)
    best = max(usable, key=lambda key: float("inf") if key.ends is None else key.ends)
    return replace(_expiry("openpgp", file.path, best.ends, limits, now), details=details)


def _expiry(check: str, path: str, ends: float | None, limits: Days, now: float) -> Verdict:
    if ends is None:
        return Verdict(check, path, OK, "it does not expire")
    days = (ends - now) / DAY
    state = below(days, limits.warning, limits.critical)
    return Verdict(check, path, state, _expires(days), value=days, unit="days")


def _expires(days: float) -> str:
    return f"it expires in {days:.0f} days" if days > 0 else f"it expired {abs(days):.0f} days ago"


def _words(key: OpenPgpKey, now: float) -> str:
    if key.is_revoked:
        return "it is revoked"
    return "it does not expire" if key.ends is None else _expires((key.ends - now) / DAY)


def ssh_keys(found: Sequence[SshKey | Unreadable], wanted: SshKeys, now: float) -> list[Verdict]:
    """Judge the age, the strength and the mode of the host's own and its accounts' keys."""
    verdicts = [
        Verdict("ssh_keys", key.path, UNKNOWN, key.error)
        if isinstance(key, Unreadable)
        else _ssh_key(key, wanted, now)
        for key in found
    ]
    return verdicts or [Verdict("ssh_keys", "", UNKNOWN, "no key was found")]


def _ssh_key(key: SshKey, wanted: SshKeys, now: float) -> Verdict:
    days = (now - key.made) / DAY
    state, text = OK, f"{key.kind}, {days:.0f} days old"
    if days >= wanted.max_age_days:
        state, text = WARNING, f"{text}: time for a new one"
    if key.kind in WEAK_KINDS or (key.kind == "RSA" and key.bits < RSA_BITS):
        state, text = WARNING, f"{key.bits} bits of {key.kind} are too weak"
    if key.is_open:
        state, text = CRITICAL, "others than its owner can read the private key"
    return Verdict("ssh_keys", key.path, state, text, value=days, unit="days")
