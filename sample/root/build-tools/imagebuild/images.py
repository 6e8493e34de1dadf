"""build-stx-base.sh and build-stx-images.sh: container images of the product's packages."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from isobuild.rpms import Package, closure, read_pool, unpack
from pkgbuild import BuildError
from pkgbuild.env import DISTRO, Env

from imagebuild import STREAMS, command, listed, oci, run

_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}\Z")
_RETRY_PAUSE = 5  # seconds


class Image(NamedTuple):
    """A ``<label>.<stream>_docker_image`` file."""

    label: str
    packages: list[str]
    entrypoint: list[str]
    update_version: str


def main(argv: list[str]) -> int:
    """The command named first."""
    name, *words = argv
    arguments = _parser(name).parse_args(words)
    work = _base if name == "build-stx-base.sh" else _images
    return command(lambda environment: work(environment, arguments))


def _parser(name: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=name, description=__doc__)
    parser.add_argument("--os", choices=[DISTRO], default=DISTRO)
    parser.add_argument("--stream", choices=STREAMS, default="stable")
    parser.add_argument("--version", required=True, help="goes into the tag")
    parser.add_argument("--user", default="starlingx", help="the registry's organisation")
    parser.add_argument("--registry", help="host and port (default: the engine's own)")
    parser.add_argument("--push", action="store_true")
    parser.add_argument("--latest", action="store_true", help="push a second tag for the newest")
    parser.add_argument("--attempts", type=int, default=1, help="tries of each push")
    if name == "build-stx-base.sh":
        parser.add_argument("--latest-tag", default="latest")
    else:
        parser.add_argument("--base", required=True, help="reference of the base image")
        parser.add_argument("--prefix", default="dev")
        parser.add_argument("--latest-prefix")
        parser.add_argument("--only", action="append", default=[])
    return parser


def _base(environment: Env, arguments: argparse.Namespace) -> None:
    listing = environment.tools / f"build-docker-images/stx-{DISTRO}/packages.{arguments.stream}"
    names = [line for line in listing.read_text().split("\n") if line and line[0] != "#"]
    packages = closure(read_pool([environment.rpms("std")]), names)
    label = f"stx-{DISTRO}"
    settings = {"Cmd": ["/bin/sh"], "Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]}
    _make(
        environment, arguments, label, arguments.version,
        packages=packages, settings=settings, base=None,
    )  # fmt: skip
    tags = [arguments.version, *([arguments.latest_tag] if arguments.latest else [])]
    _deliver(environment, arguments, label, tags)


def _images(environment: Env, arguments: argparse.Namespace) -> None:
    base = _base_layout(environment, arguments.base)
    pool = read_pool([environment.rpms("std")])
    in_base = {p.name for p in _recorded(environment, arguments.base)}
    middle = f"{arguments.os}-{arguments.stream}"
    newest = f"{arguments.latest_prefix or arguments.prefix}-{middle}-latest"
    versioned, latest = [], []
    for image in _wanted(environment, arguments):
        packages = [p for p in closure(pool, image.packages) if p.name not in in_base]
        tag = f"{arguments.prefix}-{middle}-{arguments.version}.{image.update_version}"
        settings = {"Entrypoint": image.entrypoint, "Cmd": None}
        _make(
            environment, arguments, image.label, tag,
            packages=packages, settings=settings, base=base,
        )  # fmt: skip
        tags = [tag, *([newest] if arguments.latest else [])]
        _deliver(environment, arguments, image.label, tags)
        versioned.append(_reference(arguments, image.label, tag))
        latest.append(_reference(arguments, image.label, newest))
    if arguments.push and not arguments.only:
        # The contract with build-helm-charts.sh: what these lists name can be pulled.
        home = _home(environment)
        for kind, references in (("versioned", versioned), ("latest", latest)):
            if kind == "versioned" or arguments.latest:
                path = home / f"images-{middle}-{kind}.lst"
                path.write_text("".join(f"{reference}\n" for reference in references))


def _home(environment: Env) -> Path:
    home = environment.workspace / "std/build-images"
    home.mkdir(parents=True, exist_ok=True)
    return home


def _reference(arguments: argparse.Namespace, label: str, tag: str) -> str:
    if not _TAG.match(tag):
        raise BuildError(f"{tag!r} cannot be an image's tag; give another --prefix or --version")
    registry = f"{arguments.registry.rstrip('/')}/" if arguments.registry else ""
    return f"{registry}{arguments.user}/{label}:{tag}"


def _wanted(environment: Env, arguments: argparse.Namespace) -> list[Image]:
    """The images that the gits list, checked."""
    images = []
    for git, entry in listed(environment, f"{arguments.stream}_docker_images"):
        files = sorted((git / entry / DISTRO).glob(f"*.{arguments.stream}_docker_image"))
        if not files:
            raise BuildError(f"{git / entry / DISTRO} holds no *.{arguments.stream}_docker_image")
        images += [_read(path) for path in files]
    labels = {image.label for image in images}
    unknown = set(arguments.only) - labels
    if unknown or not images:
        raise BuildError(f"no image is called {' '.join(sorted(unknown)) or 'anything here'}")
    return [i for i in images if not arguments.only or i.label in arguments.only]


def _read(path: Path) -> Image:
    fields = {"IMAGE_UPDATE_VER": "0", "ENTRYPOINT": "/bin/sh"}
    for words in (shlex.split(line, comments=True) for line in path.read_text().split("\n")):
        for word in words:
            key, _, value = word.partition("=")
            fields[key] = value
    if fields.get("BUILDER") != "rpm":
        raise BuildError(f"{path}: BUILDER={fields.get('BUILDER')} is not supported; say rpm")
    for key in ("LABEL", "DIST_PACKAGES"):
        if not fields.get(key):
            raise BuildError(f"{path}: {key} is not set")
    return Image(
        fields["LABEL"],
        fields["DIST_PACKAGES"].split(),
        fields["ENTRYPOINT"].split(),
        fields["IMAGE_UPDATE_VER"],
    )


def _make(
    environment: Env,
    arguments: argparse.Namespace,
    label: str,
    tag: str,
    *,
    packages: list[Package],
    settings: dict,
    base: Path | None,
) -> None:
    """Writes an image into its layout, and beside it which packages are in it."""
    home = _home(environment)
    tree = home / f"{label}.tree"
    shutil.rmtree(tree, ignore_errors=True)
    unpack(packages, tree)
    if base is None:
        run(
            ["unshare", "--user", "--map-root-user", "chroot", str(tree), "/sbin/ldconfig", "-X"],
            f"{label}: the linker's cache cannot be written",
        )
    else:
        _libraries_by_path(tree, settings)
    epoch = max(p.build_time for p in packages)
    oci.write(home / "oci" / label, tag, tree, epoch, settings=settings, base=base)
    subprocess.run(["chmod", "-R", "u+rwX", str(tree)], check=True)
    shutil.rmtree(tree)
    names = sorted(p.path.name.removesuffix(".rpm") for p in packages)
    listing = home / f"{label}-{arguments.os}-{arguments.stream}.rpmlst"
    listing.write_text("".join(f"{name}\n" for name in names))


def _libraries_by_path(tree: Path, settings: dict) -> None:
    """The cache in the layer below knows nothing of this layer's libraries."""
    if (tree / "usr/lib64").is_dir():
        settings["Env"] = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LD_LIBRARY_PATH=/usr/lib64"]


