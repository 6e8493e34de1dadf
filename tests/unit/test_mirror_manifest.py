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


@pytest.mark.parametrize("end", ["\r", "\x0b", "\x0c", "\x1c", "\x1e"])
def test_only_a_line_feed_ends_a_line_of_the_sums(end: str) -> None:
    text = f"{'0' * 64}  one{end}{'1' * 64}  two\n"
    assert manifest.parse_sums(text.encode()) == {f"one{end}{'1' * 64}  two": "0" * 64}


def test_the_line_of_the_sums_that_is_wrong_is_named() -> None:
    good = b"0" * 64 + b"  x\n"
    with pytest.raises(StxMirrorError, match="line 2 of SHA256SUMS"):
        manifest.parse_sums(good + b"x\n")
    assert manifest.parse_sums(good[:-1]) == {"x": "0" * 64}
    assert manifest.parse_sums(b"") == {}


def refused(paths: list[object]) -> str:
    with pytest.raises(StxMirrorError) as caught:
        manifest.read_manifest(made(paths), BUILD)
    return str(caught.value)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"{", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[]", "the manifest must be"),
        (b'{"id": "x"}', "the manifest must be"),
        (b'{"id": "x", "files": {}}', "the manifest must be"),
        (b'{"id": "x", "files": []}', "the manifest is for 'x', not for master/sample/2026"),
        (b'{"files": []}', "the manifest is for 'None'"),
        (b'{"id": "master/sample/20260101T020000Z", "files": [7]}', "each file of the manifest"),
        (b'{"id": "master/sample/20260101T020000Z", "files": []}', "lacks build.json"),
    ],
)
def test_what_is_no_manifest_is_said(raw: bytes, words: str) -> None:
    with pytest.raises(StxMirrorError, match=words):
        manifest.read_manifest(raw, BUILD)


def test_the_bound_is_the_last_size_that_is_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    data = made(list(REQUIRED))
    monkeypatch.setattr(manifest, "MANIFEST_BYTES_MAX", len(data))
    assert len(manifest.read_manifest(data, BUILD)) == 4
    with pytest.raises(StxMirrorError, match="larger than"):
        manifest.read_manifest(data + b" ", BUILD)


def test_a_large_nightly_fits() -> None:
    assert manifest.MANIFEST_BYTES_MAX == 64 * 1024 * 1024
    assert manifest.FILE_BYTES_MAX == 2**50
    assert manifest.MANIFEST_FILES_MAX == 50_000


def test_so_many_files_are_a_build_and_one_more_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "MANIFEST_FILES_MAX", 4)
    assert len(manifest.read_manifest(made(list(REQUIRED)), BUILD)) == 4
    words = refused([*REQUIRED, "outputs/logs/x"])
    assert words.startswith("the manifest has 5 files, and a build may have 4")


@pytest.mark.parametrize(
    ("more", "pair"),
    [
        (["outputs/logs/x", "outputs/logs/X"], "outputs/logs/x and outputs/logs/X differ"),
        (["outputs/logs/A/x", "outputs/logs/a/y"], "outputs/logs/A and outputs/logs/a differ"),
        (["outputs/logs/x", "outputs/logs/X/y"], "outputs/logs/x and outputs/logs/X differ"),
    ],
)
def test_names_that_differ_in_case_only_are_refused(more: list[str], pair: str) -> None:
    assert pair in refused([*REQUIRED, *more])


@pytest.mark.parametrize("kind", ["RPMS", "SRPMS"])
def test_metadata_lies_in_repodata_and_packages_do_not(kind: str) -> None:
    place = f"outputs/{kind}/repodata"
    files = [f"{place}/repomd.xml", f"outputs/{kind}/std/repodata/repomd.xml"]
    assert len(manifest.read_manifest(made([*REQUIRED, *files]), BUILD)) == 6
    for path in (f"{place}/x.rpm", f"{place}/sub/x"):
        assert f"{path} lies among the metadata" in refused([*REQUIRED, path])


@pytest.mark.parametrize(
    "inner", ["x.iso", "X.ISO", "bootimage-20260101T020000Z.iso/x", "a/b.iso/c", "bootimage.iso/x"]
)
def test_nothing_else_is_called_like_an_iso(inner: str) -> None:
    assert "is not the ISO's constant name" in refused([*REQUIRED, f"outputs/iso/{inner}"])
    files = ["outputs/iso/bootimage.iso", "outputs/iso/bootimage.sig", "outputs/logs/x.iso"]
    assert len(manifest.read_manifest(made([*REQUIRED, *files]), BUILD)) == 7


def read_one(**change: object) -> Entry:
    """Return the entry of a log file that the manifest has, changed."""
    files = [{"path": path, "sha256": "0" * 64, "size": 1} for path in REQUIRED]
    files.append({"path": "outputs/logs/x", "sha256": "ab" * 32, "size": 7, **change})
    data = json.dumps({"id": str(BUILD), "files": files}).encode()
    return manifest.read_manifest(data, BUILD)["outputs/logs/x"]


@pytest.mark.parametrize("size", [0, 1, 2**50])
def test_a_size_is_a_number_of_bytes(size: int) -> None:
    assert read_one(size=size) == Entry("ab" * 32, size)


@pytest.mark.parametrize("size", [-1, 2**50 + 1, True, False, 1.0, "1", None])
def test_another_size_is_refused_by_name(size: object) -> None:
    with pytest.raises(StxMirrorError, match="no usable size in bytes for outputs/logs/x"):
        read_one(size=size)


