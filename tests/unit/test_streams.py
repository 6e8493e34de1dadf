"""Streams, read and checked as a whole."""

from __future__ import annotations

import copy
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stxmirror import retention, schema, streams
from stxmirror.errors import StxMirrorError
from stxmirror.layout import BuildId


@pytest.fixture
def project(make_stream):
    """The streams that StarlingX would have."""
    return [
        make_stream(schedule="0 2 * * *"),
        make_stream(name="features", match="f/*"),
        make_stream(name="centos76", match="f/centos76", retention={"days": 60}),
        make_stream(
            name="release",
            match="r/2018.10",
            retention={"forever": True},
            audience="try",
        ),
        make_stream(name="releases", match="r/stx.*", retention={"forever": True}),
        make_stream(name="milestones", match="m/*", retention={"release_periods": 1}),
        make_stream(
            name="old-tag",
            match="vr/stx.5.0",
            identifier="release/stx.5.0-virtual",
            legacy_alias="stx5",
            layer="flock",
            image_tag="stx-5.0",
            time_limit=60,
            retired=True,
        ),
    ]


def refusal_of(entries) -> str:
    with pytest.raises(StxMirrorError) as refusal:
        streams.check_streams(entries)
    return str(refusal.value)


def test_a_whole_inventory_is_read(project):
    checked = streams.check_streams(project)
    assert [stream.directory for stream in checked] == [
        "master/sample",
        "feature/*/sample",
        "feature/centos76/sample",
        "release/2018.10/sample",
        "release/stx.*/sample",
        "milestone/*/sample",
        "release/stx.5.0-virtual/sample/flock",
    ]
    assert checked[0].time_limit == 21600
    # What was checked and filled in checks again to the same.
    assert streams.check_streams([stream.as_dict() for stream in checked]) == checked


@pytest.mark.parametrize(
    ("ref", "name", "directory"),
    [
        ("master", "master", "master/sample"),
        ("f/new", "features", "feature/new/sample"),
        ("f/centos76", "centos76", "feature/centos76/sample"),
        ("f/centos766", "features", "feature/centos766/sample"),
        ("r/2018.10", "release", "release/2018.10/sample"),
        ("r/stx.10.0", "releases", "release/stx.10.0/sample"),
        ("m/2019.05b1", "milestones", "milestone/2019.05b1/sample"),
        ("vr/stx.5.0", "old-tag", "release/stx.5.0-virtual/sample/flock"),
    ],
)
def test_the_stream_of_a_ref(project, ref, name, directory):
    checked = streams.check_streams(project)
    stream = streams.stream_for(checked, ref)
    assert stream.name == name
    assert streams.directory_for(stream, ref) == directory
    rule = retention.rule_for(map(retention.Rule.parse, streams.mirror_rules(checked)), directory)
    assert rule.stream == name


@pytest.mark.parametrize("ref", ["r/2019.05", "main", "f/a/b", "nightly", "vr/stx.6.0"])
def test_an_unknown_ref_is_refused_with_what_to_do(project, ref):
    with pytest.raises(StxMirrorError, match="stream"):
        streams.stream_for(streams.check_streams(project), ref)


def test_an_unknown_ref_is_told_the_known_streams(project):
    with pytest.raises(StxMirrorError, match=r"features \(f/\*\).*releases \(r/stx\.\*\)"):
        streams.stream_for(streams.check_streams(project), "r/2019.05")


def test_what_is_wrong_with_an_unknown_ref_is_told(project):
    with pytest.raises(StxMirrorError, match=r"no stream builds 'main': .* f/<feature>"):
        streams.stream_for(streams.check_streams(project), "main")
    with pytest.raises(StxMirrorError, match=r"known streams \(none\)"):
        streams.stream_for([], "f/x")


