"""The build root's tool chain as one RPM, made from packages of the distribution.

Files are taken out of the packages, no script of them runs and nothing is installed, so that
no privilege is needed and the same packages give the same bytes. What the scripts would have
done and a build needs is done here, in one place: links of the merged /usr, a few
alternatives, the accounts, the linker's cache.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from mirrortools import MirrorToolsError
from mirrortools.apt import Deb
from mirrortools.lists import RootPackage

NAME = "sample-buildroot"
# Asked for by the tools that make a root; comps group of that name in EL.
MARKER = "buildsys-build"

# Never read by a build, and two thirds of the number of files; at the end what link-time
# optimisation and sanitizers need, a quarter of the bytes.
_LEFT_OUT = (
    "./usr/share/doc", "./usr/share/man", "./usr/share/info", "./usr/share/locale",
    "./usr/share/lintian", "./usr/share/bug", "./usr/share/doc-base", "./var/lib/dpkg",
    "./usr/share/bash-completion", "./etc/cron.daily",
    "./usr/lib/gcc/*/lto1", "./usr/lib/gcc/*/lib*san*", "./usr/lib/x86_64-linux-gnu/lib*san.so*",
)  # fmt: skip
_MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_LINKS = {
    "usr/bin/awk": "gawk",
    "usr/bin/cc": "gcc",
    "usr/bin/nawk": "gawk",
    "usr/bin/which": "which.debianutils",
    # The mock user's home, which StarlingX's spec files know by this name.
    "builddir/build/.keep": "/dev/null",
}
_FILES = {
    "etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
    # Where EL's packages put libraries; the distribution's own linker does not look there.
    "etc/ld.so.conf.d/usr-lib64.conf": "/usr/lib64\n",
    # The distribution's rpm keeps its database in the user's home, where nothing is recorded.
    "etc/rpm/macros.dbpath": "%_dbpath /var/lib/rpm\n",
}


def digest(debs: list[Deb], packages: list[RootPackage]) -> str:
    """What identifies a root: its packages, its names, and this recipe. 12 hex digits."""
    parts = [d.sha256 for d in debs] + [f"{p.name} {' '.join(p.provides)}" for p in packages]
    parts.append(hashlib.sha256(Path(__file__).read_bytes()).hexdigest())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def file_name(root_digest: str) -> str:
    """The RPM's file name."""
    return f"{NAME}-{root_digest}-1.x86_64.rpm"


def build(debs: list[Deb], source: Path, packages: list[RootPackage], to: Path) -> Path:
    """Makes the RPM of ``debs`` (files in ``source``) in directory ``to``; returns its path.

    ``source`` and ``to`` are on one file system; scratch files lie beside ``source``.
    """
    root_digest = digest(debs, packages)
    with tempfile.TemporaryDirectory(prefix="buildroot-", dir=source.parent) as scratch:
        work = Path(scratch)
        tree = work / "tree"
        short = _extract(debs, source, tree)
        _finish(tree)
        written = _written(tree)
        epoch = max(int(p.stat().st_mtime) for p in _regular_files(tree) if p not in written)
        spec = work / "root.spec"
        spec.write_text(_spec(root_digest, _provides(tree, debs, packages, short), tree))
        _run(
            ["rpmbuild", "-bb", "--quiet", *_defines(work), str(spec)],
            "the build root's RPM could not be made",
            env={**os.environ, "SOURCE_DATE_EPOCH": str(epoch)},
        )
        made = work / "RPMS" / "x86_64" / file_name(root_digest)
        made.replace(to / made.name)
    return to / file_name(root_digest)


def _extract(debs: list[Deb], source: Path, tree: Path) -> set[str]:
    """Takes the files out of ``debs``; returns the paths packaged directly in /bin and /sbin."""
    for name in _MERGED:
        (tree / "usr" / name).mkdir(parents=True)
        (tree / name).symlink_to(f"usr/{name}")
    short: set[str] = set()
    for deb in debs:
        stream = subprocess.Popen(
            ["dpkg-deb", "--fsys-tarfile", str(source / deb.file)], stdout=subprocess.PIPE
        )
        taken = _run(
            [
                "tar", "--directory", str(tree), "--extract", "--verbose",
                "--no-same-owner", "--same-permissions",
                "--keep-directory-symlink", "--delay-directory-restore",
                *(f"--exclude={path}" for path in _LEFT_OUT),
            ],
            f"{deb.file} cannot be unpacked",
            stdin=stream.stdout,
        )  # fmt: skip
        if stream.wait():
            raise MirrorToolsError(f"{deb.file} is no sound package; remove it and run this again")
        short |= {line[1:] for line in taken.splitlines() if line.startswith(("./bin/", "./sbin/"))}
    return short - {"/bin/", "/sbin/"}


