#!/usr/bin/python3
"""Small, plausible builds with a build-date of one's choice, published as any other build is.

Nothing in the product backdates: the mirror takes the build-date from the id, and an id may name a
moment in the past. Used by the publication tests, and by the demo to have something to prune:

    backdated.py --mirrorctl 'ssh incoming@mirror mirrorctl' \
        --rsync 'rsync -e ssh' --target 'incoming@mirror:{upload}/' \
        --sign 'gpg --armor --detach-sign' \
        master/sample/20261101T020000Z master/sample/20261102T020000Z:fail

For a mirror that is a local path: ``--mirrorctl 'mirrorctl --config FILE' --rsync rsync --target
'/srv/mirror/incoming/{upload}/'``. Runs where this package is installed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from stxmirror import records
from stxmirror.layout import BuildId

UNLISTED = ("SHA256SUMS", "SHA256SUMS.asc")
_GITS = ("cgcs-root", "cgcs-root/stx/base", "stx-tools")
_PACKAGES = ("hello-1.0-1.tis", "namespace-utils-1.0-2.tis", "update-motd-1.0-3.tis")
_SERIAL = """\
SeaBIOS
ISOLINUX
SAMPLE: installer {build} ready
SAMPLE: installed {build}
SAMPLE: running {build}
"""


class Transport(NamedTuple):
    """How to reach a mirror: two commands and where rsync sends to, with ``{upload}`` in it."""

    mirrorctl: Sequence[str]
    rsync: Sequence[str]
    target: str


class Refused(Exception):
    """What the mirror said, and its exit code."""

    def __init__(self, message: str, code: int) -> None:
        """Keep both."""
        super().__init__(message)
        self.code = code


def make_build(
    directory: Path,
    build_id: str,
    result: str = "success",
    extra: Mapping[str, bytes] | None = None,
) -> dict[str, Any]:
    """Make a closed build of ``build_id`` in ``directory``; return its record.

    Some of its files are the same in every build, some in none. ``extra`` are more files, or other
    bytes for one of them, ``{path: bytes}``.
    """
    build = BuildId.parse(build_id)
    files = _files(build, result)
    files.update(extra or {})
    record = _record(build, result, files)
    files["build.json"] = _json(record)
    write_files(directory, files)
    return record


def write_files(directory: Path, files: Mapping[str, bytes]) -> None:
    """Write ``{path: bytes}`` and the SHA256SUMS over all that then lies in ``directory``."""
    for path, data in files.items():
        target = directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    lines = [
        f"{item['sha256']}  {item['path']}\n"
        for item in _listed(directory)
        if item["path"] not in UNLISTED
    ]
    (directory / "SHA256SUMS").write_text("".join(lines))


def sign(directory: Path, command: Sequence[str]) -> None:
    """Sign the list of files by a command that signs its standard input, as a build host does."""
    signature = _run(command, (directory / "SHA256SUMS").read_bytes())
    (directory / "SHA256SUMS.asc").write_bytes(signature)


def manifest_of(directory: Path, build_id: str) -> dict[str, Any]:
    """Return the manifest that ``mirrorctl begin`` takes."""
    return {"id": build_id, "files": _listed(directory)}


def publish(transport: Transport, directory: Path, build_id: str) -> dict[str, Any]:
    """Publish the build in ``directory`` by the three steps; return what ``promote`` replied."""
    begun = begin(transport, directory, build_id)
    if begun["state"] == "open":
        send(transport, directory, begun)
    return mirrorctl(transport, "promote", build_id)


def begin(transport: Transport, directory: Path, build_id: str) -> dict[str, Any]:
    """Announce the build; return what the mirror lacks of it."""
    return mirrorctl(transport, "begin", build_id, data=_json(manifest_of(directory, build_id)))


def send(transport: Transport, directory: Path, begun: Mapping[str, Any]) -> None:
    """Send what the mirror asked for."""
    # As the publishing module sends.
    options = ["--times", "--no-perms", "--partial", "--ignore-times", "--files-from=-"]
    target = transport.target.format(upload=begun["upload"])
    command = [*transport.rsync, *options, f"{directory}/", target]
    _run(command, "".join(f"{path}\n" for path in begun["need"]).encode())


def mirrorctl(transport: Transport, *arguments: str, data: bytes = b"") -> dict[str, Any]:
    """Run one verb of the mirror's tool; return its reply, or raise :class:`Refused`."""
    return json.loads(_run([*transport.mirrorctl, *arguments], data))


def _run(command: Sequence[str], data: bytes) -> bytes:
    done = subprocess.run(command, input=data, capture_output=True, check=False)
    if done.returncode:
        raise Refused(done.stderr.decode("utf-8", "replace").strip(), done.returncode)
    return done.stdout


