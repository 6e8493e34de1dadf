"""Has other people's programs judge a container: OpenSCAP and Lynis.

python molecule/hardening/scan/judge.py scan CONTAINER...   what fails, as JSON
python molecule/hardening/scan/judge.py table [MEASURED]    writes docs/hardening.md anew
"""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent))
import content

HERE = Path(__file__).resolve().parent
DOCUMENT = HERE.parents[2] / "docs" / "hardening.md"
MEASURED = HERE / "measured.yml"
# What the scanner's own remediation of CIS level 2 reaches.
LYNIS_TO_BEAT = 69
PREFIX = "xccdf_org.ssgproject.content_"
KINDS = {
    "real-machine": "seen to; only a real machine can show it",
    "waived": "not done, on purpose",
    "unseen": "passed over in a container; what a real machine shows",
}


def decisions(name: str) -> list[dict]:
    """Return what a file of ``waivers/`` holds."""
    return yaml.safe_load((HERE / "waivers" / f"{name}.yml").read_text())


def waivers() -> list[dict]:
    """Return what was decided about OpenSCAP's rules, each decision with its kind."""
    return [{"kind": kind, **waiver} for kind in KINDS for waiver in decisions(kind)]


def inside(container: str, *command: str, data: bytes | None = None) -> str:
    """Run a command in a container; its exit code is not looked at."""
    done = subprocess.run(
        ["podman", "exec", "--interactive", container, *command],
        input=data if data is not None else b"",
        capture_output=True,
        check=False,
    )
    return done.stdout.decode(errors="replace")


def release(container: str) -> str:
    """Return the release of Debian that a container runs."""
    return inside(container, "sh", "-c", '. /etc/os-release; echo "$VERSION_ID"').strip()


def openscap(container: str, profile: str) -> dict[str, str]:
    """Return the result of each rule of a profile."""
    # What says that this is a container would make half of the rules not applicable.
    inside(container, "sh", "-c", "umount /run/.containerenv; rm -f /run/.containerenv")
    stream = content.data_stream(release(container)).read_bytes()
    inside(container, "sh", "-c", "mkdir -p /run/scan && cat >/run/scan/ds.xml", data=stream)
    try:
        said = inside(
            container, "oscap", "xccdf", "eval", "--progress", "--profile",
            f"{PREFIX}profile_{profile}", "/run/scan/ds.xml",
        )  # fmt: skip
    finally:
        inside(container, "rm", "-rf", "/run/scan")
    rules = dict(line.rsplit(":", 1) for line in said.splitlines() if line.startswith(PREFIX))
    if not rules:
        raise content.NoContent(f"oscap said nothing in {container}: is openscap-scanner there?")
    return {rule.removeprefix(f"{PREFIX}rule_"): result for rule, result in rules.items()}


def lynis(container: str) -> dict:
    """Return the score, the warnings, and the tests that suggest something."""
    report = "/var/log/lynis-report.dat"
    # Its standard input would be read by what it asks.
    inside(container, "sh", "-c", "lynis audit system --quick --no-colors --quiet </dev/null")
    lines = inside(container, "cat", report).splitlines()
    score = [line.partition("=")[2] for line in lines if line.startswith("hardening_index=")]
    if not score:
        raise content.NoContent(f"lynis said nothing in {container}: is lynis there?")
    found = {
        kind: sorted({line.partition("=")[2] for line in lines if line.startswith(f"{kind}[]=")})
        for kind in ("warning", "suggestion")
    }
    return {
        "score": int(score[-1]),
        "warnings": found["warning"],
        "suggestions": sorted({text.partition("|")[0] for text in found["suggestion"]}),
    }


def unanswered(scans: list[dict]) -> list[str]:
    """Return the tests of Lynis that suggest something nobody has answered."""
    answered = {name for waiver in decisions("lynis") for name in waiver["rules"]}
    return sorted({name for one in scans for name in one["lynis"]["suggestions"]} - answered)


def failing(rules: dict[str, str]) -> list[str]:
    """Return the rules that did not pass; one that broke did not either."""
    return sorted(rule for rule, result in rules.items() if result in ("fail", "error"))


def applies(waiver: dict, host: str, version: str, profile: str = "") -> bool:
    """Whether a waiver is about this host, this release and this profile."""
    return (
        host in waiver.get("hosts", [host])
        and version in waiver.get("releases", [version])
        and (not profile or profile in waiver.get("profiles", [profile]))
    )


