"""build-helm-charts.sh: an application for a cluster, out of the packages that hold its charts."""

from __future__ import annotations

import argparse
import hashlib
import re
import shutil
import sys
from pathlib import Path

from isobuild.rpms import Package, read_pool, unpack
from pkgbuild import BuildError, tarball
from pkgbuild.env import DISTRO, Env

from imagebuild import command, run


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="build-helm-charts.sh", description=__doc__)
    parser.add_argument("--os", choices=[DISTRO], default=DISTRO)
    parser.add_argument("-a", "--app", required=True, help="the application's name")
    parser.add_argument(
        "-r", "--rpm", action="append", help="packages that hold charts (default: <app>-helm)"
    )
    parser.add_argument(
        "-i", "--image-record", action="append", default=[], type=Path,
        help="list of image references that replace the manifest's; a later list wins",
    )  # fmt: skip
    parser.add_argument("-l", "--label", help="goes into the archive's name")
    arguments = parser.parse_args()
    return command(lambda environment: _build(environment, arguments))


def _build(environment: Env, arguments: argparse.Namespace) -> None:
    images: dict[str, str] = {}
    for record in arguments.image_record:
        images.update(_images(record))
    pool = read_pool([environment.rpms("std")])
    names = [n for given in arguments.rpm or [f"{arguments.app}-helm"] for n in given.split(",")]
    missing = [name for name in names if name not in pool]
    if missing:
        raise BuildError(f"not built: {' '.join(missing)}; run build-pkgs, then this again")
    # Emptied each time, as in StarlingX: what is wanted of an earlier call is collected by then.
    output = environment.workspace / "std/build-helm/stx"
    shutil.rmtree(output, ignore_errors=True)
    packages = [pool[name] for name in names]
    unpack(packages, output)
    charts = sorted((output / "usr/lib/helm").glob("*.tgz"))
    manifests = sorted((output / "usr/lib/armada").glob("*.yaml"))
    if not charts or not manifests:
        raise BuildError(
            f"{' '.join(names)} need charts in /usr/lib/helm and a manifest in /usr/lib/armada"
        )
    version = _version(packages[0]) + (f"-{arguments.label}" if arguments.label else "")
    staging = output / "staging"
    (staging / "charts").mkdir(parents=True)
    for chart in charts:
        shutil.copyfile(chart, staging / "charts" / chart.name)
    for manifest in manifests:
        (staging / manifest.name).write_text(replace_images(manifest.read_text(), images))
    (staging / "metadata.yaml").write_text(f"app_name: {arguments.app}\napp_version: {version}\n")
    _checksums(staging)
    archive = output / f"{arguments.app}-{version}.tgz"
    tarball.write(archive, staging, ".", max(p.build_time for p in packages), set())
    print(f"{len(charts)} charts: {archive}")


def _images(record: Path) -> dict[str, str]:
    """Image name -> whole reference, of a list that build-stx-images.sh wrote."""
    if not record.is_file():
        raise BuildError(f"{record} does not exist; push images with build-stx-images.sh first")
    references = record.read_text().split()
    return {reference.rsplit("/", 1)[-1].split(":")[0]: reference for reference in references}


def replace_images(text: str, images: dict[str, str]) -> str:
    """A manifest with each reference to a known image replaced; any other stays as it is."""
    for name, reference in images.items():
        known = rf"[A-Za-z0-9._:/-]+/{re.escape(name)}:\S+"
        text = re.sub(known, reference.replace("\\", ""), text)
    return text


def _version(package: Package) -> str:
    fields = run(
        [
            "rpm",
            "-qp",
            "--nosignature",
            "--queryformat",
            "%{VERSION}-%{RELEASE}",
            str(package.path),
        ],
        f"{package.path} cannot be read",
    )
    return fields.removesuffix(".tis")


def _checksums(staging: Path) -> None:
    lines = []
    for path in sorted(p for p in staging.rglob("*") if p.is_file()):
        digest = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        lines.append(f"{digest}  ./{path.relative_to(staging)}\n")
    # The name and kind that StarlingX's application framework reads.
    (staging / "checksum.md5").write_text("".join(lines))


if __name__ == "__main__":
    sys.exit(main())