def test_of_several_patterns_the_longest_builds_a_ref(make_stream):
    entries = [make_stream(name=match[2:-1] or "all", match=match) for match in ("f/*", "f/ce*")]
    for order in (entries, entries[::-1]):
        checked = streams.check_streams(order)
        assert streams.stream_for(checked, "f/centos").name == "ce"
        assert streams.stream_for(checked, "f/cloud").name == "all"


def test_what_follows_from_a_ref(project):
    found = streams.facts_for(project, "f/new")
    stream = streams.check_streams(project)[1]
    manifest = {**stream.manifest, "branch": "f/new"}
    assert found == {
        **stream.as_dict(),
        **{"ref": "f/new", "identifier": "feature/new", "directory": "feature/new/sample"},
        **{"project": "f-new", "image_prefix": "f-new", "manifest": manifest},
    }
    named = project[0] | {"manifest": {**project[0]["manifest"], "branch": "next"}}
    assert streams.facts_for([named], "master")["manifest"]["branch"] == "next"


@pytest.mark.parametrize("ref", ["f/../../x", "r/$(id)", "", "f/", "master\n", None])
def test_a_bad_ref_is_refused(project, ref):
    with pytest.raises(StxMirrorError):
        streams.stream_for(streams.check_streams(project), ref)


def test_rules_for_the_mirror(project):
    rules = {rule["stream"]: rule for rule in streams.mirror_rules(streams.check_streams(project))}
    assert rules["master"] == {
        "stream": "master",
        "directory": "master/sample",
        "keep": {"days": 14},
        "audience": "develop",
        "description": "What will be the next release",
        "legacy_alias": None,
        "retired": False,
    }
    assert rules["release"]["legacy_alias"] == "r2018.10"
    assert rules["old-tag"]["legacy_alias"] == "stx5"
    assert rules["old-tag"]["retired"] is True


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "Master"}, "`name`"),
        ({"name": None}, "`name` is missing"),
        ({"match": ""}, "`match` is missing"),
        ({"match": "main"}, "`identifier:`"),
        ({"match": "f/../x"}, "not a branch or tag"),
        ({"match": "f/../x", "identifier": "release/x"}, "not a branch or tag"),
        ({"match": "*"}, "f/\\*"),
        ({"match": "f/*/x*"}, "at the end only"),
        ({"match": "x/*"}, "f/\\*"),
        ({"match": 2018.10}, "quote"),
        ({"match": "f/*", "identifier": "feature/x"}, "`identifier` cannot be given"),
        ({"match": "f/*", "schedule": "0 2 * * *"}, "`schedule` cannot be given"),
        ({"match": "f/*", "image_tag": "x"}, "`image_tag` cannot be given"),
        ({"match": "f/*", "legacy_alias": "x"}, "`legacy_alias` cannot be given"),
        ({"identifier": "builds/x"}, "mirror uses itself"),
        ({"distro": "CentOS"}, "not a distro"),
        ({"distro": "latest_build"}, "not a distro"),
        ({"layer": "20261120T020000Z"}, "not a layer"),
        ({"profile": "../x"}, "`profile`"),
        ({"manifest": {"url": "https://example.org/x"}}, "`manifest.file` is missing"),
        ({"manifest": {}}, "`manifest.url` is missing; .*`manifest.file` is missing"),
        ({"manifest": "https://example.org/x"}, "`manifest` is not a mapping"),
        ({"manifest": {"url": 7, "file": "d.xml"}}, "`manifest.url` is not a plain git URL"),
        ({"manifest": {"url": "https://example.org/x", "file": "a.xml;x"}}, "`manifest.file`"),
        ({"manifest": {"url": "https://example.org/x", "file": "a.xml\n"}}, "`manifest.file`"),
        ({"manifest": {"url": "https://example.org/x\n", "file": "d.xml"}}, "plain git URL"),
        ({"manifest": {"url": "https://example.org/x;id", "file": "d.xml"}}, "plain git URL"),
        ({"manifest": {"url": "xhttps://example.org/x", "file": "d.xml"}}, "plain git URL"),
        ({"manifest": {"url": "https://example.org/../x", "file": "d.xml"}}, "has '..' in it"),
        ({"manifest": {"url": "https://example.org:22x/x", "file": "d.xml"}}, "plain git URL"),
        ({"manifest": {"url": "file://host/x", "file": "d.xml"}}, "plain git URL"),
        # repo parts the port from the host at each ':', and breaks.
        ({"manifest": {"url": "https://[::1]/x.git", "file": "d.xml"}}, "by its name"),
        ({"manifest": {"url": "ssh://git@[fd00::1]:22/x", "file": "d.xml"}}, "by its name"),
        ({"manifest": {"url": "git://[fe80::1%25eth0]/x", "file": "d.xml"}}, "by its name"),
        ({"manifest": {"url": "ext::sh -c id", "file": "d.xml"}}, "plain git URL"),
        ({"manifest": {"url": "--upload-pack=id", "file": "d.xml"}}, "plain git URL"),
        ({"manifest": {"url": "https://u:pw@example.org/x", "file": "d.xml"}}, "without a pass"),
        ({"manifest": {"url": "https://example.org/x", "file": "../d.xml"}}, "`manifest.file`"),
        ({"manifest": {"url": "file:///srv/x.git", "file": "d.xml", "brunch": "x"}}, "brunch"),
        (
            {"manifest": {"url": "file:///srv/x.git", "file": "d.xml", "branch": "$(id)"}},
            "not a branch",
        ),
        ({"schedule": "@daily"}, "five cron fields"),
        ({"schedule": "0 24 * * *"}, "hour"),
        ({"schedule": "1x 2 * * *"}, "minute"),
        ({"schedule": "5/10 * * * *"}, "`schedule` is refused: '5/10' is not a minute"),
        ({"schedule": "0 2 30 2 *"}, "never due"),
        ({"schedule": 5}, "`schedule` is 5, not null or text"),
        ({"schedule": "0 2 * * 8"}, "day of the week"),
        ({"schedule": "0 2 * * *\nroot: id"}, "cron|week"),
        ({"schedule": "*/0 2 * * *"}, "minute"),
        ({"schedule": "9-5 2 * * *"}, "minute"),
        ({"retention": {}}, "`retention`"),
        ({"retention": {"days": 0}}, "`retention.days` is 0, not a whole number"),
        ({"retention": {"days": True}}, "`retention.days` is True, not a whole number"),
        ({"retention": {"days": "14"}}, "`retention.days` is '14', not a whole number"),
        ({"retention": {"forever": False}}, "`retention.forever` is False: write true"),
        ({"retention": {"days": 1, "forever": True}}, "`retention` is .*: write one of"),
        ({"retention": "14 days"}, "`retention` is '14 days': write one of"),
        ({"retention": {"weeks": 2}}, "`retention.weeks` is not known here"),
        ({"audience": "everybody"}, "`audience`"),
        ({"description": "two\nlines"}, "`description`"),
        ({"image_tag": "a/b"}, "`image_tag`"),
        ({"image_tag": "a\n"}, "`image_tag`"),
        ({"image_tag": "a" * 101}, "`image_tag`"),
        ({"name": "x\n"}, "`name`"),
        ({"profile": "x\n"}, "`profile`"),
        ({"description": "x" * 201}, "`description`"),
        ({"description": " "}, "`description`"),
        ({"description": "a\x1b[0m"}, "`description`"),
        ({"match": "f/x", "layer": "a_b"}, "`layer` is refused"),
        ({"legacy_alias": "builds"}, "`legacy_alias`|mirror uses itself"),
        ({"time_limit": 0}, "`time_limit`"),
        ({"time_limit": 604801}, "to 604800 .a week."),
        ({"retired": "yes"}, "`retired`"),
        ({"scheduel": "0 2 * * *"}, "`scheduel` is not known here .known: name, match"),
    ],
)
def test_a_mistake_in_an_entry_is_named(make_stream, changes, said):
    with pytest.raises(StxMirrorError, match=said):
        streams.check_streams([make_stream(**changes)])


