"""Profiles, checked as a whole."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stxmirror.errors import StxMirrorError
from stxmirror.profiles import check_profile

ROOTS = ["/localdisk", "/import/mirrors/"]


def stage(**changes):
    entry = {
        "name": "packages",
        "command": ["build-pkgs", "--std"],
        "time_limit": 3600,
        "yields": [{"from": "std/rpmbuild/RPMS/*.rpm", "type": "outputs/RPMS", "phase": "std"}],
        **changes,
    }
    return {key: value for key, value in entry.items() if value is not None}


def profile(*stages, **changes):
    return {
        "name": "sample",
        "description": "The sample",
        "stages": list(stages) or [stage()],
        **changes,
    }


ISO = {
    "from": "export/bootimage.iso",
    "memory_mb": 1024,
    "disk_gb": 2,
    "markers": {"boot": "a", "install": "b", "installed": "c"},
    "failure_markers": ["SAMPLE: FAILED"],
    "time_limit": 300,
}


def test_a_product_without_words_for_a_failure_has_none():
    without = {key: value for key, value in ISO.items() if key != "failure_markers"}
    iso = check_profile(profile(iso=without)).iso
    assert iso is not None
    assert iso.failure_markers == ()


def test_reports_are_files_of_the_workspace():
    """What is read as the builder's word must not be looked for outside of its workspace."""
    checked = check_profile(profile(package_reports=["std/results/summary.json"]))
    assert checked.package_reports == ("std/results/summary.json",)
    assert checked.image_lists == ()


@pytest.mark.parametrize("key", ["package_reports", "image_lists", "reuse", "downloads"])
@pytest.mark.parametrize("bad", ["/localdisk/x", "../../x.json", "a/../b", "~/x", "", "a\nb", 7])
def test_what_is_read_from_a_build_lies_below_its_own_directories(key, bad):
    """Not even below a directory that a yield may name: what is kept is the build's own."""
    with pytest.raises(StxMirrorError, match=rf"`{key}\[0\]`"):
        check_profile(profile(**{key: [bad]}), ROOTS)


def test_a_profile_says_what_is_kept_and_how_large_a_build_may_grow():
    checked = check_profile(profile(reuse=["std/**"], downloads=["CentOS/**/*.rpm"], max_gb=60))
    assert checked.reuse == ("std/**",)
    assert checked.downloads == ("CentOS/**/*.rpm",)
    assert checked.max_gb == 60
    nothing = check_profile(profile())
    assert (nothing.reuse, nothing.downloads, nothing.max_gb) == ((), (), None)


def test_a_stage_has_no_network_unless_it_asks_for_it():
    checked = check_profile(profile(stage(network=True), stage(name="iso")))
    assert [entry.network for entry in checked.stages] == [True, False]


def test_defaults_are_filled_in():
    checked = check_profile(profile(environment={"JOBS": 2}))
    assert checked.environment == {"JOBS": "2"}
    assert checked.iso is None
    assert checked.as_dict()["stages"] == [
        {
            "name": "packages",
            "command": ["build-pkgs", "--std"],
            "chdir": "",
            "environment": {},
            "time_limit": 3600,
            "retries": 0,
            "yields": [{"from": "std/rpmbuild/RPMS/*.rpm", "type": "outputs/RPMS", "phase": "std"}],
            "log_files": [],
            "carries_id": False,
            "network": False,
            "on_failure": "end",
            "missing": None,
        }
    ]
    assert check_profile(checked.as_dict()) == checked


def test_a_profile_with_defaults_is_plain_json_with_the_keys_of_its_file():
    whole = check_profile(profile(iso=ISO)).as_dict()
    assert json.loads(json.dumps(whole)) == whole
    assert whole["iso"] == ISO
    assert whole["stages"][0]["yields"] == stage()["yields"]


