"""The published tree is the spec's, name by name, and stock clients use it as it lies there."""

from __future__ import annotations

import hashlib
import re
import subprocess
import urllib.error

import pytest
from conftest import URL, get, get_json, latest

ALIAS = "master/sample/latest_build"
SPEC_DIRECTORIES = [
    "inputs/RPMS",
    "inputs/SRPMS",
    "inputs/downloads",
    "outputs/RPMS/std",
    "outputs/RPMS/rt",
    "outputs/RPMS/installer",
    "outputs/SRPMS/std",
    "outputs/SRPMS/rt",
    "outputs/SRPMS/installer",
    "outputs/iso",
    "outputs/installer",
    "outputs/wheels",
    "outputs/helm-charts",
    "outputs/logs",
]


def fetch(path: str) -> bytes:
    with get(path) as response:
        return response.read()


def sums() -> dict[str, str]:
    """SHA256SUMS of the latest build: path -> digest."""
    lines = fetch(f"{ALIAS}/SHA256SUMS").decode().splitlines()
    return {path: digest for digest, path in (line.split("  ", 1) for line in lines)}


@pytest.mark.parametrize("directory", SPEC_DIRECTORIES)
def test_directory_of_the_spec_is_listed(directory):
    """Also those that a build leaves empty: a client need not ask first."""
    with get(f"{ALIAS}/{directory}/") as response:
        assert response.status == 200


def test_build_date_is_in_the_path_and_alias_leads_to_a_success():
    record = latest()
    assert re.fullmatch(r"master/sample/\d{8}T\d{6}Z", record["id"])
    assert record["result"] == "success"
    assert fetch(f"{ALIAS}/outputs/success") is not None
    with pytest.raises(urllib.error.HTTPError, match="404"):
        get(f"{ALIAS}/outputs/fail")


def test_context_names_every_source_tree_byte_for_byte():
    """Release tools parse exactly this line shape."""
    text = fetch(f"{ALIAS}/outputs/CONTEXT").decode()
    lines = text.splitlines()
    assert len(lines) >= 5
    for line in lines:
        assert re.fullmatch(r"\(cd \./[\w./-]+ && git checkout -f [0-9a-f]{40}\)", line)
    assert fetch(f"{ALIAS}/outputs/CONTEXT.sh").decode() == text


def test_iso_has_its_constant_and_its_dated_name():
    record = latest()
    listing = fetch(f"{ALIAS}/outputs/iso/").decode()
    date = record["id"].rsplit("/", 1)[1]
    assert "bootimage.iso" in listing
    assert date in listing
    assert record["iso"]["sha256"] == sums()["outputs/iso/bootimage.iso"]


def test_every_file_verifies_and_the_list_is_signed(tmp_path):
    """What `wget -r`, `gpg --verify` and `sha256sum -c` make of it, with nothing of ours."""
    for path in sums():
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(fetch(f"{ALIAS}/{path}"))
    for name in ("SHA256SUMS", "SHA256SUMS.asc"):
        (tmp_path / name).write_bytes(fetch(f"{ALIAS}/{name}"))
    (tmp_path / "key.asc").write_bytes(fetch("assets/signing-key.asc"))
    home = tmp_path / "gnupg"
    home.mkdir(mode=0o700)
    gpg = ["gpg", "--batch", "--homedir", str(home)]
    subprocess.run([*gpg, "--import", "key.asc"], cwd=tmp_path, check=True)
    subprocess.run([*gpg, "--verify", "SHA256SUMS.asc", "SHA256SUMS"], cwd=tmp_path, check=True)
    subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=tmp_path, check=True)


@pytest.mark.parametrize("repository", ["outputs/RPMS", "outputs/RPMS/std", "outputs/SRPMS/std"])
def test_dnf_reads_the_repository(repository, tmp_path):
    """Each phase is a repository, and so is RPMS/ itself, as StarlingX's users expect."""
    done = subprocess.run(
        [
            "dnf",
            f"--setopt=cachedir={tmp_path}",
            "--setopt=reposdir=/dev/null",
            "--setopt=varsdir=/dev/null",
            "--releasever=1",
            f"--repofrompath=mirror,{URL}{ALIAS}/{repository}",
            "--repo=mirror",
            "--nogpgcheck",
            "repoquery",
            "--qf",
            "%{name}",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) >= 3


def test_ranged_request_resumes_a_download():
    whole = fetch(f"{ALIAS}/outputs/iso/bootimage.iso")
    with get(f"{ALIAS}/outputs/iso/bootimage.iso", {"Range": "bytes=1000-1999"}) as response:
        assert response.status == 206
        assert response.read() == whole[1000:2000]
    assert hashlib.sha256(whole).hexdigest() == latest()["iso"]["sha256"]


def test_dated_paths_are_cached_long_and_aliases_briefly():
    """A dated path never changes; an alias and the pages do."""

    def max_age(path):
        with get(path) as response:
            return int(re.search(r"max-age=(\d+)", response.headers["Cache-Control"])[1])

    dated = latest()["id"]
    assert max_age(f"{dated}/SHA256SUMS") >= 86400 * 30
    for moving in (f"{ALIAS}/SHA256SUMS", "index.html", "builds.json"):
        assert max_age(moving) <= 600


def test_nothing_of_the_build_server_is_published(builder):
    """The address and access mechanism of the server are not to be published (spec, Security)."""
    secrets = builder.script("hostname; hostname -I").split()
    secrets = [word for word in secrets if word not in ("builder", "localhost")]
    secrets += ["/var/lib/stx-mirror", "/home/builder"]
    for path in sums():
        if path.startswith("outputs/logs/") or path == "build.json":
            text = fetch(f"{ALIAS}/{path}").decode(errors="replace")
            found = [
                word for word in secrets if re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text)
            ]
            assert not found, path


def test_builds_json_lists_what_the_tree_holds():
    """Programs read this instead of scraping a page."""
    ids = [build["id"] for build in get_json("builds.json")["builds"]]
    assert latest()["id"] in ids
    assert len(ids) == len(set(ids))


def test_uploads_and_state_are_never_served():
    for path in ("incoming/", "staging/", "state/", "../incoming/", ".staging/"):
        with pytest.raises(urllib.error.HTTPError, match=r"40[034]"):
            get(path)


def test_legacy_path_leads_to_the_release():
    """r2018.10 is a link to release/2018.10 (spec, directory structure)."""
    assert fetch("r2018.10/sample/latest_build/SHA256SUMS") == fetch(
        "release/2018.10/sample/latest_build/SHA256SUMS"
    )
