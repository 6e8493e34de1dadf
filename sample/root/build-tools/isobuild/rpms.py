"""Built RPMs as a pool: which packages a list of names needs, and what is inside them."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

# One line a fact: N name, T build time, P what it provides (its files too), R what it requires.
QUERY = "N %{NAME}\\nT %{BUILDTIME}\\n[P %{PROVIDENAME}\\n][P %{FILENAMES}\\n][R %{REQUIRENAME}\\n]"


class IsoError(Exception):
    """Something that the person who runs the build can put right; str() says how."""


class Package(NamedTuple):
    """One RPM file of the pool."""

    name: str
    path: Path
    build_time: int
    provides: frozenset[str]
    requires: frozenset[str]


def run(command: list[str], **options: object) -> str:
    """Run ``command`` and return its standard output; its last words become an IsoError."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    if done.returncode:
        words = (done.stderr.strip() or done.stdout.strip())[-2000:]
        raise IsoError(f"{Path(command[0]).name} failed with {done.returncode}: {words}")
    return done.stdout


def read_package(path: Path) -> Package:
    """Read the header of the RPM file ``path``."""
    facts: dict[str, list[str]] = {"N": [], "T": [], "P": [], "R": []}
    header = run(["rpm", "-qp", "--nosignature", "--qf", QUERY, str(path)])
    # A name may hold what Python takes for the end of a line, such as U+0085.
    for line in header.rstrip("\n").split("\n"):
        kind, _, value = line.partition(" ")
        facts[kind].append(value)
    return Package(
        name=facts["N"][0],
        path=path,
        build_time=int(facts["T"][0]),
        provides=frozenset(facts["P"]),
        requires=frozenset(r for r in facts["R"] if not r.startswith("rpmlib(")),
    )


def read_pool(directories: Iterable[Path]) -> dict[str, Package]:
    """All RPMs of ``directories`` by name; an earlier directory wins, two in one are refused."""
    pool: dict[str, Package] = {}
    for directory in directories:
        for path in sorted(directory.glob("*.rpm")):
            package = read_package(path)
            known = pool.setdefault(package.name, package)
            if known.path != path and known.path.parent == directory:
                raise IsoError(
                    f"{directory} holds two versions of {package.name}: {known.path.name} and "
                    f"{path.name}; build-pkgs --clean {package.name}, then build-pkgs, leaves one"
                )
    if not pool:
        raise IsoError("there are no RPMs in the workspace: run build-pkgs first")
    return pool


def closure(pool: dict[str, Package], names: Iterable[str]) -> list[Package]:
    """The packages ``names`` and what they require, by name.

    Versions are not looked at here; check_installable does.
    """
    providers: dict[str, list[str]] = {}
    for package in pool.values():
        for provided in package.provides:
            providers.setdefault(provided, []).append(package.name)
    chosen: set[str] = set()
    wanted = [(name, "the image lists") for name in sorted(names)]
    missing = []
    while wanted:
        requirement, who = wanted.pop()
        found = [requirement] if requirement in pool else providers.get(requirement, [])
        if not found:
            missing.append(f"{requirement} (asked for by {who})")
        elif not chosen.intersection(found):
            # The shortest name: the thing itself rather than a variant of it.
            name = min(found, key=lambda candidate: (len(candidate), candidate))
            chosen.add(name)
            wanted += [(required, name) for required in sorted(pool[name].requires)]
    if missing:
        raise IsoError(
            "no built package provides " + ", ".join(sorted(missing)) + "; build it, or take the "
            "package that asks for it out of the image list"
        )
    return [pool[name] for name in sorted(chosen)]


def check_installable(packages: list[Package]) -> None:
    """Let rpm itself say that ``packages`` install together onto an empty system."""
    with tempfile.TemporaryDirectory() as database:
        run(
            [
                *("rpm", "-U", "--test", "--nosignature", "--ignorearch", "--ignoreos"),
                # Nothing is installed here, and this host's own root may be read-only.
                "--ignoresize",
                *("--dbpath", database),
                *(str(package.path) for package in packages),
            ]
        )


def unpack(packages: Iterable[Package], into: Path) -> None:
    """Unpack the files of ``packages`` below ``into``, without running any script of theirs."""
    into.mkdir(parents=True, exist_ok=True)
    # The links /bin, /lib and so on come first: other packages' files lie behind them.
    for package in sorted(packages, key=lambda p: (p.name != "filesystem", p.name)):
        with subprocess.Popen(["rpm2cpio", str(package.path)], stdout=subprocess.PIPE) as payload:
            run(
                [
                    *("cpio", "--extract", "--make-directories", "--unconditional", "--quiet"),
                    *("--no-absolute-filenames", "--no-preserve-owner"),
                ],
                stdin=payload.stdout,
                cwd=into,
            )
        if payload.returncode:
            raise IsoError(f"{package.path} cannot be unpacked: build it again")
