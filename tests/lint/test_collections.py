"""requirements.yml names the collections that the pinned `ansible` bundle brings, and no others."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).parents[2]
REQUIRED = yaml.safe_load((PROJECT / "requirements.yml").read_text())["collections"]
SOURCES = [
    path
    for pattern in (
        "roles/**/*.yml",
        "playbooks/**/*.yml",
        "molecule/**/*.yml",
        "inventories/**/*.yml",
    )
    for path in PROJECT.glob(pattern)
]


def bundled(name: str) -> str:
    """Version of a collection in the installed `ansible` bundle."""
    namespace, collection = name.split(".")
    manifest = f"ansible_collections/{namespace}/{collection}/MANIFEST.json"
    for file in metadata.files("ansible") or []:
        if str(file) == manifest:
            text = Path(str(file.locate())).read_text()
            return yaml.safe_load(text)["collection_info"]["version"]
    raise LookupError(f"the ansible bundle has no {name}")


@pytest.mark.parametrize("collection", REQUIRED, ids=lambda collection: collection["name"])
def test_versions_are_those_of_the_bundle(collection):
    """Who installs ansible-core alone gets what everybody else tests with."""
    assert collection["version"] == bundled(collection["name"])


def test_every_collection_in_use_is_named():
    """A module of a collection that is not named works with the bundle alone."""
    named = {collection["name"] for collection in REQUIRED} | {"ansible.builtin"}
    used = set()
    for path in SOURCES:
        # Modules, and filters and tests: `ns.collection.name:` and `| ns.collection.name`.
        used |= set(re.findall(r"^[\s-]*([a-z_]+\.[a-z_]+)\.[a-z_]+:", path.read_text(), re.M))
        used |= set(re.findall(r"[|(]\s*([a-z_]+\.[a-z_]+)\.[a-z_]+\b", path.read_text()))
    in_bundle = {
        ".".join(Path(str(file)).parts[1:3])
        for file in metadata.files("ansible") or []
        if Path(str(file)).parts[0] == "ansible_collections" and file.name == "MANIFEST.json"
    }
    assert used & in_bundle <= named
    assert named - {"ansible.builtin"} <= used, "named, but nothing uses it"
