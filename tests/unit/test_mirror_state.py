"""The mirror's own files: read into typed objects, written as they were, refused if damaged."""

from __future__ import annotations

import errno
import io
import json
import os
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from stxmirror.errors import StxMirrorError
from stxmirror.layout import BuildId
from stxmirror.mirror.config import Config, Site
from stxmirror.mirror.manifest import Entry
from stxmirror.mirror.state import BuildState, Upload
from stxmirror.mirror.store import Store, token_for
from stxmirror.retention import Policy, Promise

NOW = datetime(2026, 11, 22, 3, 0, 0, tzinfo=timezone.utc)
ID = "master/sample/20261120T020000Z"
# As the versions before this one wrote them.
STATE: dict[str, Any] = {
    "bytes": 97_000_000,
    "hold": "bisecting",
    "id": ID,
    "keep_until": "2026-12-04T02:00:00Z",
    "notes": ["Passed in the lab."],
    "published": "2026-11-20T03:00:00Z",
    "result": "success",
    "rule": "master",
    "tombstone": {
        "reason": "it erased disks",
        "record": {"id": ID, "result": "success"},
        "when": "2026-11-21T00:00:00Z",
    },
}
UPLOAD: dict[str, Any] = {
    "began": "2026-11-22T02:00:00Z",
    "files": {"build.json": ["0" * 64, 7]},
    "id": ID,
    "need": ["build.json"],
    "need_bytes": 7,
    "token": token_for(BuildId.parse(ID)),
}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    root = tmp_path / "store"
    for name in ("public", "staging", "state"):
        (root / name).mkdir(parents=True)
    config = Config(tmp_path / "c", root, Site("A mirror", "/"), Policy((), 182, 1.0), 48, 0)
    made = Store(config, NOW)
    made.prepare()
    return made


def write(path: Path, content: Any) -> bytes:
    """Write a state file as the mirror does."""
    data = (json.dumps(content, indent=1, sort_keys=True) + "\n").encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return data


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"hold": None, "keep_until": None, "rule": None, "notes": [], "tombstone": None},
        {"tombstone": {**STATE["tombstone"], "record": None}},
        {"tombstone": {**STATE["tombstone"], "record": {"n": [1.5, 1e30, -0.0, "\u00e9\ud800"]}}},
    ],
)
def test_an_old_state_is_read_and_gets_a_checksum(store: Store, change: dict[str, Any]) -> None:
    path = store.builds / f"{ID}.json"
    write(path, {**STATE, **change})
    state = store.states()[0][ID]
    store.save(state)
    saved = json.loads(path.read_bytes())
    assert len(saved.pop("sha256")) == 64
    assert saved == {**STATE, **change}
    assert store.states() == ({ID: state}, {})
    assert store.is_stale()


def test_an_upload_is_read_as_it_was_saved(store: Store) -> None:
    (store.config.staging / UPLOAD["token"]).mkdir()
    upload = Upload.parse({**UPLOAD, "files": None}, "a file")
    files = {"build.json": Entry("0" * 64, 7), "SHA256SUMS": Entry("1" * 64, 8)}
    store.save_upload(upload, files)
    (read,) = store.open_uploads()[0].values()
    assert (read.id, read.token, read.began, read.need_bytes) == (
        *(upload.id, upload.token),
        *(upload.began, upload.need_bytes),
    )
    assert store.upload_files(read) == files
    store.forget_upload(read.token)
    assert store.open_uploads() == ({}, {})


def test_what_an_upload_costs_other_verbs_is_bounded(store: Store) -> None:
    """They read its state, which does not grow with the list of its files."""
    (store.config.staging / UPLOAD["token"]).mkdir()
    files = {f"outputs/logs/{number}.log": Entry("0" * 64, 7) for number in range(100_000)}
    store.save_upload(Upload.parse(UPLOAD, "a file"), files)
    (path,) = store.uploads.iterdir()
    assert path.stat().st_size < 1000
    (read,) = store.open_uploads()[0].values()
    assert len(store.upload_files(read)) == 100_000


def test_an_upload_that_an_earlier_version_began_goes_on(store: Store) -> None:
    write(store.uploads / f"{UPLOAD['token']}.json", UPLOAD)
    upload = store.open_uploads()[0][ID]
    assert upload.began == datetime(2026, 11, 22, 2, 0, 0, tzinfo=timezone.utc)
    files = store.upload_files(upload)
    assert files == {"build.json": Entry("0" * 64, 7)}
    (store.config.staging / upload.token).mkdir()
    store.save_upload(upload, files)
    assert [path.suffix for path in store.uploads.iterdir()] == [".upload"]
    assert store.upload_files(store.open_uploads()[0][ID]) == files


def test_retention_gets_what_it_needs() -> None:
    listed = BuildState.parse(STATE, "a file").listed(is_publishing=True)
    until = datetime(2026, 12, 4, 2, 0, 0, tzinfo=timezone.utc)
    assert (str(listed.id), listed.is_success, listed.hold) == (ID, True, "bisecting")
    assert (listed.promise, listed.is_publishing) == (Promise(until), True)
    forever = BuildState.parse({**STATE, "keep_until": None, "result": "fail"}, "a file")
    assert forever.listed(is_publishing=False).promise == Promise(None)
    assert not forever.listed(is_publishing=False).is_success


