"""What the unit tests share: a right stream, a right record, and Ansible's own engine."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, settings

PROJECT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT))
sys.path.insert(1, str(PROJECT / "tests" / "helpers"))

# The machine that runs the tests may be busy: what is slow is not therefore wrong.
settings.register_profile(
    "project", deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("project")

NOW = datetime(2026, 11, 22, 3, 0, 0, tzinfo=timezone.utc)


@pytest.fixture
def now() -> datetime:
    """The time at which the tests look at things."""
    return NOW


@pytest.fixture
def make_stream():
    """Make an entry of the inventory's ``streams``; keywords change it, ``None`` takes one away."""

    def make(**changes):
        entry = {
            "name": "master",
            "match": "master",
            "profile": "sample",
            "distro": "sample",
            "manifest": {"url": "https://example.org/manifest.git", "file": "default.xml"},
            "retention": {"days": 14},
            "audience": "develop",
            "description": "What will be the next release",
        }
        entry.update(changes)
        return {key: value for key, value in entry.items() if value is not None}

    return make


@pytest.fixture
def good_record():
    """The record of a finished, successful build with something in every part."""
    sha = "0123456789abcdef0123456789abcdef01234567"
    return {
        "schema": 1,
        "id": "master/sample/20261120T020000Z",
        "stream": "master",
        "ref": "master",
        "identifier": "master",
        "distro": "sample",
        "layer": None,
        "profile": "sample",
        "manifest": {
            "url": "https://example.org/manifest.git",
            "file": "default.xml",
            "branch": "master",
            "revision": sha,
        },
        "reason": "nightly",
        "trigger": "cron",
        "parent": None,
        "from_stage": None,
        "started": "2026-11-20T02:00:00Z",
        "finished": "2026-11-20T02:09:30Z",
        "result": "success",
        "missing": ["container images"],
        "failed_stage": None,
        "excerpt": [],
        "stages": [
            {
                "name": "packages",
                "command": ["build-pkgs", "--std"],
                "result": "ok",
                "started": "2026-11-20T02:01:00Z",
                "finished": "2026-11-20T02:05:00Z",
                "seconds": 240.5,
                "cpu_seconds": 400,
                "peak_memory_bytes": 400_000_000,
                "exit_code": 0,
                "attempts": 1,
                "log": "outputs/logs/packages.log",
            },
            {
                "name": "images",
                "command": ["build-stx-images.sh", "--push"],
                "result": "degraded",
                "started": "2026-11-20T02:05:00Z",
                "finished": "2026-11-20T02:05:10Z",
                "seconds": 10,
                "cpu_seconds": 0.4,
                "peak_memory_bytes": 9_000_000,
                "exit_code": 1,
                "attempts": 2,
                "log": "outputs/logs/images.log",
            },
        ],
        "artifacts": {"outputs/RPMS/std": {"files": 9, "bytes": 123_456}},
        "iso": {"path": "outputs/iso/bootimage.iso", "size": 40_000_000, "sha256": "ab" * 32},
        "images": [],
        "sanity": {"static": {"result": "ok", "seconds": 0.4}},
        "changes": [
            {
                "path": "cgcs-root",
                "from": None,
                "to": sha,
                "commits": [{"sha": sha, "subject": "Add it"}],
            }
        ],
        "previous_good": "master/sample/20261119T020000Z",
        "packages": {"built": 8, "reused": 0},
    }


@pytest.fixture(scope="session")
def template():
    """Render a Jinja expression with Ansible's engine, with this project's filters.

    Values reach a filter as they do in a play: tagged strings and lazy containers.
    """
    from ansible.parsing.dataloader import DataLoader
    from ansible.plugins.loader import filter_loader, init_plugin_loader
    from ansible.template import Templar, trust_as_template

    init_plugin_loader([])
    filter_loader.add_directory(str(PROJECT / "filter_plugins"))

    def render(expression: str, **variables):
        templar = Templar(loader=DataLoader(), variables=variables)
        return templar.template(trust_as_template("{{ " + expression + " }}"))

    return render


@pytest.fixture
def paths(tmp_path, make_stream):
    """A build host with three streams, all of it below a directory of the test."""
    from stxmirror.state.paths import Paths

    paths = Paths(
        etc=tmp_path / "etc",
        state=tmp_path / "state",
        libexec=tmp_path / "libexec",
        localdisk=tmp_path / "localdisk",
        inputs=tmp_path / "inputs",
        streams=tmp_path / "streams",
    )
    variables = paths.inventory / "group_vars" / "all"
    variables.mkdir(parents=True)
    entries = [
        make_stream(),
        make_stream(name="feature", match="f/*", time_limit=600),
        make_stream(name="old", match="r/1.0", retired=True),
    ]
    (variables / "streams.yml").write_text(yaml.safe_dump({"streams": entries}))
    return paths


@pytest.fixture(scope="session")
def crontab(tmp_path_factory) -> Callable[[str], bool]:
    """Whether this machine's own crontab reads a file; it only tries, and installs nothing."""
    program = shutil.which("crontab")
    if program is None:
        pytest.skip("needs crontab (package cron or cronie)")
    usage = subprocess.run([program, "-h"], capture_output=True, text=True, check=False).stderr
    option = "-T" if "-T" in usage else "-n"
    path = tmp_path_factory.mktemp("cron") / "crontab"

    def reads(lines: str) -> bool:
        path.write_text(lines)
        done = subprocess.run([program, option, str(path)], capture_output=True, check=False)
        return done.returncode == 0

    if not reads("* * * * * true\n") or reads("x\n"):
        pytest.skip("crontab cannot try a file here")
    return reads


@pytest.fixture
def mirror(tmp_path: Path):
    """A real mirror behind a real sshd."""
    # Late: it stands on the helpers' directory.
    from mirror_over_ssh import running

    base = tmp_path / "mirror"
    base.mkdir()
    with running(base) as started:
        yield started
