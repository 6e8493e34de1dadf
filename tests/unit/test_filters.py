"""Each filter as a play meets it: through Ansible's engine, with its documentation."""

from __future__ import annotations

import importlib.util
import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
FILTERS = sorted(path.stem for path in (PROJECT / "filter_plugins").glob("*.py"))


def test_streams(template, make_stream):
    streams = [
        make_stream(),
        make_stream(name="features", match="{{ prefix }}/*", image_tag=None),
        make_stream(
            name="pinned", match="r/2018.10", manifest={"url": "file:///m", "file": "d.xml"}
        ),
    ]
    from ansible.template import trust_as_template

    streams[1]["match"] = trust_as_template(streams[1]["match"])
    found = template("streams | stream_for('f/x')", streams=streams, prefix="f")
    assert found["name"] == "features"
    assert found["match"] == "f/*"
    assert found["directory"] == "feature/x/sample"
    assert found["identifier"] == "feature/x"
    assert found["project"] == "f-x"
    assert found["manifest"]["branch"] == "f/x"
    assert found["time_limit"] == 21600
    assert found["ref"] == "f/x"
    assert found["image_prefix"] == "f-x"
    checked = template("streams | checked_streams", streams=streams, prefix="f")
    assert template("streams | checked_streams", streams=checked) == checked
    rules = template("streams | mirror_rules | to_json", streams=streams, prefix="f")
    assert [rule["directory"] for rule in json.loads(rules)] == [
        "master/sample",
        "feature/*/sample",
        "release/2018.10/sample",
    ]


def test_a_stream_can_pin_the_manifests_branch(template, make_stream):
    manifest = {"url": "file:///m.git", "file": "d.xml", "branch": "stable"}
    found = template("s | stream_for('master')", s=[make_stream(manifest=manifest)])
    assert found["manifest"]["branch"] == "stable"


def test_retention(template):
    listing = {
        "builds": [
            {
                "id": f"master/sample/202611{day:02}T020000Z",
                "result": "success",
                "keep_until": None if day == 1 else "2026-11-03T00:00:00Z",
                "hold": None,
                "publishing": False,
                "bytes": 1,
            }
            for day in (1, 2, 3, 20)
        ],
        "aliases": {"master/sample": {"latest_build": "20261103T020000Z"}},
        "rules": [
            {"stream": "master", "directory": "master/sample", "keep": {"days": 5}},
        ],
        "release_period_days": 182,
        "max_delete_share": 0.5,
    }
    plan = template("listing | retention_plan('2026-11-22T00:00:00Z')", listing=listing)
    assert [step["action"] for step in plan["steps"]] == ["keep", "keep", "delete", "keep"]
    assert plan["delete"] == ["master/sample/20261102T020000Z"]
    assert plan["refusal"] is None
    listing["max_delete_share"] = 0.2
    plan = template("listing | retention_plan('2026-11-22T00:00:00Z')", listing=listing)
    assert "would delete 1 of 4 builds" in plan["refusal"]
    assert json.loads(template("p | to_json", p=plan)) == plan


def test_redaction(template):
    assert template(
        "hosts | redaction_terms(['192.0.2.7/24'], homes)", hosts=["b7.x.org"], homes=["/home/ann"]
    ) == [
        *("/home/ann", "192.0.2.7", "b7.x.org"),
    ]


def test_private_terms(template):
    admins = [{"name": "ann", "full_name": "Ann Lee", "keys": ["ssh-ed25519 AAAA ann@laptop"]}]
    assert template(
        "admins | private_terms(['192.0.2.0/25', '10.0.0.0/8'], ['', 'ops@x.org'], ['b7.x.org'])",
        admins=admins,
    ) == ["192.0.2.0/25", "ann@b7.x.org", "ann@laptop", "ops@x.org", "Ann Lee", "ann@b7"]


@pytest.mark.parametrize(
    ("expression", "variables", "said"),
    [
        ("s | checked_streams", {"s": [{}]}, "`name` is missing"),
        ("s | stream_for('f/x')", {"s": []}, "no stream builds 'f/x'"),
        ("s | stream_for('f/../../x')", {"s": []}, "not a branch or tag"),
        ("s | stream_for('')", {"s": []}, "name one, such as master"),
        ("s | mirror_rules", {"s": "x"}, "not a list"),
        ("{} | retention_plan('2026-11-22T00:00:00Z')", {}, "mirrorctl's answer"),
    ],
)
def test_a_refusal_is_the_sentence_alone(template, expression, variables, said):
    from ansible.errors import AnsibleError

    with pytest.raises(AnsibleError) as refusal:
        template(expression, **variables)
    message = str(refusal.value)
    assert said in message
    assert "Traceback" not in message
    assert "\n" not in message


def test_every_filter_has_its_own_documentation():
    shown = subprocess.run(
        [Path(sys.executable).with_name("ansible-doc"), "-t", "filter", "--json", *FILTERS],
        cwd=PROJECT,
        env={**os.environ, "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg")},
        check=True,
        capture_output=True,
        text=True,
    )
    documented = json.loads(shown.stdout)
    assert sorted(documented) == FILTERS
    for name, parts in documented.items():
        assert parts["doc"]["name"] == name
        assert parts["doc"]["short_description"]
        assert name in parts["examples"]
        assert parts["return"]["_value"]["description"]


@pytest.mark.parametrize("name", FILTERS)
def test_without_the_package_a_filter_says_how_to_install_it(name, monkeypatch):
    from ansible.errors import AnsibleFilterError

    # None in sys.modules is Python's own way of saying that there is no such package.
    monkeypatch.setitem(sys.modules, "stxmirror", None)
    monkeypatch.setitem(sys.modules, "stxmirror.errors", None)
    spec = importlib.util.spec_from_file_location(
        f"without_{name}", PROJECT / "filter_plugins" / f"{name}.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    ((offered, function),) = module.FilterModule().filters().items()
    assert offered == name
    needed = [p for p in inspect.signature(function).parameters.values() if p.default is p.empty]
    named = {p.name: "x" for p in needed if p.kind is p.KEYWORD_ONLY}
    with pytest.raises(AnsibleFilterError, match=r"script/bootstrap, or `pip install \.`"):
        function(*["x"] * (len(needed) - len(named)), **named)
