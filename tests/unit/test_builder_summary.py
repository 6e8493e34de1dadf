"""What the tools of a build report of themselves, counted for the record."""

from __future__ import annotations

import json

import pytest
from build_host import opened

from stxmirror.builder import summary

REPORTS = ["*/results/summary.json"]
LISTS = ["std/build-images/images-*-versioned.lst"]


@pytest.fixture
def session(paths, make_stream):
    session = opened(paths, make_stream())
    session.workspace.mkdir(parents=True)
    return session


def put(session, name, content):
    file = session.workspace / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content if isinstance(content, str) else json.dumps(content))


def test_packages_of_all_build_types_are_added_up(session):
    put(session, "std/results/summary.json", {"built": ["a", "b"], "reused": ["c"]})
    put(session, "rt/results/summary.json", {"built": ["d"], "reused": [], "failed": []})
    assert summary.count_packages(session, REPORTS) == {"built": 3, "reused": 1}


def test_images_are_read_once_each_in_order(session):
    put(
        session,
        "std/build-images/images-centos-stable-versioned.lst",
        "registry:5000/starlingx/stx-b:dev-1\nregistry:5000/starlingx/stx-a:dev-1\n"
        "registry:5000/starlingx/stx-b:dev-1\n<script>\nx/y:a\x0cx/z:b\n\n",
    )
    put(session, "std/build-images/images-centos-stable-latest.lst", "x/y:latest\n")
    assert summary.list_images(session, LISTS) == [
        "registry:5000/starlingx/stx-b:dev-1",
        "registry:5000/starlingx/stx-a:dev-1",
    ]


def test_more_images_than_a_build_has_are_no_list(session):
    name = "std/build-images/images-x-versioned.lst"
    put(session, name, "".join(f"x/y:{number}\n" for number in range(summary.IMAGES_MAX + 1)))
    assert len(summary.list_images(session, LISTS)) == summary.IMAGES_MAX


@pytest.mark.parametrize("content", ["", "[]", '{"built": 3}', "\0", '"x"', "[" * 100_000])
def test_a_report_that_is_none_counts_as_absent(session, content):
    put(session, "std/results/summary.json", content)
    assert summary.count_packages(session, REPORTS) == {"built": 0, "reused": 0}


def test_a_link_out_of_the_workspace_is_not_followed(session, tmp_path):
    (tmp_path / "secret").write_text(json.dumps({"built": ["a"], "reused": []}))
    (session.workspace / "std/results").mkdir(parents=True)
    (session.workspace / "std/results/summary.json").symlink_to(tmp_path / "secret")
    assert summary.count_packages(session, REPORTS)["built"] == 0
