"""Roots made by mock, where it is installed: the same base, the same packages, the same macros."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from pkgbuild import BuildError
from pkgbuild.buildroot import MARKER, PackageFailed, RootFailed
from pkgbuild.env import Env
from pkgbuild.rpmmeta import Rpm

# mock's own exit code for a package that does not build; any other is a fault of the root.
_BUILD_FAILED = 1


def usable() -> bool:
    """Whether mock is there for this account."""
    return shutil.which("mock") is not None


class Roots:
    """Makes roots from a generated configuration, one a package so that several can run."""

    def __init__(self, env: Env, base: Rpm) -> None:
        self._env = env
        self._base = base
        self._directory = env.workspace / "mock"

    def prepare(self) -> None:
        """Makes the first root; the others are copies of what mock caches of it."""
        self._directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._directory) as scratch:
            done = self._mock(Path(scratch), "0", "first", ["--init"])
            if done.returncode:
                raise BuildError(f"mock cannot make the build root: {done.stderr.strip()}")
            self._mock(Path(scratch), "0", "first", ["--clean"])

    def build(self, srpm: Path, install: list[Path], results: Path, *, on_disk: bool) -> list[Path]:
        """Builds ``srpm``; as `pkgbuild.buildroot.Roots.build`."""
        del on_disk  # mock's roots are on the disk
        epoch = subprocess.run(
            ["rpm", "-qp", "--nosignature", "--queryformat", "%{BUILDTIME}", str(srpm)],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        with tempfile.TemporaryDirectory(dir=self._directory) as name:
            scratch = Path(name)
            extension = srpm.name.removesuffix(".src.rpm")
            steps = [["--init"]]
            if install:
                steps.append(["--install", *map(str, install)])
            steps.append(["--no-clean", "--rebuild", str(srpm)])
            done = None
            for step in steps:
                done = self._mock(scratch, epoch, extension, ["--resultdir", str(results), *step])
                if done.returncode:
                    break
            self._mock(scratch, epoch, extension, ["--clean"])
        for path in results.glob("*.src.rpm"):
            path.unlink()
        if done.returncode == _BUILD_FAILED and step is steps[-1]:
            raise PackageFailed
        if done.returncode:
            raise RootFailed
        return sorted(results.glob("*.rpm"))

    def _mock(
        self, scratch: Path, epoch: str, extension: str, words: list[str]
    ) -> subprocess.CompletedProcess[str]:
        config = scratch / f"{self._env.name}.cfg"
        config.write_text(self._config(epoch))
        return subprocess.run(
            ["mock", "--quiet", "--root", str(config), "--uniqueext", extension, *words],
            env=dict(os.environ), capture_output=True, text=True, check=False,
        )  # fmt: skip

    def _config(self, epoch: str) -> str:
        options = {
            "root": f"{self._env.name}-{self._base.evr.split(':')[-1]}",
            "basedir": str(self._directory / "root"),
            "target_arch": "x86_64",
            "legal_host_arches": ("x86_64",),
            "dist": "tis",
            "chroot_setup_cmd": f"install {MARKER}",
            "package_manager": "dnf",
            "use_bootstrap": False,
            "use_nspawn": False,
            "rpmbuild_networking": False,
            "use_host_resolv": False,
            "cleanup_on_success": False,
            "cleanup_on_failure": False,
            "dnf.conf": (
                "[main]\nkeepcache=1\nreposdir=/dev/null\ngpgcheck=0\nassumeyes=1\n"
                "install_weak_deps=0\n\n"
                f"[inputs]\nname=inputs\nbaseurl=file://{self._env.inputs}\nmetadata_expire=0\n"
            ),
        }
        lines = [f"config_opts[{name!r}] = {value!r}" for name, value in options.items()]
        macros = (self._env.tools / "rpm" / "macros.tis").read_text()
        lines.append(f"config_opts['files']['etc/rpm/macros.tis'] = {macros!r}")
        lines.append(f"config_opts['environment']['SOURCE_DATE_EPOCH'] = {epoch!r}")
        lines.append("config_opts['environment']['TZ'] = 'UTC'")
        return "\n".join(lines) + "\n"
