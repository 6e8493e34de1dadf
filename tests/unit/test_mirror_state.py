"""The mirror's own files: read into typed objects, written as they were, refused if damaged."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from stxmirror.errors import StxMirrorError
from stxmirror.layout import BuildId
from stxmirror.mirror.config import Config, Site
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
    ],
)
def test_the_state_of_a_build_is_written_as_it_was(store: Store, change: dict[str, Any]) -> None:
    path = store.builds / f"{ID}.json"
    data = write(path, {**STATE, **change})
    state = store.states()[ID]
    path.unlink()
    store.save(state)
    assert path.read_bytes() == data
    assert store.is_stale()


def test_an_upload_is_written_as_it_was(store: Store) -> None:
    path = store.uploads / f"{UPLOAD['token']}.json"
    data = write(path, UPLOAD)
    upload = store.open_uploads()[ID]
    path.unlink()
    store.save_upload(upload)
    assert path.read_bytes() == data


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
    with pytest.raises(StxMirrorError, match=f"{path} is damaged: restore it"):
        store.states()


@pytest.mark.parametrize(
    "text",
    [
        *("null", "[]", "{}", ""),
        *(json.dumps({**UPLOAD, key: 7.5}) for key in UPLOAD),
        *(
            json.dumps({**UPLOAD, "files": {"x": entry}})
            for entry in ([], ["0"], [7, 7], ["0", "7"], "ab")
        ),
    ],
)
def test_a_damaged_upload_is_named(store: Store, text: str) -> None:
    path = store.uploads / f"{UPLOAD['token']}.json"
    path.write_text(text)
    with pytest.raises(StxMirrorError, match=f"{path} is damaged"):
        store.open_uploads()


def test_an_upload_knows_its_files() -> None:
    upload = Upload.parse(UPLOAD, "a file")
    assert upload.files["build.json"].size == 7
    assert upload.began == datetime(2026, 11, 22, 2, 0, 0, tzinfo=timezone.utc)