def test_a_password_in_a_url_is_not_repeated(make_stream):
    entry = make_stream(manifest={"url": "https://u:hunter2@example.org/x", "file": "d.xml"})
    assert "hunter2" not in refusal_of([entry])


def test_every_problem_is_in_one_error(make_stream):
    message = refusal_of(
        [make_stream(distro="X", audience="x"), make_stream(name="two", schedule="x"), "three"]
    )
    assert "4 problems" in message
    for part in ("'X'", "`audience`", "stream two", "stream 3 is not a mapping"):
        assert part in message


@pytest.mark.parametrize("entries", ["master", {"name": "master"}, None, 7])
def test_what_is_no_list_is_refused(entries):
    assert "not a list" in refusal_of(entries)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"match": "main", "identifier": "master"}, {}),
        ({"match": "f/*"}, {"match": "x", "identifier": "feature/anything"}),
        ({"match": "f/centos*"}, {"match": "x", "identifier": "feature/centos76"}),
        ({"match": "r/stx.5.0"}, {"match": "vr/stx.5.0", "identifier": "release/stx.5.0"}),
        ({"match": "m/*", "layer": "a"}, {"match": "x", "identifier": "milestone/y", "layer": "a"}),
    ],
)
def test_two_streams_never_share_a_directory(make_stream, one, other):
    entries = [make_stream(name="one", **one), make_stream(name="other", **other)]
    for order in (entries, entries[::-1]):
        assert "can share the directory" in refusal_of(order)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"match": "f/*"}, {"match": "f/x"}),
        ({"match": "f/*"}, {"match": "f/centos*"}),
        ({"match": "f/centos*"}, {"match": "x", "identifier": "feature/debian"}),
        ({"match": "f/*"}, {"match": "m/*"}),
        ({"match": "f/*"}, {"match": "x", "identifier": "feature/y", "distro": "debian"}),
        ({"match": "f/*"}, {"match": "x", "identifier": "feature/y", "layer": "sample"}),
        ({"match": "f/centos*"}, {"match": "x", "identifier": "feature/centos"}),
        ({"match": "main", "identifier": "master", "layer": "flock"}, {}),
        ({"match": "main", "identifier": "master", "distro": "debian"}, {}),
    ],
)
def test_streams_that_cannot_meet_are_taken(make_stream, one, other):
    entries = [make_stream(name="one", **one), make_stream(name="other", **other)]
    assert len(streams.check_streams(entries)) == 2


