"""What a build host's three accounts can do, and what they cannot."""

from __future__ import annotations

import pytest

KEYS = "/var/lib/stx-mirror/.ssh"
SIGN = "/usr/local/libexec/stx-mirror/sign"


def as_user(host, account, command):
    """Run a shell command as an account, the way a session of it would."""
    return host.run("runuser -u %s -- sh -c %s", account, command)


@pytest.mark.parametrize("name", ["cgts", "mock"])
def test_both_groups_have_starlingx_number(host, name):
    """StarlingX's tools and mock configuration take 751 for granted."""
    assert host.group(name).gid == 751


def test_builder_writes_with_the_group_of_the_build_tools(host):
    assert host.check_output("id -g builder") == "751"
    assert (
        host.check_output(
            "runuser -u builder -- sh -c 'touch /localdisk/loadbuild/builder/x;"
            " stat -c %g /localdisk/loadbuild/builder/x'"
        )
        == "751"
    )


@pytest.mark.parametrize(
    "path",
    [
        "/localdisk/designer/builder",
        "/localdisk/loadbuild/builder",
        "/import/mirrors",
        "/import/streams",
        "/localdisk/designer/cache",
        "/home/builder",
    ],
)
def test_builder_has_room_and_orchestrator_reads_it(host, path):
    assert as_user(host, "builder", f"touch {path}/made && rm {path}/made").rc == 0
    assert as_user(host, "orchestrator", f"ls {path}").rc == 0
    assert as_user(host, "orchestrator", f"touch {path}/made").rc != 0


def test_one_person_cannot_take_anothers_project_away(host):
    directory = host.file("/localdisk/designer")
    assert (directory.mode, directory.group) == (0o3770, "cgts")


@pytest.mark.parametrize(
    "path",
    [
        f"{KEYS}/publish",
        f"{KEYS}/prune",
        KEYS,
        "/var/lib/stx-mirror",
        "/var/lib/stx-signer",
        "/localdisk/publish",
        "/localdisk/kept",
    ],
)
def test_builder_reaches_no_key_and_nothing_collected(host, path):
    """An RPM's %build runs as this account."""
    for test in ("-r", "-w", "-x"):
        assert as_user(host, "builder", f"test {test} {path}").rc != 0


def test_builder_has_no_rights_by_sudo(host):
    assert as_user(host, "builder", "sudo -n true").rc != 0
    assert as_user(host, "builder", f"echo x | sudo -n -u signer {SIGN}").rc != 0


@pytest.mark.parametrize(
    "command",
    [
        "sudo -n true",
        "sudo -n -u builder true",
        "sudo -n -u signer true",
        "sudo -n -u signer gpg --list-secret-keys",
        "sudo -n -u root sh",
        "cat /var/lib/stx-signer/gnupg/pubring.kbx",
    ],
)
def test_orchestrator_can_do_nothing_else(host, command):
    assert as_user(host, "orchestrator", command).rc != 0


def test_signature_verifies_with_the_offered_key_alone(host):
    """What readers do: import the published key, verify."""
    done = host.run(
        "sh -euc 'd=$(mktemp -d); cd $d; echo data >f; "
        f"runuser -u orchestrator -- sudo -n -u signer {SIGN} <f >f.asc; "
        "gpg -q --homedir $d --import /etc/stx-mirror/signing-key.asc; "
        "gpg -q --homedir $d --verify f.asc f'"
    )
    assert done.rc == 0, done.stderr
    assert "Good signature" in done.stderr


def test_secret_key_is_not_in_what_is_offered(host):
    assert "PRIVATE" not in host.file("/etc/stx-mirror/signing-key.asc").content_string


def test_signing_says_how_when_asked_for_more(host):
    for more in ("--export-secret-keys", "--export-secret-keys x", "/var/lib/stx-signer/.bashrc"):
        done = as_user(host, "orchestrator", f"sudo -n -u signer {SIGN} {more} </dev/null")
        assert (done.rc, done.stdout) == (2, ""), more
        assert "usage: sign <FILE" in done.stderr