def test_a_full_profile_is_taken_and_left_alone():
    full = profile(
        stage(
            chdir="/localdisk/x",
            environment={"A": "b"},
            retries=2,
            on_failure="degrade",
            missing="container images",
            log_files=["std/results/**/*.log", "/localdisk/log/*.log"],
        ),
        stage(name="iso", yields=[{"from": "/import/mirrors/x/*", "type": "inputs/downloads"}]),
        iso=ISO,
    )
    before = copy.deepcopy(full)
    checked = check_profile(full, ROOTS)
    assert full == before
    assert checked.as_dict()["iso"] == ISO
    assert checked.stages[0].missing == "container images"
    assert check_profile(checked.as_dict(), ROOTS) == checked


@pytest.mark.parametrize(
    ("stage_changes", "said"),
    [
        ({"name": "Build all"}, "`name`"),
        ({"name": None}, "stage 1: `name`"),
        ({"command": "build-pkgs --std"}, "no shell reads it"),
        ({"command": []}, "`command` is not a list"),
        ({"command": [""]}, "`command` has an empty first word"),
        ({"command": ["", "x"]}, "`command` has an empty first word"),
        ({"command": ["x", True]}, "quote"),
        ({"command": ["x", ["y"]]}, "`command[1]`"),
        ({"time_limit": 0}, "`time_limit`"),
        ({"time_limit": "3600"}, "`time_limit`"),
        ({"time_limit": None}, "`time_limit`"),
        ({"retries": -1}, "`retries`"),
        ({"retries": True}, "`retries`"),
        ({"retries": 21}, "`retries` is 21, not a whole number from 0 to 20"),
        ({"network": "yes"}, "`network` is 'yes': write true or false"),
        ({"time_limit": float("nan")}, "`time_limit`"),
        ({"name": "x\n"}, "`name`"),
        ({"environment": {"A\n": "x"}}, "environment variable"),
        ({"environment": {1: "x"}}, "environment variable"),
        ({"command": ["x", "a\0b"]}, "`command[1]`"),
        ({"chdir": "../x"}, "`chdir`"),
        ({"environment": {"A B": "x"}}, "environment variable"),
        ({"environment": {"A": True}}, "quote"),
        ({"environment": ["A=b"]}, "`environment`"),
        ({"on_failure": "ignore"}, "end or degrade"),
        ({"on_failure": "degrade"}, "`missing` is missing: say in words"),
        ({"missing": "images"}, "`on_failure: degrade`"),
        ({"yields": [{"from": "x", "type": "outputs/debs"}]}, "not an artifact type"),
        ({"yields": [{"from": "x", "type": "outputs/RPMS"}]}, "needs a build phase"),
        ({"yields": [{"from": "x", "type": "outputs/iso", "phase": "std"}]}, "no build phases"),
        ({"yields": [{"from": "x", "type": None}]}, "not an artifact type"),
        ({"yields": [{"form": "x", "type": "outputs/iso"}]}, "`yields[0].form` is not known"),
        ({"yields": [{"from": "x", "type": "outputs/RPMS", "phase": 5}]}, "`yields[0].phase`"),
        ({"yields": ["x"]}, "not a mapping"),
        ({"yields": "x"}, "`yields` is not a list"),
        ({"yields": [{"from": "../*.iso", "type": "outputs/iso"}]}, "leaves the workspace"),
        ({"yields": [{"from": "/etc/*", "type": "outputs/iso"}]}, "absolute"),
        ({"yields": [{"from": "/localdisk/../etc/x", "type": "outputs/iso"}]}, "leaves"),
        ({"yields": [{"from": "/localdiskette/x", "type": "outputs/iso"}]}, "absolute"),
        ({"yields": [{"from": "~/x", "type": "outputs/iso"}]}, "'~'"),
        ({"yields": [{"from": "", "type": "outputs/iso"}]}, "not a glob"),
        ({"log_files": ["/etc/shadow"]}, "allowed (/localdisk, /import/mirrors/): name it"),
        ({"log_files": "x"}, "`log_files` is not a list"),
        ({"timelimit": 3}, "`timelimit` is not known"),
        ({"time\nlimit": 3}, "stage packages: `'time\\nlimit'` is not known"),
    ],
)
def test_a_mistake_in_a_stage_is_named(stage_changes, said):
    with pytest.raises(StxMirrorError) as refusal:
        check_profile(profile(stage(**stage_changes)), ROOTS)
    assert said in str(refusal.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "My product"}, "`name`"),
        ({"description": ""}, "`description`"),
        ({"description": None}, "`description`"),
        ({"max_gb": 0}, "`max_gb` is 0, not a whole number above 0"),
        ({"max_gb": "60"}, "`max_gb`"),
        ({"reuse": "std/**"}, "`reuse` is not a list"),
        ({"name": "x\n"}, "`name`"),
        ({"stages": []}, "at least one stage"),
        ({"stages": "x"}, "at least one stage"),
        ({"stages": ["x"]}, "stage 1 is not a mapping"),
        ({"stages": [stage(), stage()]}, "stage packages: `name` is that of another stage"),
        ({"stage": []}, "`stage` is not known"),
        ({"iso": []}, "`iso` is not a mapping"),
        ({"iso": {**ISO, "from": "/boot/x.iso"}}, "absolute"),
        ({"iso": {**ISO, "memory_mb": 0}}, "`iso.memory_mb` is 0, not a whole number above 0"),
        ({"iso": {**ISO, "markers": {"boot": "a"}}}, "`iso.markers.install` is missing"),
        (
            {"iso": {**ISO, "markers": {**ISO["markers"], "boot": ""}}},
            "`iso.markers.boot` is '': a marker",
        ),
        ({"iso": {**ISO, "failure_markers": "FAILED"}}, "`iso.failure_markers` is not a list"),
        ({"iso": {**ISO, "failure_markers": [""]}}, "`iso.failure_markers[0]` is '': a marker"),
        ({"iso": {**ISO, "cpus": 2}}, "`iso.cpus` is not known"),
    ],
)
def test_a_mistake_in_a_profile_is_named(changes, said):
    with pytest.raises(StxMirrorError) as refusal:
        check_profile({**profile(), **changes}, ROOTS)
    assert said in str(refusal.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"on_failure": "ignore"},
        {"yields": [{"from": "", "type": "outputs/iso"}]},
        {"log_files": [""]},
        {"yields": [{"from": "x", "type": "outputs/RPMS", "phase": 5}]},
    ],
)
def test_one_mistake_is_one_problem(changes):
    with pytest.raises(StxMirrorError, match="1 problem:"):
        check_profile(profile(stage(**changes)), ROOTS)


