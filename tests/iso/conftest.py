"""Tiny ISOs that boot in a third of a second, and this host as the checks of an ISO see it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tiny_iso import write_iso

PROJECT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT))

from stxmirror.builder import boot_plan, iso_checks  # noqa: E402 - the path comes first
from stxmirror.builder.boot_plan import Job, Step, Verdict  # noqa: E402
from stxmirror.builder.deadline import Limits  # noqa: E402

BUILD_ID = "master/sample/20261122T024512Z"
MARKER = "SAMPLE: installer x ready"


@pytest.fixture
def make_iso(tmp_path):
    """Make an ISO that says ``text`` on its serial line and stops; see tiny_iso.write_iso."""

    def make(text: str = "", **faults: Any) -> Path:
        iso = tmp_path / "bootimage.iso"
        write_iso(iso, BUILD_ID, boot=text, **faults)
        return iso

    return make


@pytest.fixture
def make_request(tmp_path):
    """Make a request for checks of an ISO, as its JSON text."""

    def make(iso: Path, **changes: Any) -> str:
        scratch = tmp_path / "a,b"
        scratch.mkdir(exist_ok=True)
        request = {
            "iso": str(iso),
            "build_id": BUILD_ID,
            "scratch": str(scratch),
            "min_bytes": 1,
            "memory_mb": 32,
            "disk_gb": 1,
            "time_limit": 30,
            "markers": {"boot": MARKER, "install": "installed x", "installed": "running x"},
            "failure_markers": ["SAMPLE: FAILED"],
            "installed_uefi": False,
            "result": str(tmp_path / "result.json"),
        }
        return json.dumps(request | changes)

    return make


@pytest.fixture
def boot(make_request):
    """The verdict about one machine that has the ISO in its drive and has to say MARKER."""

    def run(
        iso: Path,
        *,
        limits: Limits | None = None,
        firmware: str = "bios",
        host_type: type[iso_checks.QemuHost] = iso_checks.QemuHost,
        failure_markers: Sequence[str] = (),
        **changes: Any,
    ) -> Verdict:
        request = iso_checks.Request.read(make_request(iso, **changes))
        with host_type(request) as host:
            # A machine that stands still does so however busy the machine of the tests is.
            host.cores = 1_000_000
            return boot_plan.run(
                [Job("m", firmware, (Step("boot", MARKER),), from_iso=True)],
                host,
                limits=limits or Limits(cpu=60, still=600, wall=600),
                failure_markers=failure_markers,
            )["boot"]

    return run
