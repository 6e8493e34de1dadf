# SPDX-License-Identifier: Apache-2.0
"""What the package knows is written down once, and whoever needs it imports it."""

from __future__ import annotations

import math
import re
import subprocess
from pathlib import Path

import pytest
from test_imports import CODE, IMPORTS, PROJECT, layer

from stxmirror import names, schema
from stxmirror.state import paths

# How each stands in code: the whole of a string. A path or a message that contains one of these
# words is no second home.
FACTS = {
    "what a build-date looks like": r"(?s).*(\[0-9\]|\\d)\{8\}T.*|.*%Y%m%dT.*",
    "the directories of outputs": r"helm-charts|wheels",
}
# What may be called a name of ours wherever it is the whole of a string: files, and what lies
# below the directories that provisioning makes.
FILE = r"/?[\w-]+\.(asc|json|sqlite3|sh|iso|xml)|SHA256SUMS|CONTEXT"
OURS = r"/(etc|opt|run|srv|usr/local/libexec|var/lib|var/log)/(stx-[a-z]+|mirror)\b.*"
BUILDS = r"/(localdisk|import)\b.*"
UNITS = r"stx-[a-z-]+(@|\.service|\.timer).*"
ACCOUNTS = r"orchestrator|builder|signer|incoming"
# These words are no host's secret: a list of what anybody might call something.
COMMON_WORDS = "stxmirror/redact.py"
# It runs on readers' machines and imports nothing of ours; its own tests compare the names.
STANDALONE = "stxmirror/mirror/assets/verify.py"


@pytest.mark.parametrize("fact", FACTS)
def test_a_fact_has_one_home(fact):
    """Pure logic, one program, or the modules: else a change of one leaves the others wrong."""
    pattern = re.compile(FACTS[fact])
    found = [name for name in CODE if any(pattern.fullmatch(t) for t in IMPORTS.texts(name))]
    homes = {layer(name) for name in found}
    assert len(homes) <= 1, f"{fact} stands in {', '.join(found)}: one of them says it"


@pytest.mark.parametrize(
    "kind", [FILE, OURS, BUILDS, UNITS, ACCOUNTS, names.NOTHING_NEW, names.LATEST]
)
def test_a_name_stands_in_one_module(kind):
    """Names of files, directories, units and accounts are imported: the next new one, too."""
    form = re.compile(kind)
    homes: dict[str, set[str]] = {}
    for name in CODE:
        for text in IMPORTS.texts(name) if name not in (COMMON_WORDS, STANDALONE) else ():
            if form.fullmatch(text):
                homes.setdefault(text.strip("/"), set()).add(name)
    twice = {text: sorted(found) for text, found in homes.items() if len(found) > 1}
    assert twice == {}


# Programs that run as root or without the package, roles, playbooks and profiles repeat what they
# need; it must be what the package says.
DIRECTORIES = {
    str(place)
    for place in (
        *(paths.Paths().etc, paths.Paths().state, paths.Paths().libexec),
        # What no module of the package needs: installed versions, a hold on builds, logs, homes
        # of accounts, what other programs remember, the store that a mirror's settings name.
        *("/opt/stx-mirror", "/run/stx-mirror", "/var/log/stx-mirror", "/var/lib/stx-signer"),
        *("/var/lib/stx-incoming", "/var/lib/stx-updates", "/var/lib/stx-watch", "/srv/mirror"),
    )
}
IMPORTED = {str(paths.Paths().inputs), str(paths.Paths().streams)}


def outside_the_package():
    """Yield the files of roles and playbooks that are text, with their content."""
    listed = subprocess.run(
        ["git", "ls-files", "roles", "playbooks", "profiles", "inventories"],
        cwd=PROJECT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    for name in listed:
        yield name, (PROJECT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("form", "known"),
    [
        (
            r"(?<![\w.}-])/(?:etc|opt|run|srv|usr/local/libexec|var/lib|var/log)/stx-[a-z]+",
            DIRECTORIES,
        ),
        (r"(?<![\w.}-])/import/[a-z]+", IMPORTED),
        (r"stx-[a-z]+@", {paths.UNIT}),
    ],
)
def test_what_is_repeated_is_what_the_package_says(form, known):
    strange = {
        (name, text)
        for name, content in outside_the_package()
        for text in re.findall(form, content)
        if text not in known
    }
    assert strange == set()


def constants(path):
    """Return what a program assigns at its top to names in capitals, as its source has it."""
    text = (PROJECT / path).read_text(encoding="utf-8")
    return dict(re.findall(r"^([A-Z_]+) = (.+)$", text, re.MULTILINE))


def test_the_helpers_of_root_have_the_same_accounts_and_places():
    ours = paths.Paths()
    places = constants("roles/scheduler/files/run_as_builder/places.py")
    assert places["ACCOUNT"] == f'"{paths.BUILDER}"'
    assert places["LOCALDISK"] == f'Path("{ours.localdisk}")'
    assert ours.trees.parent == ours.kept.parent == ours.localdisk
    assert places["KEPT"] == f'LOCALDISK / "{ours.kept.name}"'
    assert places["STREAMS"] == f'IMPORT / "{ours.streams.name}"'
    assert places["DOWNLOADS"] == f'IMPORT / "{ours.inputs.name}"'
    assert places["IMPORT"] == f'Path("{ours.inputs.parent}")'
    assert ours.sources("x").parent == Path("/localdisk/designer/builder")
    assert ours.workspaces("x").parent == Path("/localdisk/loadbuild/builder")
    unit = constants("roles/scheduler/files/build-unit")
    assert unit["ACCOUNT"] == f'"{paths.ORCHESTRATOR}"'


def test_no_limit_of_a_stream_or_a_stage_is_more_than_root_s_helpers_take():
    """It would be refused when the build starts, and not when the inventory is checked."""
    stream = schema.load("stream-1")["properties"]["time_limit"]
    stage = schema.load("profile-1")["$defs"]["stage"]["properties"]["time_limit"]
    for helper in ("build-unit", "run-as-builder"):
        factors = constants(f"roles/scheduler/files/{helper}")["TIME_LIMIT_MAX"].split(" * ")
        assert math.prod(map(int, factors)) == stream["maximum"] == stage["maximum"]
