"""The tables of keys in docs/ are those that the schemas make."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

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
