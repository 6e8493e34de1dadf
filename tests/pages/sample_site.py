"""A mirror to look at: every kind of stream and build, and strings that try to break out."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from stxmirror import names
from stxmirror.layout import BuildId
from stxmirror.mirror import pages
from stxmirror.mirror.config import Site
from stxmirror.mirror.page_model import Known
from stxmirror.mirror.state import BuildState
from stxmirror.retention import Rule
from stxmirror.times import format_build_date, format_time

NOW = datetime(2026, 11, 22, 9, 30, 0, tzinfo=timezone.utc)
SITE = Site(title="StarlingX build mirror", prefix="/mirror/starlingx/")
HOSTILE = (
    "<script>document.title='pwned'</script>\"'><img src=x onerror=alert(1)>\u202etxt.exe\x1b[31m"
)
HOSTILE_SHORT = "\"><b onmouseover='x'>&amp;</b>"


def rule(
    stream: str, directory: str, keep: dict[str, Any], audience: str, description: str, **more: Any
) -> Rule:
    """A rule as the mirror's configuration has it."""
    raw = {"stream": stream, "directory": directory, "keep": keep, "audience": audience}
    return Rule.parse({**raw, "description": description, **more})


RULES = [
    rule(
        "master",
        "master/sample",
        {"days": 14},
        "develop",
        "What will be the next release, built every night",
    ),
    rule(
        "release-2018-10",
        "release/2018.10/sample",
        {"forever": True},
        "try",
        "The first release",
        legacy_alias="r2018.10",
    ),
    rule("milestones", "milestone/*/sample", {"release_periods": 1}, "try", "On the way there"),
    rule("features", "feature/*/sample", {"days": 30}, "develop", f"On demand {HOSTILE_SHORT}"),
    rule("stx-10", "release/stx.10.0/sample", {"forever": True}, "try", "Not there yet"),
]
LATEST: dict[str, dict[str, str]] = {}


def sha(seed: str, length: int = 40) -> str:
    """Hex digits that look like a commit or a checksum."""
    return hashlib.sha256(seed.encode()).hexdigest()[:length]


def stage(name: str, seconds: float, result: str = "ok", **more: Any) -> dict[str, Any]:
    """A stage of a record."""
    return {
        "name": name,
        "command": ["build-pkgs", f"--{name}"],
        "result": result,
        "started": "2026-11-20T02:00:00Z",
        "finished": "2026-11-20T02:05:00Z",
        "seconds": seconds,
        "cpu_seconds": seconds * 1.7,
        "peak_memory_bytes": int(3e8 + seconds * 1e6),
        "exit_code": 0 if result == "ok" else 2,
        "attempts": 1,
        "log": f"outputs/logs/{name}.log",
        **more,
    }


STAGES = (
    ("download", 41.2),
    ("packages", 312.5),
    ("installer", 22.8),
    ("iso", 31.1),
    ("wheels", 6.3),
    ("charts", 1.9),
    ("images", 18.4),
)


