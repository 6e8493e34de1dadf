"""Makes the source RPM of a package directory, by the rules of StarlingX's default_build_srpm."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from pkgbuild import BuildError, srpm_data, tarball
from pkgbuild.env import DISTRO, Env
from pkgbuild.source import PackageDir
from pkgbuild.srpm_data import SrpmData

# Where rpmbuild sees its directories, because it writes their path into a source RPM: a directory
# that every distribution has and nobody builds in.
_TOP = Path("/media")
_AT_TOP = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c",
           'mount --bind "$0" "$1" && cd "$2" && shift 2 && exec "$@"']  # fmt: skip
_SERVICE = re.compile(r"^%(?:global|define)\s+service\s+(\S+)", re.MULTILINE)
_NAME = re.compile(r"^Name:\s*(\S+)", re.MULTILINE | re.IGNORECASE)


class Srpm(NamedTuple):
    """A source RPM, with what its spec says of the packages that will come of it."""

    path: Path
    name: str
    nvr: str
    build_requires: tuple[str, ...]
    provides: tuple[str, ...]  # names that its binary packages provide, as far as the spec tells
    requires: tuple[str, ...]  # names that its binary packages require, likewise
    is_big: int


def names(package: PackageDir) -> set[str]:
    """The names by which a person may ask for a package, without evaluating its specs."""
    found = {package.path.name}
    for spec in (package.path / DISTRO).glob("*.spec"):
        found.add(spec.stem)
        found.update(n for n in _NAME.findall(spec.read_text(errors="replace")) if "%" not in n)
    return found


def build(package: PackageDir, env: Env, build_type: str) -> list[Srpm]:
    """Makes the source RPMs of ``package`` in the workspace's srpm_assemble.

    Raises `BuildError` that begins with the package's directory.
    """
    work = _work(package, env, build_type)
    shutil.rmtree(work.parent, ignore_errors=True)
    for name in ("SOURCES", "SPECS", "SRPMS", "BUILD"):
        (work / name).mkdir(parents=True)
    try:
        return _build(package, env, build_type, work)
    except BuildError as error:
        raise BuildError(f"{package.path}: {error}") from error


def _build(package: PackageDir, env: Env, build_type: str, work: Path) -> list[Srpm]:
    home = package.path / DISTRO
    specs = sorted(home.glob("*.spec"))
    if not specs:
        raise BuildError(f"no spec file in {DISTRO}; packages made from an SRPM are not supported")
    environ = _environment(package, env, build_type, work)
    data = srpm_data.read(package.path, home / "build_srpm.data", environ)
    for spec in specs:
        head = f"%define tis_patch_ver {data.patch_version}\n%define _tis_build_type {build_type}\n"
        (work / "SPECS" / spec.name).write_text(head + spec.read_text())
    script = home / "build_srpm"
    if os.access(script, os.X_OK):
        # Such a script adds the head itself.
        for spec in specs:
            shutil.copyfile(spec, work / "SPECS" / spec.name)
        shell = [] if script.read_bytes().startswith(b"#!") else ["bash"]
        _at_top([*shell, str(script)], package.path, work, environ)
    else:
        _gather(package, data, work, environ)
        for spec in sorted((work / "SPECS").iterdir()):
            _at_top(["rpmbuild", "-bs", "--quiet", f"SPECS/{spec.name}"], _TOP, work, environ)
    return _made(work, environ, data)


def _made(work: Path, environ: dict[str, str], data: SrpmData) -> list[Srpm]:
    made = sorted((work / "SRPMS").glob("*.src.rpm"))
    if not made:
        raise BuildError("no source RPM came out")
    provides, requires = _spec_says(sorted((work / "SPECS").iterdir()), work, environ)
    return [_describe(path, provides, requires, data.is_big) for path in made]


def existing(package: PackageDir, env: Env, build_type: str) -> list[Srpm]:
    """The source RPMs that an earlier `build` made of ``package``; empty without one."""
    work = _work(package, env, build_type)
    if not (work / "SRPMS").is_dir():
        return []
    environ = _environment(package, env, build_type, work)
    data = srpm_data.read(package.path, package.path / DISTRO / "build_srpm.data", environ)
    kept = env.srpms(build_type)
    return [s._replace(path=kept / s.path.name) for s in _made(work, environ, data)]


def _work(package: PackageDir, env: Env, build_type: str) -> Path:
    return env.workspace / build_type / "srpm_assemble" / package.path.name / "rpmbuild"


def _environment(package: PackageDir, env: Env, build_type: str, work: Path) -> dict[str, str]:
    """What build_srpm.data, a build_srpm script and rpmbuild are called with."""
    macros = (env.tools / "rpm" / "macros.tis").read_text()
    (work / ".rpmmacros").write_text(f"{macros}\n%_topdir {_TOP}\n%_tmppath {_TOP}\n")
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(_TOP),
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "SOURCE_DATE_EPOCH": str(package.epoch),
        "DISTRO": DISTRO,
        "BUILD_TYPE": build_type,
        "PKG_BASE": str(package.path),
        "GIT_BASE": str(package.git),
        "SPECS_BASE": str(package.path / DISTRO),
        "FILES_BASE": f"{DISTRO}/files",
        "PATCHES_BASE": f"{DISTRO}/patches",
        "DATA": f"{DISTRO}/build_srpm.data",
        "RPMBUILD_BASE": str(_TOP),
        "MY_REPO": str(env.repo),
        "SRC_BASE": str(env.repo),
        "STX_BASE": str(env.repo / "stx"),
        "CGCS_BASE": str(env.repo / "stx"),
        "MY_WORKSPACE": str(env.workspace / build_type),
        "MY_WORKSPACE_TOP": str(env.workspace),
        "MY_BUILD_ENVIRONMENT": f"{env.name}-{build_type}",
    }


def _gather(package: PackageDir, data: SrpmData, work: Path, environ: dict[str, str]) -> None:
    """Fills SOURCES: what COPY_LIST names, and the archive of SRC_DIR."""
    sources = work / "SOURCES"
    if not (data.src_dir or data.copy_list or data.allow_empty):
        raise BuildError("build_srpm.data gives neither SRC_DIR nor COPY_LIST")
    for item in data.copy_list:
        _copy(package.path / item, sources, f"COPY_LIST names {item}")
    if data.src_dir:
        tree = package.path / data.src_dir
        if not tree.is_dir():
            raise BuildError(f"SRC_DIR={data.src_dir} is no directory")
        leave_out = {tree / DISTRO}
        if data.copy_list_to_tar or data.exclude_list_from_tar:
            tree, leave_out = _staged(package, data, work, tree), set()
        spec = sorted((work / "SPECS").iterdir())
        top = f"{data.tar_name or _tar_name(spec)}-{data.version or _version(spec, work, environ)}"
        archive = sources / (data.tar or f"{top}.tar.gz")
        tarball.write(archive, tree, top, package.epoch, leave_out)
    for path in [work / "SPECS", sources]:
        for file in path.rglob("*"):
            if file.is_file():
                file.chmod(0o755 if file.stat().st_mode & 0o100 else 0o644)
            os.utime(file, (package.epoch, package.epoch))


def _staged(package: PackageDir, data: SrpmData, work: Path, tree: Path) -> Path:
    """A copy of SRC_DIR with files added and taken away, links followed."""
    stage = work / "staging" / tree.name
    try:
        shutil.copytree(tree, stage, ignore=shutil.ignore_patterns(".git"))
    except shutil.Error as error:
        raise BuildError(f"SRC_DIR={data.src_dir} cannot be copied: {error}") from error
    for item in data.copy_list_to_tar:
        _copy(package.path / item, stage, f"COPY_LIST_TO_TAR names {item}")
    for item in data.exclude_list_from_tar:
        for path in stage.glob(item):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
    shutil.rmtree(stage / DISTRO, ignore_errors=True)
    return stage


def _copy(source: Path, to: Path, what: str) -> None:
    if source.is_dir():
        shutil.copytree(source, to / source.name, dirs_exist_ok=True)
    elif source.is_file():
        shutil.copy2(source, to / source.name)
    else:
        raise BuildError(f"{what}, which does not exist")


def _one(specs: list[Path], what: str) -> Path:
    if len(specs) != 1:
        raise BuildError(f"there are several spec files, so build_srpm.data must say {what}")
    return specs[0]


def _tar_name(specs: list[Path]) -> str:
    text = _one(specs, "TAR_NAME").read_text()
    found = _SERVICE.search(text) or _NAME.search(text)
    if not found or "%" in found[1]:
        raise BuildError("the spec does not tell its name plainly: say TAR_NAME in build_srpm.data")
    return found[1]


def _version(specs: list[Path], work: Path, environ: dict[str, str]) -> str:
    spec = _one(specs, "VERSION")
    return _rpmspec(["--srpm", "--queryformat", "%{version}"], spec, work, environ).strip()


def _spec_says(
    specs: list[Path], work: Path, environ: dict[str, str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    provides: set[str] = set()
    requires: set[str] = set()
    for spec in specs:
        for option, into in (("--provides", provides), ("--requires", requires)):
            for line in _rpmspec([option], spec, work, environ).split("\n"):
                into.update(line.split(" ")[:1] if line else ())
    return tuple(sorted(provides)), tuple(sorted(requires))


def _rpmspec(options: list[str], spec: Path, work: Path, environ: dict[str, str]) -> str:
    return _at_top(["rpmspec", "--query", *options, f"SPECS/{spec.name}"], _TOP, work, environ)


def _at_top(command: list[str], cwd: Path, work: Path, environ: dict[str, str]) -> str:
    """Runs as root of a user namespace that sees ``work`` as `_TOP`.

    So the owner in a source RPM is root, and its paths are the same, whoever builds and where.
    """
    return _run([*_AT_TOP, str(work), str(_TOP), str(cwd), *command], work, environ)


def _run(command: list[str], cwd: Path, environ: dict[str, str]) -> str:
    done = subprocess.run(
        command, cwd=cwd, env=environ, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        raise BuildError(f"{Path(command[-1]).name}: {'; '.join(said[-4:])}")
    return done.stdout


def _describe(
    path: Path, provides: tuple[str, ...], requires: tuple[str, ...], is_big: int
) -> Srpm:
    out = _run(
        ["rpm", "-qp", "--nosignature", "--queryformat",
         "%{NAME}\n%{NAME}-%{VERSION}-%{RELEASE}\n[%{REQUIRENEVRS}\n]", str(path)],
        path.parent, dict(os.environ),
    ).split("\n")  # fmt: skip
    build_requires = tuple(r for r in out[2:] if r and not r.startswith("rpmlib("))
    return Srpm(path, out[0], out[1], build_requires, provides, requires, is_big)
