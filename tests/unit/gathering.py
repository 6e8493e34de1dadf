"""A workspace with real RPMs, and collectors that gather it; a plugin of the tests that need it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from rpm_files import make_rpm

from stxmirror.builder.collect import Collector, Gathered, Wanted
from stxmirror.builder.secret_terms import Terms

HOST = "build7.example.org"
SECRET = [HOST, "build7", "/home/ann"]
ID = "20261101T020000Z"


@pytest.fixture(scope="session")
def rpms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directories RPMS and SRPMS with clean packages, two that tell too much, two that are odd."""
    base = tmp_path_factory.mktemp("rpms")
    for name in ("one", "two"):
        made = make_rpm(base, name)
    make_rpm(base, "host", host=HOST)
    make_rpm(base, "told", description=f"Built by hand on {HOST.upper()}.")
    make_rpm(base, "escape", change="Use \x1b[1mbold\x1b[0m words")
    # rpmbuild takes a file with this character for no spec, and a macro may still make it.
    make_rpm(base, "bell", description="Rings%{lua:print(string.char(7))} twice.")
    return made


@pytest.fixture
def workspace(tmp_path: Path, rpms: Path) -> Path:
    path = tmp_path / "workspace"
    for kind, pattern in (("RPMS", "{}-1-1.noarch.rpm"), ("SRPMS", "{}-1-1.src.rpm")):
        for phase, name in (("std", "one"), ("rt", "two")):
            place = path / phase / "rpmbuild" / kind
            place.mkdir(parents=True)
            shutil.copy(rpms / kind / pattern.format(name), place)
    (path / "export").mkdir()
    (path / "export/bootimage.iso").write_bytes(b"\0iso" * 1000)
    (path / "logs").mkdir()
    (path / "logs/packages.log").write_text(f"built on {HOST} in /home/ann/x\nbuild70 is fine\n")
    return path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    made = tmp_path / "publish" / ID
    made.mkdir(parents=True)
    return made


@pytest.fixture
def make(tmp_path: Path, workspace: Path, tree: Path):
    """Make a collector; keywords change how it is made."""

    def make(**changes: object) -> Collector:
        settings = {
            "tree": tree,
            "workspace": workspace,
            "roots": [workspace],
            "view": {},
            "terms": Terms(SECRET),
            "log_terms": Terms(SECRET),
            **changes,
        }
        target = settings.pop("tree")
        return Collector(target, **settings)

    return make


RPMS = [
    Wanted(f"{phase}/rpmbuild/{kind}/*.rpm", f"outputs/{kind}/{phase}", required=True)
    for phase in ("std", "rt")
    for kind in ("RPMS", "SRPMS")
]
ALL = [*RPMS, Wanted("export/*.iso", "outputs/iso", required=False)]


def gather(collector: Collector, wanted: list[Wanted] = ALL, *, metadata: bool = True) -> Gathered:
    for entry in wanted:
        collector.collect(entry)
    collector.collect_logs("**", f"{collector.workspace}/logs")
    collector.tidy(["inputs/downloads"], ["build.json"])
    if metadata and not collector.found.problems:
        collector.make_metadata()
    return collector.found


def one(source: str, place: str = "outputs/helm-charts") -> list[Wanted]:
    return [Wanted(source, place, required=True)]


def files(tree: Path) -> set[str]:
    return {str(path.relative_to(tree)) for path in tree.rglob("*") if not path.is_dir()}