def build(
    directory: str,
    days_ago: float,
    *,
    keep_days: float | None = 14,
    result: str = "success",
    ref: str = "master",
    stream: str = "master",
    record: dict[str, Any] | None = None,
    **entry: Any,
) -> dict[str, Any]:
    """A build as the mirror knows it; a success becomes the latest of its directory."""
    when = NOW - timedelta(days=days_ago)
    parts = BuildId.parse(f"{directory}/{format_build_date(when)}")
    good = result == "success"
    if good and not entry.get("tombstone"):
        known = LATEST.setdefault(directory, {"latest_build": ""})
        known["latest_build"] = max(known["latest_build"], parts.build_date)
    artifacts = {
        "inputs/downloads": {"files": 3, "bytes": 9_300_000},
        "outputs/RPMS/std": {"files": 14, "bytes": 12_400_000},
        "outputs/RPMS/rt": {"files": 2, "bytes": 6_100_000},
        "outputs/SRPMS/std": {"files": 9, "bytes": 4_200_000},
        "outputs/installer": {"files": 3, "bytes": 17_000_000},
        "outputs/wheels": {"files": 2, "bytes": 40_000},
        "outputs/helm-charts": {"files": 1, "bytes": 3_100},
        "outputs/iso": {"files": 1, "bytes": 48_234_496},
        "outputs/logs": {"files": 12, "bytes": 800_000},
    }
    content = {
        "schema": 1,
        "id": str(parts),
        "stream": stream,
        "ref": ref,
        "identifier": parts.identifier,
        "distro": parts.distro,
        "layer": parts.layer,
        "profile": "sample",
        "manifest": {
            "url": "https://example.org/manifest.git",
            "file": "default.xml",
            "branch": ref,
            "revision": sha(str(parts)),
        },
        "reason": "nightly",
        "trigger": "cron",
        "parent": None,
        "from_stage": None,
        "started": format_time(when),
        "finished": format_time(when + timedelta(minutes=8, seconds=43)),
        "result": result,
        "missing": [],
        "failed_stage": None,
        "excerpt": [],
        "stages": [stage(*entry_) for entry_ in STAGES],
        "artifacts": artifacts if good else {"outputs/logs": {"files": 5, "bytes": 400_000}},
        "iso": {
            "path": "outputs/iso/bootimage.iso",
            "size": 48_234_496,
            "sha256": sha(f"iso {parts}", 64),
        }
        if good
        else None,
        "images": ["registry.example.org/starlingx/stx-sample:dev-sample-pike-latest"]
        if good
        else [],
        "sanity": {
            "static": {"result": "ok", "seconds": 0.6},
            "boot-bios": {"result": "ok", "seconds": 21.4},
            "boot-uefi": {"result": "ok", "seconds": 33.9},
            "install": {"result": "ok", "seconds": 58.2},
            "installed-boot": {"result": "ok", "seconds": 19.7},
        }
        if good
        else {},
        "changes": [],
        "previous_good": None,
        "packages": {"built": 14, "reused": 0},
        **(record or {}),
    }
    return {
        "id": str(parts),
        "result": result,
        "record": content,
        "keep_until": format_time(when + timedelta(days=keep_days)) if keep_days else None,
        "rule": stream,
        "hold": None,
        "notes": [],
        "published": format_time(when + timedelta(minutes=10)),
        "bytes": 97_000_000 if good else 400_000,
        "tombstone": None,
        **entry,
    }


FAILED_LOG = [
    "+ rpmbuild --rebuild namespace-utils-1.0-7.tis.src.rpm",
    "gcc -O2 -g -c src/bashns.c -o bashns.o",
    "src/bashns.c: In function 'main':",
    "src/bashns.c:41:5: error: unknown type name 'pid'; did you mean 'pid_t'?",
    "make: *** [Makefile:9: bashns.o] Error 1",
    "error: Bad exit status from /var/tmp/rpm-tmp.x3ZqW2 (%build)",
    "build-pkgs: 1 of 14 packages failed: namespace-utils",
]
CHANGES = [
    {
        "path": "cgcs-root/stx/utilities",
        "from": sha("a"),
        "to": sha("b"),
        "commits": [
            {"sha": sha("c1"), "subject": "namespace-utils: keep the exit status of the command"},
            {"sha": sha("c2"), "subject": "Name the licence in every spec file"},
        ],
    },
    {"path": "cgcs-root/stx/kernel", "from": None, "to": sha("k"), "commits": []},
]


def hostile_record() -> dict[str, Any]:
    """A record that its schema allows, from a builder that means harm."""
    return {
        "ref": "f/evil",
        "reason": HOSTILE,
        "missing": [HOSTILE],
        "stages": [
            stage("packages", 3.0, command=[HOSTILE], log="javascript:alert(1)"),
            stage("images", 1.0, "degraded", log="../../../../etc/passwd", attempts=3),
        ],
        "artifacts": {"outputs/RPMS/std": {"files": 1, "bytes": 1}},
        "iso": {"path": "//evil.example/x.iso", "size": 1, "sha256": sha("x", 64)},
        "images": [HOSTILE],
        "sanity": {"static": {"result": "ok", "seconds": 1, "note": HOSTILE}},
        "changes": [
            {
                "path": HOSTILE_SHORT,
                "from": None,
                "to": sha("t"),
                "commits": [{"sha": sha(str(n)), "subject": HOSTILE} for n in range(40)],
            }
        ],
        "manifest": {
            "url": "javascript:alert(1)",
            "file": HOSTILE_SHORT,
            "branch": HOSTILE_SHORT,
            "revision": None,
        },
    }