def _files(build: BuildId, result: str) -> dict[str, bytes]:
    """Return the files of a build: the packages' names and bytes in a shape that looks real."""
    own = random.Random(str(build))  # noqa: S311 - the same id always gives the same bytes
    context = "".join(
        f"(cd ./{path} && git checkout -f {own.getrandbits(160):040x})\n" for path in _GITS
    )
    files = {
        "outputs/CONTEXT": context.encode(),
        f"outputs/{result}": b"",
        "outputs/logs/packages.log": f"building {build}: {result}\n".encode(),
        "inputs/downloads/linux-6.1.tar.xz": b"linux " * 2000,
    }
    for package in _PACKAGES:
        files[f"outputs/SRPMS/std/{package}.src.rpm"] = package.encode() * 500
        files[f"outputs/RPMS/std/{package}.x86_64.rpm"] = package.encode() * 1000
    if result == "success":
        image = bytearray(own.randbytes(256 * 1024))
        image[0x8001:0x8006] = b"CD001"
        files["outputs/iso/bootimage.iso"] = bytes(image)
        files["outputs/logs/installed-boot.log"] = _SERIAL.format(build=build).encode()
    return files


def _record(build: BuildId, result: str, files: Mapping[str, bytes]) -> dict[str, Any]:
    started = build.when
    record = records.new_record(
        str(build),
        stream=build.identifier.replace("/", "-").lower().replace(".", "-"),
        ref="master" if build.identifier == "master" else build.identifier.split("/")[-1],
        profile=build.distro,
        manifest={"url": "git://127.0.0.1/sample/manifest.git", "file": "default.xml"}
        | {"branch": "master"},
        reason="nightly",
        trigger="cron",
        started=started,
    )
    good = result == "success"
    stage = {
        "name": "packages",
        "command": ["build-pkgs", "--std"],
        "result": "ok" if good else "failed",
        "started": record["started"],
        "finished": record["started"],
        "seconds": 61.5,
        "cpu_seconds": 100.25,
        "peak_memory_bytes": 300_000_000,
        "exit_code": 0 if good else 1,
        "attempts": 1,
        "log": "outputs/logs/packages.log",
    }
    record = records.add_stage(record, stage)
    record["artifacts"] = _artifacts(files)
    image = files.get("outputs/iso/bootimage.iso")
    if image is not None:
        record["iso"] = {"path": "outputs/iso/bootimage.iso", "size": len(image)}
        record["iso"]["sha256"] = hashlib.sha256(image).hexdigest()
        record["sanity"] = {"boot-bios": {"result": "ok", "seconds": 4.2}}
    excerpt = [] if good else ["make: *** [all] Error 1", "error: Bad exit status from %build"]
    finished = started + timedelta(minutes=6)
    return records.close(record, result=result, finished=finished, excerpt=excerpt)


def _artifacts(files: Mapping[str, bytes]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for path, data in files.items():
        side, _, rest = path.partition("/")
        kind, slash, inner = rest.partition("/")
        if not slash:
            continue
        is_phased = side == "outputs" and kind in ("RPMS", "SRPMS")
        place = f"{side}/{kind}/{inner.partition('/')[0]}" if is_phased else f"{side}/{kind}"
        summary = found.setdefault(place, {"files": 0, "bytes": 0})
        summary["files"] += 1
        summary["bytes"] += len(data)
    return found


def _listed(directory: Path) -> list[dict[str, Any]]:
    return [
        {
            "path": path.relative_to(directory).as_posix(),
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "size": path.stat().st_size,
        }
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    ]


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1) + "\n").encode()


def main() -> int:
    """Publish the builds that the command line names."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mirrorctl", required=True, help="the command that reaches mirrorctl")
    parser.add_argument("--rsync", default="rsync", help="rsync, with its -e (%(default)s)")
    parser.add_argument("--target", required=True, help="where to send to, with {upload} in it")
    parser.add_argument("--sign", default="", help="the command that signs its standard input")
    parser.add_argument("builds", nargs="+", metavar="ID[:fail]", help="a build id")
    args = parser.parse_args()
    transport = Transport(shlex.split(args.mirrorctl), shlex.split(args.rsync), args.target)
    for wanted in args.builds:
        build_id, _, mark = wanted.partition(":")
        with tempfile.TemporaryDirectory() as directory:
            make_build(Path(directory), build_id, mark or "success")
            try:
                if args.sign:
                    sign(Path(directory), shlex.split(args.sign))
                reply = publish(transport, Path(directory), build_id)
            except Refused as error:
                print(f"backdated.py: {build_id}: {error}", file=sys.stderr)
                return error.code
        print(f"{build_id}: {reply['result']}, kept until {reply['keep_until'] or 'for ever'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
