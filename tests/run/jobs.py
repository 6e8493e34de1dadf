# SPDX-License-Identifier: Apache-2.0
"""What the tests consist of: each part as jobs that can run beside others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
PARTS = ("e2e", "unit", "tools", "lint", "molecule")
# Made from the distributions' own packages; EL needs an image of a registry (molecule/README.md).
RELEASES = ("trixie", "noble")
PYTHONS = ("3.11", "3.12", "3.13")
# Both ends of what is supported.
ANSIBLES = ("2.19", "newest")

# The end-to-end test plays these roles on fresh hosts: in check mode, for good, and once more.
# Where it runs, too, their scenarios need not show again that check mode works and a second run
# changes nothing. The others have tasks that the demo does not reach: they do it always.
PLAYED_BY_E2E = ("hardening", "mirror_host", "packages", "registry", "scheduler", "users")


@dataclass(frozen=True)
class Job:
    """One command, whose output goes to a log of its own."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    alone: str = ""  # jobs with the same word are never run at the same time


def scenarios() -> list[str]:
    """The names of all molecule scenarios."""
    return sorted(path.parent.name for path in (PROJECT / "molecule").glob("*/molecule.yml"))


def scenario(name: str, *, brief: bool = False, release: str = "") -> Job:
    """A molecule scenario; ``brief`` leaves out what the end-to-end test shows of its role."""
    options = ("--brief",) if brief and name in PLAYED_BY_E2E else ()
    return Job(
        f"molecule {name}" + (f" on {release}" if release else ""),
        ("tests/run/molecule", *options, name),
        {"STX_TEST_RELEASE": release} if release else {},
        alone=f"molecule {name}",
    )


def part(name: str, *, brief: bool = False) -> list[Job]:
    """The jobs of a part; ``ValueError`` if there is none of that name."""
    if name not in PARTS:
        raise ValueError(f"unknown part '{name}'; the parts are: {', '.join(PARTS)}")
    if name == "molecule":
        return [scenario(each, brief=brief) for each in scenarios()]
    return [Job(name, (f"tests/run/{name}",))]


def matrix() -> list[Job]:
    """What ``--all`` adds: the other releases, Pythons and ansible-cores, and the mutations."""
    jobs = [scenario(each, release=release) for release in RELEASES for each in scenarios()]
    jobs += [Job(f"unit on Python {v}", ("tests/run/versions", "python", v)) for v in PYTHONS]
    jobs += [
        # Plays that scenario.
        Job(f"ansible-core {v}", ("tests/run/versions", "ansible", v), alone="molecule scheduler")
        for v in ANSIBLES
    ]
    if (PROJECT / "tests/run/mutation").exists():
        jobs.append(Job("mutation", ("tests/run/mutation",)))
    return jobs


def in_order(jobs: Iterable[Job], seconds: Mapping[str, int]) -> list[Job]:
    """Jobs in the order in which they start.

    The end-to-end test comes first, because it is the longest and makes the base image that the
    scenarios start from; these come last, the longest first, so that none is left to run alone.
    """

    def key(job: Job) -> tuple[int, int]:
        word = job.name.split()[0]
        return (PARTS.index(word) if word in PARTS else len(PARTS), -seconds.get(job.name, 0))

    return sorted(jobs, key=key)