@pytest.mark.parametrize(
    "url",
    [
        *("https://git.example.org/x.git", "http://h:8080/a/b", "git://127.0.0.1/sample/m"),
        *("ssh://git@git.example.org:29418/x", "ssh://h/~u/x", "file:///srv/git/m.git"),
    ],
)
def test_urls_that_repo_can_fetch_from_are_taken(make_stream, url):
    (stream,) = streams.check_streams([make_stream(manifest={"url": url, "file": "a/b-1.xml"})])
    assert stream.manifest == {"url": url, "file": "a/b-1.xml"}


def test_a_ref_without_a_place_is_a_problem_of_its_stream_and_hides_no_other(make_stream):
    """It is told what to write, and the rest of the list is checked all the same."""
    message = refusal_of([make_stream(match="main"), make_stream(name="two", audience="x")])
    assert "2 problems: stream master: 'main' is not master, f/<feature>" in message
    assert "give its stream an `identifier:`" in message
    assert "stream two: `audience`" in message


def test_what_is_left_empty_counts_as_not_given(make_stream):
    """So that a template may make it empty."""
    entry = {**make_stream(), "schedule": "", "layer": None, "time_limit": None, "retired": None}
    entry["manifest"] = {**entry["manifest"], "branch": None}
    (stream,) = streams.check_streams([entry])
    assert stream == streams.check_streams([make_stream()])[0]
    assert "`description` is missing" in refusal_of([{**entry, "description": ""}])


