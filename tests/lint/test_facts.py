# SPDX-License-Identifier: Apache-2.0
"""What the package knows is written down once, and whoever needs it imports it."""

from __future__ import annotations

import re

import pytest
from test_imports import CODE, IMPORTS, layer

# How each stands in code: the whole of a string. A path or a message that contains one of these
# words is no second home.
FACTS = {
    "what a build-date looks like": r"(?s).*(\[0-9\]|\\d)\{8\}T.*|.*%Y%m%dT.*",
    "the directories of outputs": r"helm-charts|wheels",
    "the alias of the newest success": r"latest_build",
}


@pytest.mark.parametrize("fact", FACTS)
def test_a_fact_has_one_home(fact):
    """Pure logic, one program, or the modules: else a change of one leaves the others wrong."""
    pattern = re.compile(FACTS[fact])
    found = [name for name in CODE if any(pattern.fullmatch(t) for t in IMPORTS.texts(name))]
    homes = {layer(name) for name in found}
    assert len(homes) <= 1, f"{fact} stands in {', '.join(found)}: one of them says it"
