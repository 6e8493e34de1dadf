"""Where things lie on a build host: what docs, roles and people's scripts name."""

from __future__ import annotations

import pytest

from stxmirror.errors import StxMirrorError
from stxmirror.state.paths import Paths

ID = "master/sample/20261101T020000Z"


def test_where_things_lie():
    paths = Paths()
    assert {
        name: str(place)
        for name, place in {
            "build_unit": paths.build_unit,
            "run_as_builder": paths.run_as_builder,
            "inventory": paths.inventory,
            "environment": paths.environment,
            "builds": paths.builds,
            "build": paths.build(ID),
            "record": paths.record(ID),
            "session": paths.session(ID),
            "status": paths.status("f-x"),
            "runner": paths.runner("f-x"),
            "running": paths.running("f-x"),
            "events": paths.events("f-x"),
            "timings": paths.timings("f-x"),
            "console": paths.console("f-x", "20261101T020000Z-0a1b2c"),
            "sources": paths.sources("f-x"),
            "source_cache": paths.source_cache("f-x"),
            "workspaces": paths.workspaces("f-x"),
            "downloads": paths.downloads("f-x"),
            "trees": paths.trees,
            "kept": paths.kept,
        }.items()
    } == {
        "build_unit": "/usr/local/libexec/stx-mirror/build-unit",
        "run_as_builder": "/usr/local/libexec/stx-mirror/run-as-builder",
        "inventory": "/etc/stx-mirror/inventory",
        "environment": "/etc/stx-mirror/environment",
        "builds": "/var/lib/stx-mirror/builds",
        "build": f"/var/lib/stx-mirror/builds/{ID}",
        "record": f"/var/lib/stx-mirror/builds/{ID}/build.json",
        "session": f"/var/lib/stx-mirror/builds/{ID}/session.json",
        "status": "/var/lib/stx-mirror/status/f-x.json",
        "runner": "/var/lib/stx-mirror/runner/f-x",
        "running": "/var/lib/stx-mirror/runner/f-x/running.json",
        "events": "/var/lib/stx-mirror/runner/f-x/events",
        "timings": "/var/lib/stx-mirror/runner/f-x/timings.json",
        "console": "/var/lib/stx-mirror/runner/f-x/console/20261101T020000Z-0a1b2c.log",
        "sources": "/localdisk/designer/builder/f-x",
        "source_cache": "/localdisk/designer/cache/f-x",
        "workspaces": "/localdisk/loadbuild/builder/f-x",
        "downloads": "/import/streams/f-x",
        "trees": "/localdisk/publish",
        "kept": "/localdisk/kept",
    }


def test_what_every_branch_has_is_found(tmp_path):
    paths = Paths(state=tmp_path)
    assert (paths.status_files(), paths.running_files()) == ([], [])
    for project in ("f-x", "a"):
        for file in (paths.status(project), paths.running(project), paths.timings(project)):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
    assert paths.status_files() == [paths.status("a"), paths.status("f-x")]
    assert paths.running_files() == [paths.running("a"), paths.running("f-x")]


@pytest.mark.parametrize("bad", ["../../etc", "/etc/passwd", "master/sample/../20261101T020000Z"])
def test_what_is_no_build_has_no_place(bad):
    with pytest.raises(StxMirrorError):
        Paths().build(bad)
