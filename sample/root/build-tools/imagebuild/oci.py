"""Container images as OCI layouts, written without a container engine.

An image has the same digest whenever and wherever it is made from the same packages.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import tarfile
import time
from pathlib import Path

_INDEX = "application/vnd.oci.image.index.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def write(
    layout: Path, tag: str, tree: Path, epoch: int, *, settings: dict, base: Path | None = None
) -> None:
    """Writes the image ``tag`` of ``tree`` as a layer, on top of the image in layout ``base``.

    ``settings`` is the ``config`` part of an OCI image configuration (Entrypoint, Labels, ...).
    """
    shutil.rmtree(layout, ignore_errors=True)
    blobs = layout / "blobs/sha256"
    blobs.mkdir(parents=True)
    config: dict = {
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": []},
        "history": [],
    }
    layers: list[dict] = []
    if base is not None:
        below = _read_blob(base, json.loads((base / "index.json").read_text())["manifests"][0])
        old = _read_blob(base, below["config"])
        layers = below["layers"]
        for layer in layers:
            name = layer["digest"].split(":")[1]
            shutil.copyfile(base / "blobs/sha256" / name, blobs / name)
        config["rootfs"]["diff_ids"] = list(old["rootfs"]["diff_ids"])
        config["history"] = list(old["history"])
        settings = {**old.get("config", {}), **settings}
    layer, diff = _layer(blobs, tree, epoch)
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch))
    config.update(created=created, config=settings)
    config["rootfs"]["diff_ids"].append(diff)
    config["history"].append({"created": created, "created_by": "packages of the build"})
    manifest = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": _blob(blobs, _CONFIG, _json(config)),
        "layers": [*layers, layer],
    }
    entry = _blob(blobs, _MANIFEST, _json(manifest))
    entry["annotations"] = {"org.opencontainers.image.ref.name": tag}
    index = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": [entry]}
    (layout / "index.json").write_bytes(_json(index))
    (layout / "oci-layout").write_bytes(_json({"imageLayoutVersion": "1.0.0"}))


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _read_blob(layout: Path, descriptor: dict) -> dict:
    return json.loads((layout / "blobs/sha256" / descriptor["digest"].split(":")[1]).read_bytes())


def _blob(blobs: Path, media_type: str, data: bytes) -> dict:
    name = hashlib.sha256(data).hexdigest()
    (blobs / name).write_bytes(data)
    return {"mediaType": media_type, "digest": f"sha256:{name}", "size": len(data)}


def _layer(blobs: Path, tree: Path, epoch: int) -> tuple[dict, str]:
    """Packs ``tree``; returns the layer's descriptor and the digest of its plain archive."""
    plain, packed = blobs / "layer.tar", blobs / "layer.tar.gz"
    with tarfile.open(plain, "w", format=tarfile.GNU_FORMAT) as archive:
        for path in sorted(tree.rglob("*")):
            member = archive.gettarinfo(str(path), str(path.relative_to(tree)))
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            member.mtime = min(int(member.mtime), epoch)
            if member.isdir():
                # A directory's time is when it was unpacked.
                member.mtime = epoch
            if member.isreg():
                with path.open("rb") as file:
                    archive.addfile(member, file)
            else:
                archive.addfile(member)
    digest = hashlib.sha256(plain.read_bytes()).hexdigest()
    with (
        plain.open("rb") as source,
        packed.open("wb") as raw,
        gzip.GzipFile("", "wb", 6, raw, mtime=0) as out,
    ):
        shutil.copyfileobj(source, out)
    plain.unlink()
    data = packed.read_bytes()
    packed.unlink()
    return _blob(blobs, _LAYER, data), f"sha256:{digest}"