@given(
    st.one_of(
        st.dictionaries(
            st.sampled_from(["days", "release_periods", "forever", "weeks"]),
            st.one_of(st.integers(-1, 3), st.booleans(), st.none(), st.text(max_size=2)),
            max_size=2,
        ),
        st.text(max_size=2),
    )
)
def test_the_mirror_takes_every_rule_that_a_stream_may_have_and_no_other(keep):
    """Builder and mirror read the rule apart: the schema and retention.Keep."""
    schema_takes = not [
        problem
        for problem in schema.findings({"retention": keep}, "stream-1")
        if problem.place.startswith("retention")
    ]
    try:
        retention.Keep.parse(keep)
    except StxMirrorError:
        assert not schema_takes
    else:
        assert schema_takes


def test_two_streams_never_share_a_work_directory(make_stream):
    exact = make_stream(name="one", match="f-x", identifier="release/other")
    assert "work directory" in refusal_of([exact, make_stream(name="two", match="f/*")])
    assert "work directory" in refusal_of([exact, make_stream(name="two", match="f/x")])


def test_one_ref_has_one_stream_and_names_differ(make_stream):
    message = refusal_of([make_stream(), make_stream(distro="debian")])
    assert "both match 'master'" in message
    assert "two streams are called master" in message


@pytest.mark.parametrize("alias", ["stx5", "feature"])
def test_links_at_the_top_are_unique(make_stream, alias):
    message = refusal_of(
        [
            make_stream(legacy_alias="stx5"),
            make_stream(name="two", match="f/x", legacy_alias=alias),
        ]
    )
    assert f"`legacy_alias` '{alias}' is already" in message


names = st.from_regex(r"[a-z0-9]{1,3}", fullmatch=True)
matches = st.one_of(
    st.just("master"),
    st.builds("{}/{}".format, st.sampled_from("frm"), names),
    st.builds("{}/{}*".format, st.sampled_from("frm"), st.one_of(st.just(""), names)),
)
# Small worlds, so that collisions are common.
entries_of_a_world = st.lists(
    st.tuples(
        matches,
        st.sampled_from(["sample", "debian"]),
        st.sampled_from([None, "flock"]),
        st.sampled_from([None, "feature/a", "release/1", "master"]),
    ),
    min_size=1,
    max_size=5,
)


@given(entries_of_a_world, st.lists(matches.map(lambda m: m.replace("*", "a")), max_size=12))
def test_refs_of_accepted_streams_have_a_directory_of_their_own(world, refs):
    entries = [
        {
            "name": f"s{number}",
            "match": match,
            "profile": "sample",
            "distro": distro,
            "manifest": {"url": "https://example.org/x", "file": "d.xml"},
            "retention": {"days": 1},
            "audience": "try",
            "description": "x",
            **({"layer": layer} if layer else {}),
            **({"identifier": identifier} if identifier and "*" not in match else {}),
        }
        for number, (match, distro, layer, identifier) in enumerate(world)
    ]
    before = copy.deepcopy(entries)
    try:
        checked = streams.check_streams(entries)
    except StxMirrorError:
        checked = []
    assert entries == before
    rules = [retention.Rule.parse(rule) for rule in streams.mirror_rules(checked)]
    shuffled = random.Random(7).sample(rules, len(rules))  # noqa: S311 - only an order
    places: dict[str, str] = {}
    for ref in {*refs, *(match for match, *_ in world if "*" not in match)}:
        try:
            stream = streams.stream_for(checked, ref)
        except StxMirrorError:
            continue
        directory = streams.directory_for(stream, ref)
        assert places.setdefault(directory, ref) == ref
        assert str(BuildId.parse(f"{directory}/20261120T020000Z")).startswith(directory)
        # The mirror finds the same stream from the directory alone, whatever the rules' order.
        assert retention.rule_for(rules, directory).stream == stream.name
        assert retention.rule_for(shuffled, directory).stream == stream.name
