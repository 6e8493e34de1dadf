"""What is said of keys and of when they end."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace

import pytest

from stxmirror.times import parse_time
from stxmirror.watch import (
    facts,
    facts_keys,
    keys,
    settings,
)
from stxmirror.watch.model import CRITICAL, OK, UNKNOWN, WARNING

NOW = parse_time("2026-11-22T12:00:00Z").timestamp()


DAY = 86400


EXPIRING = settings.ExpiringFiles((), settings.Days(warning=30, critical=7))


@pytest.mark.parametrize(
    ("ends", "state"),
    [
        (NOW + 31 * DAY, OK),
        (NOW + 30 * DAY, WARNING),
        (NOW + 6 * DAY, CRITICAL),
        (NOW - 6 * DAY, CRITICAL),
        (None, OK),
    ],
)
def test_ends_of_keys(ends, state):
    file = facts.OpenPgpFile("k", (facts.OpenPgpKey("AAAA", ends),))
    (verdict,) = keys.openpgp([file], EXPIRING, NOW)
    assert (verdict.state, verdict.details) == (state, ())
    if ends is not None:
        assert keys.certificates([facts.Certificates("c", ends)], EXPIRING, NOW)[0].state == state


def test_a_revoked_key_and_an_unreadable_file_are_no_good():
    revoked = facts.OpenPgpFile("k", (facts.OpenPgpKey("AAAA", None, is_revoked=True),))
    gone = facts.Unreadable("k", "No such file")
    found = keys.openpgp([revoked, gone], EXPIRING, NOW)
    assert [(v.state, v.text) for v in found] == [
        (CRITICAL, "it is revoked"),
        (UNKNOWN, "No such file"),
    ]
    assert keys.certificates([gone], EXPIRING, NOW)[0].state == UNKNOWN
    assert keys.certificates([], EXPIRING, NOW)[0].state == OK


@pytest.mark.parametrize(
    ("ends", "state", "text"),
    [
        ([-400, 365], OK, "it expires in 365 days"),
        ([365, -400], OK, "it expires in 365 days"),
        ([-400, None], OK, "it does not expire"),
        ([-400, 20], WARNING, "it expires in 20 days"),
        ([-400, -2], CRITICAL, "it expired 2 days ago"),
    ],
)
def test_an_old_key_may_stay_beside_a_new_one(ends, state, text):
    made = tuple(
        facts.OpenPgpKey(name, days if days is None else NOW + days * DAY)
        for name, days in zip("AB", ends)
    )
    (verdict,) = keys.openpgp([facts.OpenPgpFile("k", made)], EXPIRING, NOW)
    assert (verdict.state, verdict.text) == (state, text)
    assert any(line.endswith("it expired 400 days ago") for line in verdict.details)
    assert len(verdict.details) == 2


def test_revoked_keys_count_for_nothing():
    old = facts.OpenPgpKey("OLD", None, is_revoked=True)
    new = facts.OpenPgpKey("NEW", NOW + 3 * DAY)
    (verdict,) = keys.openpgp([facts.OpenPgpFile("k", (old, new))], EXPIRING, NOW)
    assert verdict.state == CRITICAL
    assert verdict.details == ("OLD: it is revoked", "NEW: it expires in 3 days")
    (verdict,) = keys.openpgp([facts.OpenPgpFile("k", (old, old))], EXPIRING, NOW)
    assert (verdict.state, verdict.text) == (CRITICAL, "all its keys are revoked")


def test_of_the_parts_that_sign_the_last_one_counts_and_the_whole_key_ends_them_all():
    pub = "pub:u:255:22:AAAA:1:{}::u:::scSC::::::23::0:\n"
    sub = "sub:{}:255:22:BBBB:1:{}:::::s::::::23:\n"

    def ends(listed):
        return [key.ends for key in facts_keys.openpgp_keys(listed)]

    assert facts_keys.openpgp_keys(pub.format("")) == (facts.OpenPgpKey("AAAA", None),)
    assert ends(pub.format(50) + sub.format("u", 90)) == [50]
    assert ends(pub.format("") + sub.format("u", 90)) == [None]
    only_subs = pub.replace(":scSC:", ":cSC:")
    signing = only_subs.format("") + sub.format("u", 90)
    assert ends(signing) == [90]
    assert ends(signing + sub.format("r", 200)) == [90]
    assert facts_keys.openpgp_keys(pub.replace(":u:255", ":r:255").format(""))[0].is_revoked
    # The file of a mirror that changed its key: the old one first, and a name that tries to
    # begin a line of its own.
    name = "uid:e::::1::X::x\u2028pub:u:255:22:CCCC:1:::u:::scSC::::::23::0:\n"
    assert ends(pub.format(50) + name + pub.format(900)) == [50, 900]
    with pytest.raises(ValueError, match="no public key"):
        facts_keys.openpgp_keys("")


@pytest.mark.skipif(shutil.which("gpg") is None, reason="needs the package gnupg")
def test_a_file_with_an_old_key_and_a_new_one_as_gpg_lists_it(tmp_path):
    blocks = []
    for name, made in (("old", "20240101T000000"), ("new", "20261101T000000")):
        home = tmp_path / name
        home.mkdir(mode=0o700)
        gpg = ["gpg", "--homedir", home, "--batch", "--quiet", "--faked-system-time", f"{made}!"]
        make = ["--passphrase", "", "--quick-generate-key", name, "ed25519", "sign", "365d"]
        subprocess.run([*gpg, *make], check=True, capture_output=True)
        shown = subprocess.run([*gpg, "--armor", "--export"], check=True, capture_output=True)
        blocks.append(shown.stdout)
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False)
    path = tmp_path / "keys.asc"
    path.write_bytes(b"".join(blocks))
    found = facts_keys.openpgp(settings.ExpiringFiles((str(path),), EXPIRING.days))
    (verdict,) = keys.openpgp(found, EXPIRING, NOW)
    assert (verdict.state, verdict.text) == (OK, "it expires in 344 days")
    old, new = (line.partition(": ")[2] for line in verdict.details)
    assert old.startswith("it expired ")
    assert new == verdict.text


def test_ssh_keys():
    good = facts.SshKey("k", "ED25519", 256, NOW, is_open=False)
    limits = settings.SshKeys(paths=(), max_age_days=100)
    for change, state in (
        ({}, OK),
        ({"made": NOW - 101 * DAY}, WARNING),
        ({"kind": "RSA", "bits": 2048}, WARNING),
        ({"kind": "DSA", "bits": 1024}, WARNING),
        ({"kind": "RSA", "bits": 3072}, OK),
        ({"is_open": True}, CRITICAL),
    ):
        assert keys.ssh_keys([replace(good, **change)], limits, NOW)[0].state == state
    assert keys.ssh_keys([facts.Unreadable("k", "gone")], limits, NOW)[0].state == UNKNOWN
    assert keys.ssh_keys([], limits, NOW)[0].state == UNKNOWN
