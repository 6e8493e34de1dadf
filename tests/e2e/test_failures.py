"""What goes wrong is said in one message and loses nothing, and the next build does not notice."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable

import pytest
from conftest import PROJECT, get, get_json, latest

SSH = ["ssh", "-F", str(PROJECT / ".cache/demo/ssh/config"), "builder"]
MASTER = {"name": "master"}


def branch(ref: str, path: str, old: str, new: str) -> dict:
    """A branch of the sample that differs from master in one text of one file."""
    return {
        "name": ref,
        "replace": [
            {
                "path": "manifest/default.xml",
                "from": 'revision="master"',
                "to": f'revision="{ref}"',
            },
            {"path": path, "from": old, "to": new},
        ],
    }


BRANCHES = [
    MASTER,
    branch(
        "f/broken", "integ/sample-clockd/sample-clockd/sample-clockd.c", "int main(", "int main(("
    ),
    branch(
        "f/noboot",
        "metal/sample-installer/files/init-installer",
        ". /lib/init-functions",
        "echo 'nothing to see here'; exit 1",
    ),
]


@pytest.fixture(scope="module", autouse=True)
def sources() -> None:
    """The branches that these tests need, beside master."""
    subprocess.run(
        [
            str(PROJECT / ".venv/bin/ansible-playbook"),
            *("-i", "inventories/demo", "playbooks/demo.yml", "--tags", "remotes"),
            *("-e", json.dumps({"sample_remotes_branches": BRANCHES})),
        ],
        cwd=PROJECT,
        check=True,
        stdout=subprocess.DEVNULL,
    )


def newest(directory: str) -> dict:
    """The newest published build of a stream, as builds.json has it."""
    builds = [b for b in get_json("builds.json")["builds"] if b["id"].startswith(directory + "/")]
    return max(builds, key=lambda build: build["id"])


def record(build_id: str) -> dict:
    return get_json(f"{build_id}/build.json")


def stages_running(builder) -> str:
    """Processes of the account that runs the stages."""
    return builder.run("pgrep", "-u", "builder", "-a", check=False).stdout


def wait_for(condition: Callable[[], object], seconds: float = 600) -> None:
    """Wait until something holds; the machine may have much else to do."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.5)


def test_a_package_that_does_not_compile(builder):
    done = builder.stx_mirror("build", "f/broken", "--reason", "test", check=False)
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert "sample-clockd" in said
    assert "--resume" in said
    build = newest("feature/broken/sample")
    assert build["result"] == "fail"
    published = record(build["id"])
    assert published["failed_stage"] == "packages"
    assert any("sample-clockd" in line for line in published["excerpt"])
    # The reason is one look away on the page, and the logs are there.
    with get(f"builds/{build['id']}/index.html") as page:
        assert "sample-clockd" in page.read().decode()
    with get(f"{build['id']}/outputs/logs/") as listing:
        assert "packages.log" in listing.read().decode()
    with pytest.raises(OSError, match="404"):
        get("feature/broken/sample/latest_build/")


def test_an_iso_that_does_not_boot(builder):
    done = builder.stx_mirror("build", "f/noboot", "--reason", "test", check=False)
    assert done.returncode == 1
    build = newest("feature/noboot/sample")
    assert build["result"] == "fail"
    published = record(build["id"])
    assert published["failed_stage"] == "sanity"
    assert published["sanity"]["boot-bios"]["result"] == "failed"
    with pytest.raises(OSError, match="404"):
        get("feature/noboot/sample/latest_build/")


def test_a_manifest_that_does_not_answer(builder):
    before = latest()["id"]
    builder.run("systemctl", "stop", "sample-remotes.service")
    try:
        done = builder.stx_mirror("build", "master", "--force", "--reason", "test", check=False)
    finally:
        builder.run("systemctl", "start", "sample-remotes.service")
    assert done.returncode == 1
    assert "git://127.0.0.1/sample/manifest.git" in done.stdout + done.stderr
    assert latest()["id"] == before


