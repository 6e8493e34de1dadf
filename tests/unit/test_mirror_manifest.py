"""The two lists that say what a build consists of."""

from __future__ import annotations

import hashlib
import json
import posixpath
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stxmirror.errors import StxMirrorError
from stxmirror.layout import BuildId
from stxmirror.mirror import manifest
from stxmirror.mirror.manifest import Entry

BUILD = BuildId.parse("master/sample/20260101T020000Z")
REQUIRED = ("build.json", "SHA256SUMS", "outputs/CONTEXT", "outputs/success")


def made(paths: list[object]) -> bytes:
    files = [{"path": path, "sha256": "0" * 64, "size": 1} for path in paths]
    return json.dumps({"id": str(BUILD), "files": files}).encode()


@given(st.lists(st.text(max_size=40)), st.sampled_from(["outputs/logs/", "inputs/downloads/", ""]))
def test_no_path_that_is_accepted_leaves_the_build(names: list[str], place: str) -> None:
    paths = list(dict.fromkeys([*REQUIRED, *(place + name for name in names)]))
    try:
        files = manifest.read_manifest(made(list(paths)), BUILD)
    except StxMirrorError:
        return
    for path in files:
        assert posixpath.normpath(path) == path
        assert not path.startswith(("/", "."))
        assert path.isascii()
        assert path.isprintable()
        assert not set(path) & set(" \\\"'`$;&|<>(){}[]*?!#")


@given(st.binary(max_size=300))
def test_any_bytes_are_a_manifest_or_are_refused(data: bytes) -> None:
    with pytest.raises(StxMirrorError):
        manifest.read_manifest(data, BUILD)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=8))
def test_any_json_for_a_file_is_refused(item: object) -> None:
    data = json.dumps({"id": str(BUILD), "files": [item]}).encode()
    with pytest.raises(StxMirrorError):
        manifest.read_manifest(data, BUILD)


@pytest.mark.parametrize("missing", ["build.json", "SHA256SUMS", "outputs/CONTEXT"])
def test_a_success_without_its_records_is_refused(missing: str) -> None:
    with pytest.raises(StxMirrorError, match=missing):
        manifest.read_manifest(made([path for path in REQUIRED if path != missing]), BUILD)


def test_a_failure_before_the_sources_were_there_has_no_context() -> None:
    paths = ["build.json", "SHA256SUMS", "outputs/fail", "outputs/logs/sync.log"]
    assert set(manifest.read_manifest(made(list(paths)), BUILD)) == set(paths)


def test_a_manifest_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "MANIFEST_BYTES_MAX", 100)
    with pytest.raises(StxMirrorError, match="larger than 100 bytes"):
        manifest.read_manifest(made(list(REQUIRED)), BUILD)


def test_sums_are_read_as_sha256sum_writes_them(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    names = ["one", "sub/two+3~4^5.rpm"]
    for name in names:
        (tmp_path / name).write_text(name)
    for options in ([], ["--binary"]):
        done = subprocess.run(
            ["sha256sum", *options, *names], cwd=tmp_path, capture_output=True, check=True
        )
        wanted = {name: hashlib.sha256(name.encode()).hexdigest() for name in names}
        assert manifest.parse_sums(done.stdout) == wanted


@pytest.mark.parametrize(
    "data",
    [
        b"0" * 64,
        b"0" * 63 + b"  x\n",
        b"0" * 64 + b" x\n",
        b"\\" + b"0" * 64 + b"  a\\nb\n",
        (b"0" * 64 + b"  x\n") * 2,
        b"0" * 64 + "  \u00e9\n".encode(),
        b"SHA256 (x) = " + b"0" * 64,
    ],
)
def test_other_sums_are_refused(data: bytes) -> None:
    with pytest.raises(StxMirrorError):
        manifest.parse_sums(data)


def test_every_directory_comes_after_its_parent() -> None:
    files = {"outputs/RPMS/std/repodata/x": Entry("0" * 64, 1), "build.json": Entry("1" * 64, 1)}
    directories = manifest.needed_directories(files)
    assert "outputs/RPMS/std/repodata" in directories
    assert {"inputs/RPMS", "outputs/wheels", "outputs/helm-charts"} < set(directories)
    seen = {""}
    for directory in directories:
        assert posixpath.dirname(directory) in seen
        seen.add(directory)
