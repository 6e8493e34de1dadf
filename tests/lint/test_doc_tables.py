"""The tables of keys in docs/ are those that the schemas make."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from stxmirror import profiles, streams

PROJECT = Path(__file__).parents[2]
TABLES = {
    "operations.md": ["stream-1"],
    "adding-a-product.md": [
        *("profile-1", "profile-1 stage", "profile-1 yield", "profile-1 iso"),
    ],
}


def test_tables_are_those_of_the_schemas():
    """A key that the schema has and the page does not is a key that nobody finds."""
    done = subprocess.run(
        [sys.executable, str(PROJECT / "script/lib/doc_tables.py"), "--check"],
        env={"PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", sorted(TABLES))
def test_page_has_its_tables(page):
    lines = (PROJECT / "docs" / page).read_text().splitlines()
    found = [line for line in lines if line.startswith("<!-- keys: ")]
    assert found == [f"<!-- keys: {table} -->" for table in TABLES[page]]
    assert lines.count("<!-- end of keys -->") == len(found)


def examples_of(page: str, key: str) -> list:
    """What the page's YAML examples have under a key, with a word for each Jinja expression."""
    text = (PROJECT / "docs" / page).read_text()
    blocks = re.findall(r"^```yaml\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    read = [yaml.safe_load(re.sub(r"\{\{.*?\}\}", "x", block)) for block in blocks]
    return [content[key] for content in read if isinstance(content, dict) and key in content]


def test_what_the_pages_tell_people_to_write_is_accepted():
    (profile,) = examples_of("adding-a-product.md", "profile")
    (iso,) = examples_of("adding-a-product.md", "iso")
    checked = profiles.check_profile({**profile, "iso": iso})
    assert [stage.name for stage in checked.stages] == ["packages", "charts"]
    (listed,) = examples_of("operations.md", "streams")
    assert [stream.name for stream in streams.check_streams(listed)] == ["master"]


@pytest.mark.parametrize(
    "path", [path.relative_to(PROJECT).as_posix() for path in PROJECT.glob("**/profiles/*.yml")]
)
def test_profiles_of_this_project_are_accepted(path):
    """Before a build finds out; what Jinja makes of them is for the build to check."""
    text = re.sub(r"\{\{.*?\}\}", "/x", (PROJECT / path).read_text())
    assert profiles.check_profile(yaml.safe_load(text)["profile"], roots=["/x"]).stages
