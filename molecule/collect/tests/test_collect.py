"""The collected trees, as they go to the mirror."""

from __future__ import annotations

import json

PUBLISH = "/localdisk/publish/master/sample"
GOOD, LEAKING, FAILED = "20261101T020000Z", "20261102T020000Z", "20261103T020000Z"
RPM = "hello-1.0-1.noarch.rpm"


def files(host, date):
    return set(host.check_output(f"cd {PUBLISH}/{date} && find . -type f -printf '%P\n'").split())


def test_the_tree_of_a_good_build(host):
    """Name by name what the specification has, and nothing else."""
    found = {path for path in files(host, GOOD) if "/repodata/" not in path}
    assert found == {
        "SHA256SUMS",
        "SHA256SUMS.asc",
        "build.json",
        "outputs/CONTEXT",
        f"outputs/RPMS/std/{RPM}",
        "outputs/SRPMS/std/hello-1.0-1.src.rpm",
        "outputs/iso/bootimage.iso",
        "outputs/logs/packages.log",
        "outputs/success",
    }
    for empty in ("inputs/RPMS", "inputs/downloads", "outputs/wheels", "outputs/helm-charts"):
        assert host.file(f"{PUBLISH}/{GOOD}/{empty}").is_directory


def test_metadata_is_at_each_phase_and_at_the_top(host):
    for place in ("RPMS", "RPMS/std", "SRPMS/std"):
        assert host.file(f"{PUBLISH}/{GOOD}/outputs/{place}/repodata/repomd.xml").exists


def test_everything_is_listed_and_the_list_is_signed(host):
    """What a reader does first."""
    signer = "runuser -u signer -- gpg --homedir /var/lib/stx-signer/gnupg"
    reader = "gpg --quiet --homedir /root/reader"
    host.check_output(f"mkdir -p -m 700 /root/reader; {signer} --export | {reader} --import")
    for date in (GOOD, LEAKING, FAILED):
        tree = f"{PUBLISH}/{date}"
        host.check_output(f"cd {tree} && sha256sum --quiet --strict -c SHA256SUMS")
        listed = host.file(f"{tree}/SHA256SUMS").content_string.count("\n")
        assert listed == len(files(host, date)) - 2
        host.check_output(f"{reader} --verify {tree}/SHA256SUMS.asc {tree}/SHA256SUMS")


def test_logs_do_not_name_the_build_server_its_homes_nor_its_people(host):
    log = host.file(f"{PUBLISH}/{GOOD}/outputs/logs/packages.log").content_string
    assert log == "building on [redacted] for [redacted]/rpmbuild by [redacted]\n"


def test_the_publishing_key_was_not_collected(host):
    """A log of the workspace is a link to it; the orchestrator, who collects, may read it."""
    assert host.file("/localdisk/loadbuild/builder/master/20261101T020000Z/logs/key.log").is_symlink
    assert host.run(f"grep -rl 'PRIVATE KEY' {PUBLISH}").stdout == ""


def test_the_record_counts_what_is_there(host):
    record = json.loads(host.file(f"{PUBLISH}/{GOOD}/build.json").content_string)
    assert record["result"] == "success"
    assert record["artifacts"]["outputs/RPMS/std"]["files"] == 1
    assert record["iso"]["path"] == "outputs/iso/bootimage.iso"
    kept = host.file(f"/var/lib/stx-mirror/builds/master/sample/{GOOD}/build.json").content_string
    assert json.loads(kept) == record


def test_a_build_that_tells_too_much_is_a_failure_without_packages(host):
    assert files(host, LEAKING) == {
        "SHA256SUMS",
        "SHA256SUMS.asc",
        "build.json",
        "outputs/fail",
        "outputs/logs/packages.log",
    }
    said = host.file(f"{PUBLISH}/{LEAKING}/outputs/fail").content_string
    assert said.startswith("collect failed:\n")
    assert RPM in said
    assert "mol-collect" not in said


def test_a_failed_build_has_its_logs_and_the_reason(host):
    assert "outputs/logs/packages.log" in files(host, FAILED)
    said = host.file(f"{PUBLISH}/{FAILED}/outputs/fail").content_string
    assert said == "sync failed:\nthe manifest does not answer\n"


def test_the_tree_belongs_to_the_orchestrator_alone(host):
    """The builder must not be able to change what is about to be published."""
    owners = host.check_output(f"find {PUBLISH} -printf '%u %m\n'").split("\n")
    assert set(owners) == {"orchestrator 755", "orchestrator 644"}