DAMAGE = [
    *("null", "[]", "{}", "7", '"x"', "", "{", "[" * 100_000),
    *(json.dumps({**STATE, key: 7.5}) for key in STATE),
    json.dumps({**STATE, "keep_until": "soon"}),
    json.dumps({**STATE, "published": None}),
    json.dumps({**STATE, "tombstone": {"reason": "x"}}),
    json.dumps({**STATE, "id": "../../etc"}),
]


@pytest.mark.parametrize("text", DAMAGE)
def test_a_damaged_state_is_named_and_not_guessed_at(store: Store, text: str) -> None:
    path = store.builds / f"{ID}.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    other = "master/sample/20261119T020000Z"
    write(store.builds / f"{other}.json", {**STATE, "id": other})
    states, damaged = store.states()
    assert list(states) == [other]
    assert list(damaged) == [ID]
    assert damaged[ID].startswith(f"{path} is damaged: ")


@pytest.mark.parametrize("key", sorted(STATE))
def test_a_damaged_key_of_an_old_state_loses_nothing(store: Store, key: str) -> None:
    """It has no checksum, and a hold under another name would be none."""
    write(
        store.builds / f"{ID}.json", {"x" if name == key else name: STATE[name] for name in STATE}
    )
    assert list(store.states()[1]) == [ID]


def test_an_empty_state_is_called_that(store: Store) -> None:
    path = store.builds / f"{ID}.json"
    path.parent.mkdir(parents=True)
    path.touch()
    assert store.states()[1] == {ID: f"{path} is damaged: it is empty"}


def test_no_flipped_bit_of_a_state_is_believed(store: Store) -> None:
    """The file is named as damaged, or says what it said."""
    state = BuildState.parse(STATE, "a file")
    store.save(state)
    path = store.builds / f"{ID}.json"
    data = path.read_bytes()
    for position in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[position // 8] ^= 1 << position % 8
        path.write_bytes(flipped)
        states, damaged = store.states()
        assert states == {ID: state} if not damaged else list(damaged) == [ID], position


def test_a_state_cut_short_is_damaged(store: Store) -> None:
    store.save(BuildState.parse(STATE, "a file"))
    path = store.builds / f"{ID}.json"
    data = path.read_bytes()
    for length in range(len(data) - 1):
        path.write_bytes(data[:length])
        assert list(store.states()[1]) == [ID]


@pytest.mark.parametrize(
    "text",
    [
        *("null", "[]", "{}", ""),
        *(json.dumps({**UPLOAD, key: 7.5}) for key in ("began", "id", "need_bytes", "token")),
        json.dumps({key: UPLOAD[key] for key in UPLOAD if key != "files"}),
        json.dumps({**UPLOAD, "token": "0" * 32}),
        json.dumps({**UPLOAD, "id": "master/sample/20261119T020000Z"}),
    ],
)
def test_a_damaged_upload_is_named(store: Store, text: str) -> None:
    path = store.uploads / f"{UPLOAD['token']}.json"
    path.write_text(text)
    uploads, damaged = store.open_uploads()
    assert uploads == {}
    assert damaged[UPLOAD["token"]].startswith(f"{path} is damaged: ")


@pytest.mark.parametrize("entry", [[], ["0"], [7, 7], ["0", "7"], "ab"])
def test_a_damaged_list_of_an_old_upload_is_named(store: Store, entry: Any) -> None:
    write(store.uploads / f"{UPLOAD['token']}.json", {**UPLOAD, "files": {"x": entry}})
    with pytest.raises(StxMirrorError, match="is damaged: begin again"):
        store.upload_files(store.open_uploads()[0][ID])


@pytest.mark.parametrize("data", [None, b"", b"{}", b"null"])
def test_a_damaged_list_of_files_is_named(store: Store, data: bytes | None) -> None:
    (store.config.staging / UPLOAD["token"]).mkdir()
    store.save_upload(Upload.parse(UPLOAD, "a file"), {"x": Entry("0" * 64, 7)})
    (path,) = (store.config.staging / UPLOAD["token"]).iterdir()
    path.unlink()
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(StxMirrorError, match="is damaged: begin again"):
        store.upload_files(store.open_uploads()[0][ID])


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOMEM, errno.EACCES])
@pytest.mark.parametrize("call", ["scandir", "lstat", "open"])
def test_a_state_that_cannot_be_read_is_no_state_that_is_not_there(
    store: Store, monkeypatch: pytest.MonkeyPatch, number: int, call: str
) -> None:
    store.save(BuildState.parse(STATE, "a file"))
    real = getattr(io if call == "open" else os, call)

    def failing(path: Any, *arguments: Any, **options: Any) -> Any:
        if str(path).startswith(str(store.builds)):
            raise OSError(number, os.strerror(number), str(path))
        return real(path, *arguments, **options)

    monkeypatch.setattr(io if call == "open" else os, call, failing)
    with pytest.raises(OSError, match=os.strerror(number)):
        store.states()
