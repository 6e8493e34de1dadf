"""A site's own signing key takes the place of the one that a host makes."""

from __future__ import annotations

import pytest
import testinfra

SIGN = "/usr/local/libexec/stx-mirror/sign"


@pytest.fixture(scope="module")
def site():
    return testinfra.get_host("podman://mol-build_env-site")


def test_builds_are_signed_with_the_sites_key(site):
    """What readers have verified with for years must not change with a new host."""
    done = site.run(
        "sh -euc 'd=$(mktemp -d); cd $d; echo data >f; "
        f"runuser -u orchestrator -- sudo -n -u signer {SIGN} <f >f.asc; "
        "gpg -q --homedir $d --import /etc/stx-mirror/signing-key.asc; "
        "gpg -q --homedir $d --status-fd 1 --verify f.asc f'"
    )
    assert done.rc == 0, done.stderr
    fingerprint = site.file("/root/site-key.fpr").content_string.strip()
    assert f"VALIDSIG {fingerprint}" in done.stdout


def test_secret_half_is_the_signers_alone(site):
    assert "PRIVATE" not in site.file("/etc/stx-mirror/signing-key.asc").content_string
    for account in ("orchestrator", "builder"):
        assert site.run(f"runuser -u {account} -- ls /var/lib/stx-signer").rc != 0
    assert site.run("grep -rl 'BEGIN PGP PRIVATE' /etc /opt /usr/local /var/lib").rc != 0
