"""download_mirror.sh: brings a build's inputs to the local mirror."""

from __future__ import annotations

import argparse
import fcntl
import os
import sys
from pathlib import Path

from mirrortools import MirrorToolsError, buildroot
from mirrortools.apt import Apt, Deb
from mirrortools.lists import read_buildroot, read_downloads

_HERE = Path(__file__).resolve().parent.parent
# Where StarlingX's tools of that age put it.
_LAYOUT = Path("stx-r1/CentOS/pike")


def main() -> int:
    """The command; 0 when everything that the lists name lies on the local mirror."""
    parser = argparse.ArgumentParser(
        prog="download_mirror.sh",
        description="Downloads what deb-dl.lst and buildroot.lst name, as far as it is not there "
        f"yet, to $MY_MIRROR/{_LAYOUT} (without MY_MIRROR: output/{_LAYOUT} beside this script).",
    )
    parser.parse_args()
    mirror = Path(os.environ.get("MY_MIRROR") or _HERE / "output") / _LAYOUT
    try:
        _download(mirror, os.environ.get("PROJECT") or "default")
    except MirrorToolsError as error:
        _log_missing(str(error))
        print(f"ERROR: {error}", file=sys.stderr)
        return 1
    return 0


def _download(mirror: Path, project: str) -> None:
    _log_missing(None)
    for name in ("Binary/x86_64", "Source", "downloads", "state/debs"):
        (mirror / name).mkdir(parents=True, exist_ok=True)
    with (mirror / "state/lock").open("w") as lock:
        # Streams share the mirror; the kernel frees this when its holder dies.
        fcntl.flock(lock, fcntl.LOCK_EX)
        # What this project's build uses: the mirror also holds what other builds were made of.
        index = mirror / f"{project}.lst"
        index.unlink(missing_ok=True)
        apt = Apt(mirror / "state/apt")
        apt.update()
        wanted = read_downloads((_HERE / "deb-dl.lst").read_text(), "deb-dl.lst")
        inputs = apt.exactly(wanted)
        _say("downloads", inputs, apt.fetch(inputs, mirror / "downloads"))
        root = _build_root(apt, mirror)
        lines = [f"downloads/{deb.file}" for deb in inputs] + [f"Binary/x86_64/{root}"]
        temporary = mirror / f"state/{project}.new"
        temporary.write_text("".join(f"{line}\n" for line in lines))
        temporary.replace(index)


def _build_root(apt: Apt, mirror: Path) -> str:
    packages = read_buildroot((_HERE / "buildroot.lst").read_text(), "buildroot.lst")
    debs = apt.closure([p.name for p in packages])
    name = buildroot.file_name(buildroot.digest(debs, packages))
    if (mirror / "Binary/x86_64" / name).is_file():
        print(f"build root: {name} is there")
        return name
    cache = mirror / "state/debs"
    _say("build root", debs, apt.fetch(debs, cache))
    buildroot.build(debs, cache, packages, mirror / "Binary/x86_64")
    for name in {p.name for p in cache.glob("*.deb")} - {d.file for d in debs}:
        (cache / name).unlink()
    print(f"build root: {name} made of {len(debs)} packages")
    return name


def _say(what: str, debs: list[Deb], fetched: list[Deb]) -> None:
    size = sum(d.size for d in fetched) / 1e6
    print(f"{what}: {len(debs)} named, {len(fetched)} downloaded ({size:.1f} MB)", flush=True)


def _log_missing(trouble: str | None) -> None:
    """logs/deb_missing.log exists while something is missing, as StarlingX's nightly expects."""
    log = _HERE / "logs/deb_missing.log"
    if trouble is None:
        log.unlink(missing_ok=True)
        return
    log.parent.mkdir(exist_ok=True)
    log.write_text(f"{trouble}\n")


if __name__ == "__main__":
    sys.exit(main())