def site() -> list[dict[str, Any]]:
    """The builds of the mirror to look at."""
    LATEST.clear()
    release = {"stream": "release-2018-10", "ref": "r/2018.10", "keep_days": None}
    milestone = {"stream": "milestones", "keep_days": 182}
    feature = {"stream": "features", "keep_days": 30}
    good = build("master/sample", 2.31)
    return [
        build("master/sample", 20.31, hold="bisecting the boot time regression"),
        build("master/sample", 4.31, record={"packages": {"built": 2, "reused": 12}}),
        build(
            "master/sample",
            3.31,
            tombstone={
                "reason": "the installer erased disks that were not blank",
                "when": "2026-11-20T08:00:00Z",
            },
        ),
        {
            **good,
            "record": {
                **good["record"],
                "changes": CHANGES,
                "previous_good": build("master/sample", 4.31)["id"],
                "missing": ["container images"],
                "images": [],
                "stages": [
                    *good["record"]["stages"][:-1],
                    stage("images", 30.4, "degraded", attempts=3),
                ],
            },
            "notes": ["Passed on the hardware lab's two-node system, 2026-11-21."],
        },
        build(
            "master/sample",
            1.31,
            result="fail",
            record={
                "failed_stage": "packages",
                "excerpt": FAILED_LOG,
                "stages": [stage("download", 40.0), stage("packages", 61.0, "failed")],
            },
        ),
        build(
            "master/sample",
            0.31,
            result="fail",
            record={
                "failed_stage": "packages",
                "excerpt": FAILED_LOG,
                "stages": [stage("download", 40.0), stage("packages", 60.0, "failed")],
                "previous_good": good["id"],
                "changes": CHANGES[:1],
            },
        ),
        build("release/2018.10/sample", 400.2, **release),
        build("release/2018.10/sample", 12.6, **release),
        build("milestone/2019.05b1/sample", 90.1, ref="m/2019.05b1", **milestone),
        build("feature/centos76/sample", 6.4, ref="f/centos76", **feature),
        build("feature/centos76/sample/flock", 5.4, ref="f/centos76", rule=None, keep_days=None),
        build("feature/evil/sample", 1.8, **feature, record=hostile_record()),
        build(
            "feature/broken/sample",
            1.6,
            result="fail",
            ref="f/broken",
            **feature,
            record={"failed_stage": "source-sync", "excerpt": [HOSTILE] * 3, "stages": []},
            hold=HOSTILE,
            notes=[HOSTILE],
        ),
    ]


def render(builds: list[dict[str, Any]] | None = None) -> dict[str, bytes]:
    """The pages of the site."""
    shown = known(site() if builds is None else builds)
    return pages.render(shown, RULES, {k: dict(v) for k, v in LATEST.items()}, SITE, NOW)


def known(builds: list[dict[str, Any]]) -> list[Known]:
    """The builds as the mirror knows them."""
    return [Known(BuildState.parse(build, build["id"]), build["record"]) for build in builds]


def write(root: Path) -> list[dict[str, Any]]:
    """Write the pages, and empty files for what they link to; return the builds."""
    builds = site()
    for path, content in render(builds).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    (root / names.SIGNING_KEY).write_text("a key\n")
    for entry in builds:
        if entry["tombstone"]:
            continue
        base = root / entry["id"]
        record = entry["record"]
        files = ["build.json", "SHA256SUMS", "SHA256SUMS.asc", "outputs/CONTEXT"]
        files += [f"{path}/x" for path in record["artifacts"]]
        files += [s["log"] for s in record["stages"] if s["log"].startswith("outputs/logs/")]
        if record["iso"]:
            files.append("outputs/iso/bootimage.iso")
        for file in files:
            (base / file).parent.mkdir(parents=True, exist_ok=True)
            (base / file).write_text("x\n")
    return builds


if __name__ == "__main__":
    import sys

    write(Path(sys.argv[1]))