def _recorded(environment: Env, reference: str) -> list[Package]:
    """The packages of the base image, if this workspace made it."""
    label = reference.rsplit("/", 1)[-1].partition(":")[0]
    listing = next(_home(environment).glob(f"{label}-*.rpmlst"), None)
    names = listing.read_text().split() if listing else []
    pool = read_pool([environment.rpms("std")])
    return [p for p in pool.values() if p.path.name.removesuffix(".rpm") in names]


def _base_layout(environment: Env, reference: str) -> Path:
    """The layout of the base image: the one made here, or what the registry has."""
    label, _, tag = reference.rsplit("/", 1)[-1].partition(":")
    layout = _home(environment) / "oci" / label
    if (layout / "index.json").is_file() and f'"{tag}"' in (layout / "index.json").read_text():
        return layout
    _skopeo(
        environment,
        [f"docker://{reference}", f"oci:{layout}:{tag}"],
        f"the base image {reference} is neither here nor can it be pulled",
    )
    return layout


def _skopeo(environment: Env, words: list[str], trouble: str) -> None:
    variables = dict(os.environ)
    if "XDG_RUNTIME_DIR" not in variables:
        # An account without a login session has none, and skopeo would look for credentials
        # where it may not; ~/.docker/config.json is read all the same.
        private = _home(environment) / "run"
        private.mkdir(mode=0o700, exist_ok=True)
        variables["XDG_RUNTIME_DIR"] = str(private)
    run(["skopeo", "copy", *words], trouble, env=variables)


def _deliver(environment: Env, arguments: argparse.Namespace, label: str, tags: list[str]) -> None:
    layout = _home(environment) / "oci" / label
    for tag in tags:
        reference = _reference(arguments, label, tag)
        if not arguments.push:
            print(f"made    {reference}")
            continue
        for attempt in range(1, arguments.attempts + 1):
            try:
                _skopeo(
                    environment,
                    [f"oci:{layout}:{tags[0]}", f"docker://{reference}"],
                    f"{reference} cannot be pushed; is the registry up, and may this account push",
                )
                break
            except BuildError:
                if attempt == arguments.attempts:
                    raise
                time.sleep(_RETRY_PAUSE)
        print(f"pushed  {reference}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