@pytest.mark.parametrize("sha256", ["0" * 63, "0" * 65, "A" * 64, "0" * 63 + "\u0660", 7, None])
def test_another_hash_is_refused_by_name(sha256: object) -> None:
    with pytest.raises(StxMirrorError, match=r"no SHA-256 .* for outputs/logs/x"):
        read_one(sha256=sha256)


@pytest.mark.parametrize("path", [None, 7, [], "", "../x", "outputs/logs/a b"])
def test_a_path_that_cannot_be_published_is_refused(path: object) -> None:
    assert "cannot be published" in refused([*REQUIRED, path])


def test_each_file_is_named_once() -> None:
    assert "names build.json twice" in refused([*REQUIRED, "build.json"])


def test_nothing_is_both_a_file_and_a_directory() -> None:
    both = ["outputs/logs/a", "outputs/logs/a/b/c"]
    assert "outputs/logs/a both as a file and as a directory" in refused([*REQUIRED, *both])
    assert "outputs/logs/a both as a file" in refused([*REQUIRED, *reversed(both)])
    assert "has no place" in refused([*REQUIRED, "outputs/success/x"])


def test_a_build_has_one_result() -> None:
    assert "this manifest has both" in refused([*REQUIRED, "outputs/fail"])
    assert "this manifest has neither" in refused([p for p in REQUIRED if "success" not in p])


@pytest.mark.parametrize(
    "path",
    [
        *("inputs/RPMS/a.rpm", "inputs/SRPMS/a.rpm", "inputs/downloads/a/b", "outputs/logs/a"),
        *("outputs/RPMS/std/a.rpm", "outputs/SRPMS/rt/a/b.rpm", "outputs/iso/bootimage.iso"),
        *("outputs/iso/bootimage.sig", "outputs/installer/x.iso", "outputs/wheels/x"),
        *("outputs/helm-charts/x", "SHA256SUMS.asc", "inputs/RPMS/iso.iso"),
    ],
)
def test_the_specification_s_places_are_fine(path: str) -> None:
    assert path in manifest.read_manifest(made([*REQUIRED, path]), BUILD)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("outputs/RPMS/a.rpm", "lies in no build phase: packages go to outputs/RPMS/<phase>/"),
        ("outputs/SRPMS/Std/a.rpm", "is not a build phase"),
        ("outputs/iso/other.iso", "is not the ISO's constant name"),
        ("outputs/iso/bootimage-20260101T020000Z.iso", "is not the ISO's constant name"),
        ("outputs/iso/sub/bootimage.iso", "is not the ISO's constant name"),
        ("outputs/RPMS", "has no place"),
        ("outputs/logs", "has no place"),
        ("outputs/downloads/x", "has no place"),
        ("inputs/logs/x", "has no place"),
        ("other/RPMS/x", "has no place"),
        ("README", "has no place"),
        ("outputs/other", "has no place"),
    ],
)
def test_a_path_without_a_place_is_refused_by_name(path: str, words: str) -> None:
    message = refused([*REQUIRED, path])
    assert words in message
    assert "build phase" in words or path in message


def test_the_links_of_a_tree_follow_from_its_files() -> None:
    assert manifest.links(BUILD, []) == {}
    assert manifest.links(BUILD, ["outputs/CONTEXT"]) == {"outputs/CONTEXT.sh": "CONTEXT"}
    assert manifest.links(BUILD, ["outputs/iso/bootimage.iso"]) == {
        "outputs/iso/bootimage-20260101T020000Z.iso": "bootimage.iso"
    }


def test_the_directories_of_the_specification_are_all_there() -> None:
    assert manifest.artifact_directories() == [
        *("inputs/RPMS", "inputs/SRPMS", "inputs/downloads"),
        *("outputs/RPMS", "outputs/SRPMS", "outputs/helm-charts", "outputs/installer"),
        *("outputs/iso", "outputs/logs", "outputs/wheels"),
    ]
    assert manifest.needed_directories([]) == sorted(
        ["inputs", "outputs", *manifest.artifact_directories()]
    )


def test_a_digest_is_what_sha256sum_prints() -> None:
    assert manifest.digest(b"") == hashlib.sha256(b"").hexdigest()


FILES = {
    "build.json": Entry("0" * 64, 1),
    "outputs/logs/x": Entry("1" * 64, 1),
    "SHA256SUMS": Entry("2" * 64, 1),
    "SHA256SUMS.asc": Entry("3" * 64, 1),
}
SUMS = {"build.json": "0" * 64, "outputs/logs/x": "1" * 64}


def test_sums_that_agree_with_the_files_are_fine() -> None:
    manifest.check_sums(SUMS, FILES)


@pytest.mark.parametrize(
    ("sums", "words"),
    [
        ({"build.json": "0" * 64}, "does not list outputs/logs/x"),
        ({**SUMS, "other": "1" * 64}, "lists 'other', which was not sent"),
        ({**SUMS, "SHA256SUMS": "2" * 64}, "lists 'SHA256SUMS', which was not sent"),
        ({**SUMS, "outputs/logs/x": "0" * 64}, "has another hash for outputs/logs/x"),
    ],
)
def test_sums_that_do_not_agree_are_refused(sums: dict[str, str], words: str) -> None:
    with pytest.raises(StxMirrorError, match=words):
        manifest.check_sums(sums, FILES)


def test_every_directory_comes_after_its_parent() -> None:
    files = {"outputs/RPMS/std/repodata/x": Entry("0" * 64, 1), "build.json": Entry("1" * 64, 1)}
    directories = manifest.needed_directories(files)
    assert "outputs/RPMS/std/repodata" in directories
    assert {"inputs/RPMS", "outputs/wheels", "outputs/helm-charts"} < set(directories)
    seen = {""}
    for directory in directories:
        assert posixpath.dirname(directory) in seen
        seen.add(directory)