def verdict(scans: list[dict]) -> dict[str, list[str]]:
    """Compare scans with the waivers: what fails unexplained, and what is explained in vain."""
    decided = waivers()
    unexplained, used = set(), set()
    for one in scans:
        for profile, names in one["failing"].items():
            for name in names:
                for index, waiver in enumerate(decided):
                    if name in waiver["rules"] and applies(
                        waiver, one["host"], one["release"], profile
                    ):
                        used.add((index, name))
                        break
                else:
                    unexplained.add(f"{one['host']}: {profile}: {name}")
    versions = {one["release"] for one in scans}
    needless = {
        name
        for index, waiver in enumerate(decided)
        for name in waiver["rules"]
        if (index, name) not in used
        and waiver["kind"] != "unseen"
        and versions & set(waiver.get("releases", versions))
    }
    return {"unexplained": sorted(unexplained), "needless": sorted(needless)}


def scan(container: str, host: str) -> dict:
    """Have a container judged by each profile."""
    results = {profile: openscap(container, profile) for profile in content.PIN["profiles"]}
    return {
        "host": host,
        "release": release(container),
        "failing": {profile: failing(rules) for profile, rules in results.items()},
        "passing": {
            profile: sum(result == "pass" for result in rules.values())
            for profile, rules in results.items()
        },
        "lynis": lynis(container),
    }


def scan_all(containers: dict[str, str]) -> list[dict]:
    """Have containers judged, side by side; the keys say what each of them is."""
    # Fetched once, before two would do it at once.
    for version in {release(container) for container in containers.values()}:
        content.data_stream(version)
    with ThreadPoolExecutor() as pool:
        return list(pool.map(scan, containers.values(), containers))


def table() -> str:
    """Return the document: counts, and each rule that does not pass with its reason."""
    decided, measured = waivers(), yaml.safe_load(MEASURED.read_text())
    lines = [
        "# What the audits say",
        "",
        "For who judges a hardened host: what programs that nobody here wrote find on a server",
        "that role `hardening` has set up, and the reason for each rule that fails.",
        "This page is made from `molecule/hardening/scan/` (`waivers/`, `measured.yml`) by",
        "`judge.py table`; `judge.py scan` names rules that fail and are not here, and",
        "those that are here and pass.",
        "",
        f"The rules are those of the SCAP Security Guide {content.PIN['version']}, in",
        "containers: with no kernel, boot loader or disks of their own, so that some rules cannot",
        "pass there, and others are passed over (the last table).",
        "",
        "| host | judged by | before | after |",
        "| --- | --- | --- | --- |",
    ]
    for row in measured["scans"]:
        lines.append(f"| {row['host']} | {row['by']} | {row['before']} | {row['after']} |")
    lines += ["", "## The demo's hosts: what fails there besides", ""]
    lines += ["They have builds, a site's services and no scenario's extras.", ""]
    lines += ["| rules | where | why |", "| --- | --- | --- |", *map(row_of, measured["demo"])]
    lines += ["", "## Lynis: what it suggests besides", "", "| tests | why not |", "| --- | --- |"]
    for waiver in decisions("lynis"):
        names = ", ".join(f"`{name}`" for name in sorted(waiver["rules"]))
        lines.append(f"| {names} | {' '.join(waiver['why'].split())} |")
    for kind, meaning in KINDS.items():
        lines += ["", f"## {kind}: {meaning}", "", "| rules | where | why |", "| --- | --- | --- |"]
        for waiver in decided:
            if waiver["kind"] == kind:
                lines.append(row_of(waiver))
    return "\n".join(lines) + "\n"


def row_of(waiver: dict) -> str:
    """Return the line of the table for one decision."""
    where = waiver.get("hosts", []) + [f"Debian {one}" for one in waiver.get("releases", [])]
    rules = ", ".join(f"`{rule}`" for rule in sorted(waiver["rules"]))
    return f"| {rules} | {', '.join(where) or 'all'} | {' '.join(waiver['why'].split())} |"


def main(arguments: list[str]) -> int:
    """Do what the command line says."""
    if arguments[:1] == ["scan"] and len(arguments) > 1:
        found = scan_all({name.rsplit("-", 1)[-1]: name for name in arguments[1:]})
        told = {"scans": found, **verdict(found), "unanswered": unanswered(found)}
        print(json.dumps(told, indent=1))
        return 0
    if arguments == ["table"]:
        DOCUMENT.write_text(table())
        return 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except content.NoContent as error:
        sys.exit(str(error))