def test_a_registry_that_is_down_loses_no_iso_and_resuming_brings_the_images(builder, mirror):
    """The build is a success that says what it lacks; going on from the stage completes it."""
    mirror.run("systemctl", "stop", "docker-registry")
    try:
        builder.stx_mirror("build", "master", "--force", "--reason", "no registry")
    finally:
        mirror.run("systemctl", "start", "docker-registry")
    without = latest()
    assert without["result"] == "success"
    assert any("image" in words for words in without["missing"])
    assert without["images"] == []
    builder.stx_mirror("build", "--resume", without["id"], "--from", "base-image")
    resumed = latest()
    assert resumed["id"] > without["id"]
    assert resumed["parent"] == without["id"]
    assert resumed["missing"] == []
    assert resumed["images"]
    assert record(without["id"]) == without


def test_a_mirror_that_refuses_the_key_and_publishing_later(builder, mirror):
    before = latest()["id"]
    keys = "/etc/ssh/authorized_keys.d/incoming"
    mirror.run("mv", keys, keys + ".away")
    try:
        done = builder.stx_mirror("build", "master", "--force", "--reason", "no key", check=False)
    finally:
        mirror.run("mv", keys + ".away", keys)
    said = done.stdout + done.stderr
    assert done.returncode == 1
    assert "/var/lib/stx-mirror/.ssh/publish" in said
    assert latest()["id"] == before
    build = builder.script("ls -d /localdisk/publish/master/sample/* | tail -n 1").strip()
    builder.stx_mirror("publish", build.removeprefix("/localdisk/publish/"))
    assert latest()["id"] == build.removeprefix("/localdisk/publish/")


def test_two_builds_of_one_stream_at_once(builder):
    first = subprocess.Popen(
        [*SSH, "sudo -n stx-mirror build f/broken --force --reason first"],
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_for(
            lambda: "f/broken" in builder.stx_mirror("status").stdout and stages_running(builder)
        )
        second = builder.stx_mirror("build", "f/broken", "--reason", "second", check=False)
        assert second.returncode == 75
        assert "stx-mirror follow f/broken" in second.stderr
    finally:
        builder.stx_mirror("stop", "f/broken", check=False)
        first.wait(timeout=600)


def test_a_killed_controller_leaves_no_stage_running_and_no_lock(builder):
    before = latest()["id"]
    victim = subprocess.Popen(
        [*SSH, "sudo -n stx-mirror build master --force --reason killed"],
        stdout=subprocess.DEVNULL,
    )
    wait_for(lambda: re.search("download_mirror|build-pkgs", stages_running(builder)))
    builder.script("systemctl kill --kill-whom=main --signal=SIGKILL 'stx-build@*'")
    victim.wait(timeout=600)
    wait_for(lambda: not stages_running(builder))
    assert latest()["id"] == before
    builder.stx_mirror("build", "master", "--force", "--reason", "after the kill")
    assert latest()["id"] > before


def test_a_full_disk_on_the_builder_stops_a_build_before_it_begins(builder):
    before = [build["id"] for build in get_json("builds.json")["builds"]]
    builder.run("mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", "/localdisk/publish")
    try:
        done = builder.stx_mirror("build", "master", "--force", "--reason", "full", check=False)
    finally:
        builder.run("umount", "/localdisk/publish")
    assert done.returncode == 1
    assert "/localdisk/publish" in done.stdout + done.stderr
    assert [build["id"] for build in get_json("builds.json")["builds"]] == before


def test_a_full_disk_on_the_mirror_loses_nothing(builder, mirror):
    """The mirror says that there is no room; with room again the same build is published."""
    before = latest()["id"]
    mirror.script(
        "cp -p /etc/stx-mirror/mirror.json /root/mirror.json\n"
        'sed -i \'s/"reserve_bytes": *[0-9]*/"reserve_bytes": 999999999999999/\' '
        "/etc/stx-mirror/mirror.json"
    )
    try:
        done = builder.stx_mirror("build", "master", "--force", "--reason", "full", check=False)
    finally:
        mirror.run("mv", "/root/mirror.json", "/etc/stx-mirror/mirror.json")
    assert done.returncode == 1
    assert "room" in done.stdout + done.stderr
    assert latest()["id"] == before
    build = builder.script("ls -d /localdisk/publish/master/sample/* | tail -n 1").strip()
    builder.stx_mirror("publish", build.removeprefix("/localdisk/publish/"))
    assert latest()["id"] == build.removeprefix("/localdisk/publish/")