@pytest.mark.parametrize("name", ["publish", "prune"])
def test_publishing_keys_are_the_orchestrators(host, name):
    key = host.file(f"{KEYS}/{name}")
    assert (key.user, key.mode) == ("orchestrator", 0o600)
    # Its comment is published to the mirror; it names no host.
    assert host.file(f"{KEYS}/{name}.pub").content_string.split()[2:] == [name]


def test_mirrors_are_known_by_the_keys_that_the_admin_saw(host):
    known = host.file(f"{KEYS}/known_hosts").content_string
    kind, key = host.file("/etc/ssh/ssh_host_ed25519_key.pub").content_string.split()[:2]
    assert f"\nmirror {kind} {key}\n" in known
    assert "\n[other.example.com]:2222 ssh-ed25519 " in known
    assert as_user(host, "orchestrator", f"test -r {KEYS}/known_hosts").rc == 0


@pytest.mark.parametrize(
    "command",
    [
        "rpm --version",
        "rpmbuild --version",
        "createrepo_c --version",
        "dnf --version",
        "cpio --version",
        "git --version",
        "xorriso --version",
        "isohybrid --version",
        "mformat --version",
        "mkfs.vfat --help",
        "qemu-system-x86_64 --version",
        "qemu-img --version",
        "mksquashfs -version",
        "buildah --version",
        "skopeo --version",
        "gpg --version",
        "mmdebstrap --version",
        "newuidmap --version || test -x /usr/bin/newuidmap",
        "repo --help",
        "rsync --version",
    ],
)
def test_builder_has_the_tool(host, command):
    done = as_user(host, "builder", f"cd $(mktemp -d) && {command}")
    assert done.rc == 0 or done.stdout, done.stderr


def test_firmware_for_both_ways_to_boot_is_there(host):
    for path in (
        "/usr/share/OVMF/OVMF_CODE_4M.fd",
        "/usr/share/seabios/bios-256k.bin",
        "/usr/lib/ISOLINUX/isolinux.bin",
        "/usr/lib/grub/x86_64-efi/moddep.lst",
        "/usr/lib/grub/i386-pc/moddep.lst",
    ):
        assert host.file(path).exists, path


def test_repo_works_without_any_network(host):
    """It carries the whole program: a build host may reach its own git servers and nothing else."""
    done = as_user(
        host,
        "builder",
        "set -eu; rm -rf /home/builder/try; mkdir /home/builder/try; cd /home/builder/try; "
        "git init -q m; cd m; git checkout -q -b master; "
        'printf \'<manifest><remote name="o" fetch="file:///home/builder/try"/>'
        '<default remote="o" revision="master"/></manifest>\' >default.xml; '
        "git add default.xml; git commit -qm m; mkdir ../c; cd ../c; "
        "unshare -rn repo init -q -u file:///home/builder/try/m -b master; repo sync -q; "
        "test -d .repo",
    )
    assert done.rc == 0, done.stdout + done.stderr


def test_builder_may_make_throwaway_roots(host):
    """mmdebstrap and rootless containers map a range of ids."""
    done = as_user(
        host,
        "builder",
        "unshare --map-auto --map-root-user sh -c 'touch /tmp/u && chown 1:1 /tmp/u && rm /tmp/u'",
    )
    assert done.rc == 0, done.stderr


def test_registry_without_tls_is_named_and_no_other(host):
    settings = host.file("/etc/containers/registries.conf.d/stx-mirror.conf").content_string
    assert settings.count("[[registry]]") == 1
    assert 'location = "registry:5000"' in settings


def test_directories_come_back_with_an_empty_volume(host):
    """A volume that came up empty must not end the builds until somebody provisions again."""
    host.check_output("rm -rf /localdisk/publish && systemd-tmpfiles --create")
    assert host.file("/localdisk/publish").user == "orchestrator"


def test_accounts_have_no_password(host):
    for account in ("orchestrator", "builder", "signer"):
        assert host.check_output("getent shadow %s", account).split(":")[1] == "*"
