"""The small modules of role build_session, run as Ansible starts them."""

from __future__ import annotations

import json
import os

import pytest
from module_call import call


def test_a_file_is_written_with_its_directories(tmp_path):
    file = tmp_path / "a" / "b" / "x.json"
    done = call("write_file", {"path": str(file), "content": {"b": [1], "a": "é"}, "mode": "0640"})
    assert done["changed"]
    assert file.read_text() == '{\n  "a": "é",\n  "b": [\n    1\n  ]\n}\n'
    assert file.stat().st_mode & 0o777 == 0o640
    assert file.parent.stat().st_mode & 0o777 == 0o755


def test_text_is_written_as_it_is(tmp_path):
    file = tmp_path / "BUILD"
    text = 'A="{{ b }}"\n{"not": "json"}\n'
    call("write_file", {"path": str(file), "content": text, "mode": "0644"})
    assert file.read_text() == text


def test_the_same_again_changes_nothing(tmp_path):
    told = {"path": str(tmp_path / "x"), "content": {"a": 1}, "mode": "0644"}
    assert call("write_file", told)["changed"]
    inode = (tmp_path / "x").stat().st_ino
    assert not call("write_file", told)["changed"]
    assert (tmp_path / "x").stat().st_ino == inode
    assert call("write_file", {**told, "mode": "0600"})["changed"]
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o600


def test_a_reader_keeps_what_it_has_opened(tmp_path):
    """The file is replaced, never written into."""
    file = tmp_path / "x"
    file.write_text("old\n")
    with file.open() as reader:
        call("write_file", {"path": str(file), "content": "new\n", "mode": "0644"})
        assert reader.read() == "old\n"
    assert os.listdir(tmp_path) == ["x"]  # noqa: PTH208 - names


def test_check_mode_writes_nothing(tmp_path):
    told = {"path": str(tmp_path / "a" / "x"), "content": "x", "mode": "0644"}
    assert call("write_file", told, check=True)["changed"]
    assert not (tmp_path / "a").exists()


def test_what_cannot_be_written_is_named(tmp_path):
    (tmp_path / "x").mkdir()
    done = call("write_file", {"path": str(tmp_path / "x"), "content": "x", "mode": "0644"})
    assert done["failed"]
    assert str(tmp_path / "x") in done["msg"]
    assert os.listdir(tmp_path) == ["x"]  # noqa: PTH208 - names


def summary(workspace):
    told = {
        "workspace": str(workspace),
        "package_reports": ["*/results/summary.json"],
        "image_lists": ["std/build-images/images-*-versioned.lst"],
    }
    return call("workspace_summary", told)


def put(file, content):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content if isinstance(content, str) else json.dumps(content))


def test_packages_of_all_build_types_are_added_up(tmp_path):
    put(tmp_path / "std/results/summary.json", {"built": ["a", "b"], "reused": ["c"]})
    put(tmp_path / "rt/results/summary.json", {"built": ["d"], "reused": [], "failed": []})
    done = summary(tmp_path)
    assert done["packages"] == {"built": 3, "reused": 1}
    assert not done["changed"]


def test_images_are_read_once_each_in_order(tmp_path):
    put(
        tmp_path / "std/build-images/images-centos-stable-versioned.lst",
        "registry:5000/starlingx/stx-b:dev-1\nregistry:5000/starlingx/stx-a:dev-1\n"
        "registry:5000/starlingx/stx-b:dev-1\n<script>\n\n",
    )
    put(tmp_path / "std/build-images/images-centos-stable-latest.lst", "x/y:latest\n")
    assert summary(tmp_path)["images"] == [
        "registry:5000/starlingx/stx-b:dev-1",
        "registry:5000/starlingx/stx-a:dev-1",
    ]


@pytest.mark.parametrize("content", ["", "[]", '{"built": 3}', "\0", '"x"'])
def test_a_summary_that_is_none_counts_as_absent(tmp_path, content):
    put(tmp_path / "std/results/summary.json", content)
    done = summary(tmp_path)
    assert done["packages"] == {"built": 0, "reused": 0}


def test_a_link_out_of_the_workspace_is_not_followed(tmp_path):
    put(tmp_path / "secret", {"built": ["a"], "reused": []})
    (tmp_path / "w/std/results").mkdir(parents=True)
    (tmp_path / "w/std/results/summary.json").symlink_to(tmp_path / "secret")
    assert summary(tmp_path / "w")["packages"]["built"] == 0