def _written(tree: Path) -> set[Path]:
    """Files of the root that come from no package, and so have the time of this run."""
    return {tree / name for name in ("etc/passwd", "etc/group", "etc/ld.so.cache", *_FILES)}


def _finish(tree: Path) -> None:
    """Does what the packages' own scripts would have done, as far as a build needs it."""
    for name, target in _LINKS.items():
        link = tree / name
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            link.symlink_to(target)
    masters = tree / "usr/share/base-passwd"
    for name in ("passwd", "group"):
        shutil.copyfile(masters / f"{name}.master", tree / "etc" / name)
    for name, text in _FILES.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    _run(
        ["unshare", "--user", "--map-root-user", "chroot", str(tree), "/sbin/ldconfig", "-X"],
        "the build root cannot be entered",
    )
    shutil.rmtree(tree / "var/cache/ldconfig", ignore_errors=True)
    # Nothing in a root is special to the one account that uses it.
    for path in [p for p in tree.rglob("*") if not p.is_symlink()]:
        path.chmod((path.stat().st_mode & 0o1777) | 0o600 | (0o700 if path.is_dir() else 0))


def _regular_files(tree: Path) -> list[Path]:
    return [p for p in tree.rglob("*") if p.is_file() and not p.is_symlink()]


def _provides(
    tree: Path, debs: list[Deb], packages: list[RootPackage], short: set[str]
) -> list[str]:
    """All that a requirement can be satisfied by: names, sonames, pkg-config modules, paths."""
    provides = {MARKER, "rtld(GNU_HASH)"} | short
    versions = {d.package: d.version for d in debs}
    for package in packages:
        version = versions[package.name].split(":")[-1].split("-")[0].split("+")[0]
        provides |= {f"{name} = {version}" for name in (package.name, *package.provides)}
    libraries = [
        str(p)
        for p in _regular_files(tree / "usr/lib")
        if ".so" in p.name and p.open("rb").read(4) == b"\x7fELF"
    ]
    # Its exit code also tells of objects that are no libraries (plugins without a dynamic
    # section), which have nothing to provide.
    sonames = subprocess.run(
        ["/usr/lib/rpm/elfdeps", "--provides"],
        input="\n".join(sorted(libraries)), capture_output=True, text=True, check=False,
    ).stdout.splitlines()  # fmt: skip
    if not sonames:
        raise MirrorToolsError(
            "elfdeps found no library in the build root; is rpm-build installed?"
        )
    provides |= set(sonames)
    provides |= {f"pkgconfig({p.stem})" for p in (tree / "usr").rglob("*.pc")}
    return sorted(p for p in provides if p and "private" not in p.lower())


def _spec(root_digest: str, provides: list[str], tree: Path) -> str:
    lines = "".join(f"Provides: {p}\n" for p in provides)
    content = "".join(f"/{p.name}\n" for p in sorted(tree.iterdir()))
    return (
        f"Name: {NAME}\nVersion: {root_digest}\nRelease: 1\nLicense: Various\n"
        "Summary: The tool chain in which packages are built\n"
        f"AutoReqProv: no\n{lines}"
        "%description\nUnpacked from packages of the distribution; no script of them has run.\n"
        f"%install\nmv {tree}/* %{{buildroot}}/\n"
        f"%files\n%defattr(-,root,root,-)\n{content}"
    )


def _defines(work: Path) -> list[str]:
    macros = {
        "_topdir": str(work),
        "_rpmdir": f"{work}/RPMS",
        "_buildhost": "reproducible",
        "_target_cpu": "x86_64",
        "_build_id_links": "none",
        "debug_package": "%{nil}",
        "__os_install_post": "%{nil}",
        "__brp_check_rpaths": "%{nil}",
        "clamp_mtime_to_source_date_epoch": "1",
        "use_source_date_epoch_as_buildtime": "1",
        # Two threads by name: how the work is cut must not depend on the machine.
        "_binary_payload": "w6T2.zstdio",
    }
    return [word for name, value in macros.items() for word in ("--define", f"{name} {value}")]


def _run(command: list[str], trouble: str, **options) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-3:]
        raise MirrorToolsError(f"{trouble}: {'; '.join(last)}")
    return done.stdout