@pytest.mark.parametrize("roots", [(), ["/"], [""]])
def test_where_nothing_is_allowed_no_absolute_glob_is(roots):
    with pytest.raises(StxMirrorError) as refusal:
        check_profile(profile(stage(log_files=["/etc/shadow"])), roots)
    assert f"allowed ({', '.join(roots) or 'none is'})" in str(refusal.value)


def test_every_problem_is_in_one_error():
    wrong = profile(stage(time_limit=0), stage(command="x"), name="X")
    with pytest.raises(StxMirrorError) as refusal:
        check_profile(wrong)
    for said in ("4 problems", "`name`", "`time_limit`", "no shell", "another stage"):
        assert said in str(refusal.value)


@pytest.mark.parametrize("value", [None, [], "sample"])
def test_what_is_no_profile_is_refused(value):
    with pytest.raises(StxMirrorError, match="not a mapping"):
        check_profile(value)


values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=8)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


@given(
    st.sampled_from(
        ["name", "command", "chdir", "environment", "time_limit", "retries", "yields", "log_files"]
    ),
    values,
)
def test_any_value_anywhere_is_taken_or_refused_with_a_sentence(key, value):
    try:
        checked = check_profile(profile(stage(**{key: value})), ROOTS)
    except StxMirrorError:
        return
    assert check_profile(checked.as_dict(), ROOTS) == checked
    for entry in checked.stages[0].yields:
        assert ".." not in entry.source.split("/")
