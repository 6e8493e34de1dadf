"""Reads a package's build_srpm.data, which is a piece of shell."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import NamedTuple

from pkgbuild import BuildError

_SINGLE = (
    "SRC_DIR", "TAR_NAME", "TAR", "VERSION", "TIS_PATCH_VER", "TIS_BASE_SRCREV",
    "BUILD_IS_BIG", "ALLOW_EMPTY_RPM",
)  # fmt: skip
_LISTS = ("COPY_LIST", "COPY_LIST_TO_TAR", "EXCLUDE_LIST_FROM_TAR")
# Lists are expanded unquoted, so that globs work; what no file matches stays as it is written.
_READ = (
    'source "$1" >&2 || exit 1\n'
    + "".join(f'printf "%s\\0" {name}="${name}"\n' for name in _SINGLE)
    + "".join(f'for p in ${name}; do printf "%s\\0" {name}="$p"; done\n' for name in _LISTS)
)
_COUNTED = re.compile(r"GITREVCOUNT(?:\s*\+\s*(\d+))?\Z")


class SrpmData(NamedTuple):
    """What build_srpm.data says."""

    src_dir: str
    tar_name: str
    tar: str
    version: str
    patch_version: str
    is_big: int  # GB of disk that the build needs; 0 for a common one
    copy_list: tuple[str, ...]
    copy_list_to_tar: tuple[str, ...]
    exclude_list_from_tar: tuple[str, ...]
    allow_empty: bool


def read(package: Path, data: Path, environ: dict[str, str]) -> SrpmData:
    """Sources ``data`` in the package's directory with ``environ``."""
    done = subprocess.run(
        ["bash", "-c", _READ, "build_srpm.data", str(data)],
        cwd=package, env=environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise BuildError(f"{data} cannot be sourced: {done.stderr.strip()}")
    single = dict.fromkeys(_SINGLE, "")
    lists: dict[str, list[str]] = {name: [] for name in _LISTS}
    for item in done.stdout.split("\0")[:-1]:
        name, _, value = item.partition("=")
        if name in lists:
            lists[name].append(value)
        else:
            single[name] = value
    return SrpmData(
        src_dir=single["SRC_DIR"],
        tar_name=single["TAR_NAME"],
        tar=single["TAR"],
        version=single["VERSION"],
        patch_version=_patch_version(package, data, single),
        is_big=int(single["BUILD_IS_BIG"] or 0),
        copy_list=tuple(lists["COPY_LIST"]),
        copy_list_to_tar=tuple(lists["COPY_LIST_TO_TAR"]),
        exclude_list_from_tar=tuple(lists["EXCLUDE_LIST_FROM_TAR"]),
        allow_empty=single["ALLOW_EMPTY_RPM"] == "true",
    )


def _patch_version(package: Path, data: Path, single: dict[str, str]) -> str:
    value = single["TIS_PATCH_VER"]
    counted = _COUNTED.match(value)
    if not counted:
        if not value or not re.fullmatch(r"[A-Za-z0-9._+~]+", value):
            raise BuildError(
                f"{data}: TIS_PATCH_VER={value!r} cannot be part of a release; "
                "say a number, or GITREVCOUNT with TIS_BASE_SRCREV"
            )
        return value
    base = single["TIS_BASE_SRCREV"]
    if not base or not single["SRC_DIR"]:
        raise BuildError(f"{data}: TIS_PATCH_VER={value} needs TIS_BASE_SRCREV and SRC_DIR")
    tree = package / single["SRC_DIR"]
    count = _git(tree, data, "rev-list", "--count", f"{base}..HEAD")
    dirty = bool(_git(tree, data, "status", "--porcelain"))
    return str(int(count) + dirty + int(counted[1] or 0))


def _git(tree: Path, data: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(tree), *words], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BuildError(f"{data}: git {words[0]} in {tree}: {done.stderr.strip()}")
    return done.stdout.strip()
