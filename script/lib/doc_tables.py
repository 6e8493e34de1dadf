"""Makes the tables in docs/ that say which keys there are, out of the schemas.

    python script/lib/doc_tables.py --write    write them anew
    python script/lib/doc_tables.py --check    exit 1 if one differs

A table stands between `<!-- keys: stream-1 -->` and `<!-- end of keys -->`; `profile-1 stage` is
the part `stage` of a schema. Runs in the project's environment.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from stxmirror import schema

DOCS = Path(__file__).parents[2] / "docs"

_TABLE = re.compile(
    r"(?P<begin><!-- keys: (?P<name>[a-z0-9-]+)(?: (?P<part>[a-z]+))? -->\n)"
    r".*?(?P<end><!-- end of keys -->\n)",
    re.DOTALL,
)


def table(name: str, part: str | None = None) -> str:
    """Return the table of a schema's keys, or of those of a part of it, as Markdown."""
    loaded = schema.load(name)
    described = loaded["$defs"][part] if part else loaded
    rows = "".join(_rows(described, loaded.get("$defs", {})))
    return f"| key | without it | example | meaning |\n| --- | --- | --- | --- |\n{rows}"


def _rows(
    described: Mapping[str, Any], definitions: Mapping[str, Any], prefix: str = ""
) -> Iterator[str]:
    for key, member in described["properties"].items():
        entry = {**definitions.get(str(member.get("$ref")).rpartition("/")[2], {}), **member}
        required = key in described["required"]
        cells = (
            f"`{prefix}{key}`",
            "required" if required else _value(entry.get("default")),
            _value(next(iter(entry.get("examples", ())), None)),
            str(entry["description"]),
        )
        yield f"| {' | '.join(cells)} |\n"
        # What has a meaning of its own below it gets a line of its own.
        if any("description" in inner for inner in member.get("properties", {}).values()):
            yield from _rows(entry, definitions, f"{key}.")


def _value(value: Any) -> str:
    """Return a value as it is written in YAML; nothing for none and for an empty text."""
    if value is None or value == "":
        return ""
    written = yaml.safe_dump(value, default_flow_style=True, width=1000, sort_keys=False)
    return f"`{written.removesuffix('...' + chr(10)).strip()}`"


def rewritten(text: str) -> str:
    """Return a page with its tables made anew."""
    return _TABLE.sub(
        lambda found: found["begin"] + table(found["name"], found["part"]) + found["end"], text
    )


def main(option: str) -> int:
    """Write or check the tables of every page; return the exit code."""
    stale = []
    for page in sorted(DOCS.glob("*.md")):
        text = page.read_text(encoding="utf-8")
        if rewritten(text) != text:
            stale.append(page)
            if option == "--write":
                page.write_text(rewritten(text), encoding="utf-8")
    for page in stale if option == "--check" else ():
        print(f"{page}: a table differs: run python script/lib/doc_tables.py --write")
    return 1 if stale and option == "--check" else 0


if __name__ == "__main__":
    if sys.argv[1:] not in (["--write"], ["--check"]):
        sys.exit("usage: python script/lib/doc_tables.py --write|--check")
    sys.exit(main(sys.argv[1]))
