"""The molecule scenarios and the roles belong together."""

from __future__ import annotations

from pathlib import Path

PROJECT = Path(__file__).parents[2]
# Of the roles that playbooks/build.yml, publish.yml and prune.yml play.
BUILD = "build"


def test_each_scenario_is_a_role_s():
    """A scenario that outlived its role would go on proving nothing."""
    scenarios = {path.parent.name for path in (PROJECT / "molecule").glob("*/molecule.yml")}
    roles = {path.name for path in (PROJECT / "roles").iterdir() if path.is_dir()}
    assert BUILD in scenarios
    assert scenarios - {BUILD} <= roles
