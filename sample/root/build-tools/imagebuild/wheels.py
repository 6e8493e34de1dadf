"""build-wheel-tarball.sh: the wheels that packages carry, as files and as one archive."""

from __future__ import annotations

import argparse
import shutil
import sys

from isobuild.rpms import read_pool, unpack
from pkgbuild import BuildError, tarball
from pkgbuild.env import DISTRO, Env

from imagebuild import STREAMS, command, listed


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="build-wheel-tarball.sh", description=__doc__)
    parser.add_argument("--os", choices=[DISTRO], default=DISTRO)
    parser.add_argument("--stream", choices=STREAMS, default="stable")
    arguments = parser.parse_args()
    return command(lambda environment: _build(environment, arguments.stream))


def _build(environment: Env, stream: str) -> None:
    names = sorted({name for _, name in listed(environment, f"{stream}_wheels")})
    if not names:
        raise BuildError(f"no git has a {DISTRO}_{stream}_wheels.inc that names a package")
    pool = read_pool([environment.rpms("std")])
    missing = [name for name in names if name not in pool]
    if missing:
        raise BuildError(f"not built: {' '.join(missing)}; run build-pkgs, then this again")
    output = environment.workspace / "std" / f"build-wheels-{DISTRO}-{stream}"
    shutil.rmtree(output, ignore_errors=True)
    packages = [pool[name] for name in names]
    unpack(packages, output / "stx")
    wheels = sorted((output / "stx/wheels").glob("*.whl"))
    if not wheels:
        raise BuildError(f"{' '.join(names)} hold no wheel in /wheels")
    # Newest of the packages: the archive has the time of what is in it.
    epoch = max(package.build_time for package in packages)
    archive = output / f"stx-{DISTRO}-{stream}-wheels.tar"
    tarball.write(archive, output / "stx/wheels", "wheels", epoch, set())
    print(f"{len(wheels)} wheels: {archive}")


if __name__ == "__main__":
    sys.exit(main())
