"""A clean root for each package, thrown away after it.

The base root (one RPM of the downloads) is unpacked once a workspace; each package gets an
overlay over it. The upper layer lies in memory, or on the disk for a package that says
BUILD_IS_BIG, as StarlingX's tools have it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from pkgbuild import BuildError
from pkgbuild.env import Env
from pkgbuild.rpmmeta import Rpm

# What the base provides; in mock's terms, what chroot_setup_cmd installs.
MARKER = "buildsys-build"

_HERE = Path(__file__).resolve().parent
_NAMESPACES = ["unshare", "--user", "--map-root-user", "--mount", "--net", "--uts", "--pid",
               "--fork", "--kill-child"]  # fmt: skip


class RootFailed(Exception):
    """BuildRequires could not be installed: root.log says why."""


class PackageFailed(Exception):
    """The package did not build: build.log says why."""


def find_base(inputs: list[Rpm], where: Path) -> Rpm:
    """The downloaded RPM that every root starts from."""
    found = [rpm for rpm in inputs if any(p.name == MARKER for p in rpm.provides)]
    if len(found) != 1:
        raise BuildError(
            f"{where} holds {len(found)} RPMs that provide {MARKER}, and it must be one; run "
            "download_mirror.sh and generate-cgcs-centos-repo.sh"
        )
    return found[0]


def identity(base: Rpm, env: Env) -> str:
    """What decides what a build in a root gives, beside the package: the base and the way."""
    digest = hashlib.sha256(file_digest(base.path).encode())
    for path in (env.tools / "rpm" / "macros.tis", _HERE / "in_root.sh"):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def file_digest(path: Path) -> str:
    """The sha256 of a file, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


class Roots:
    """Makes and throws away roots below the workspace."""

    def __init__(self, env: Env, base: Rpm) -> None:
        self._macros = env.tools / "rpm" / "macros.tis"
        self._base_rpm = base
        self._mock = env.workspace / "mock"
        self._base = self._mock / base.path.name.removesuffix(".rpm")

    def prepare(self) -> None:
        """Unpacks the base, if this workspace has not got it yet."""
        if self._base.is_dir():
            return
        partial = self._mock / "unpacking"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        done = subprocess.run(
            ["unshare", "--user", "--map-root-user", "rpm", "--root", str(partial),
             "--define", "_dbpath /var/lib/rpm", "--define", "_db_backend sqlite",
             "--nosignature", "--upgrade", str(self._base_rpm.path.resolve())],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise BuildError(f"the build root cannot be unpacked: {done.stderr.strip()}")
        partial.replace(self._base)

    def build(self, srpm: Path, install: list[Path], results: Path, *, on_disk: bool) -> list[Path]:
        """Builds ``srpm`` with ``install`` in the root; returns the RPMs made, in ``results``.

        Raises `RootFailed` or `PackageFailed`; root.log and build.log are in ``results``.
        """
        epoch = subprocess.run(
            ["rpm", "-qp", "--nosignature", "--queryformat", "%{BUILDTIME}", str(srpm)],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        with tempfile.TemporaryDirectory(prefix="b", dir=self._mock) as scratch:
            done = subprocess.run(
                [*_NAMESPACES, "sh", str(_HERE / "in_root.sh"), str(self._base), scratch,
                 "disk" if on_disk else "tmpfs", str(srpm), str(results), str(self._macros),
                 *map(str, install)],
                env={"PATH": os.environ["PATH"], "SOURCE_DATE_EPOCH": epoch},
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            if on_disk:
                # overlayfs leaves a directory without permissions in its work directory.
                (Path(scratch) / "work/work").chmod(0o700)
        if done.returncode == 20:
            raise PackageFailed
        if done.returncode:
            with (results / "root.log").open("a") as log:
                log.write(done.stderr)
            raise RootFailed
        return sorted(results.glob("*.rpm"))
