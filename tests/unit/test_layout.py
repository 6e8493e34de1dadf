"""Names of builds: what maps, what is refused by name, and that nothing leaves the tree."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from safe_names import assert_safe

from stxmirror import layout
from stxmirror.errors import StxMirrorError
from stxmirror.layout import BuildId
from stxmirror.times import format_build_date

LETTERS = "abcxyz"
words = st.builds(
    str.__add__, st.sampled_from(LETTERS), st.text(alphabet=LETTERS + "019-", max_size=12)
)
names = st.builds(
    str.__add__,
    st.sampled_from(LETTERS + "ABZ019"),
    st.text(alphabet=LETTERS + "ABZ019._-", max_size=24),
).filter(lambda name: ".." not in name and not name.endswith(".lock"))
kinds = words.filter(lambda kind: kind not in layout.RESERVED_NAMES and kind != "master")
identifiers = st.one_of(st.just("master"), st.builds("{}/{}".format, kinds, names))
build_dates = st.datetimes().map(lambda when: when.strftime(f"{when.year:04}%m%dT%H%M%SZ"))
build_ids = st.builds(BuildId, identifiers, words, st.none() | words, build_dates)
# Text that looks enough like a ref to reach every branch of the grammar, or like an attack.
hostile = st.one_of(
    st.text(max_size=30),
    st.text(alphabet="frmvc/.-_~$(`;|&<>*?\\'\" \n\0abz019%", max_size=24),
    st.builds("{}/{}".format, st.sampled_from(["f", "r", "m", "vr", "rc"]), st.text(max_size=20)),
)


@pytest.mark.parametrize(
    ("ref", "identifier"),
    [
        ("master", "master"),
        ("f/centos76", "feature/centos76"),
        ("r/2018.10", "release/2018.10"),
        ("r/2018.10.1", "release/2018.10.1"),
        ("r/stx.2.0", "release/stx.2.0"),
        ("r/stx.10.0", "release/stx.10.0"),
        ("m/2019.05b1", "milestone/2019.05b1"),
        ("m/2018.10.b3", "milestone/2018.10.b3"),
    ],
)
def test_refs_that_the_specification_places(ref, identifier):
    assert layout.release_identifier(ref) == identifier


@pytest.mark.parametrize(
    ("ref", "suggested"),
    [
        ("m2018.10.b3", "milestone/2018.10.b3"),
        ("2018.10.b3", "milestone/2018.10.b3"),
        ("2019.05b1", "milestone/2019.05b1"),
        ("r2018.10.0", "release/2018.10.0"),
        ("r2018.10", "release/2018.10"),
        ("2018.10.2", "release/2018.10.2"),
        ("2018.12.0", "release/2018.12.0"),
        ("2.0.0", "release/2.0.0"),
        ("2.0.0.rc1", "release/2.0.0.rc1"),
        ("3.0.1", "release/3.0.1"),
        ("vr/stx.5.0", "release/stx.5.0"),
        ("v/stx.5.0", "release/stx.5.0"),
        ("rc/2.0", "release/2.0"),
    ],
)
def test_historic_refs_are_refused_by_name_with_what_to_write(ref, suggested):
    with pytest.raises(StxMirrorError) as refusal:
        layout.release_identifier(ref)
    assert repr(ref) in str(refusal.value)
    assert f"`identifier:`, such as {suggested}" in str(refusal.value)
    assert layout.check_identifier(suggested) == suggested


@pytest.mark.parametrize(
    "ref", ["main", "stx.10.0", "f-centos76", "feature/x", "user/ann/x", "f/a/b", "r/stx.1/x", "f"]
)
def test_other_refs_are_refused_and_told_to_name_an_identifier(ref):
    with pytest.raises(StxMirrorError, match="`identifier:`") as refusal:
        layout.release_identifier(ref)
    assert repr(ref) in str(refusal.value)


@pytest.mark.parametrize(
    "ref",
    [
        *(
            "f/../../x",
            "r/$(id)",
            "",
            "../master",
            "f/..",
            "f/.x",
            "f/x..y",
            "f/-x",
            "-f/x",
            "f//x",
        ),
        *(
            "f/x/",
            "/f/x",
            "f/x y",
            "f/x\n",
            "master\n",
            "f/x;id",
            "f/`id`",
            "f/x|y",
            "f/x\0",
            "f/é",
        ),
        *("f/x.lock", "f/@{u}", "f/~", "~/x", "f/x*", "f/\u2024\u2024", "f/" + "x" * 300, None, 7),
    ],
)
def test_tricks_in_a_ref_are_refused(ref):
    with pytest.raises(StxMirrorError):
        layout.release_identifier(ref)


@given(hostile)
def test_whatever_is_given_an_identifier_is_safe_or_refused(ref):
    try:
        identifier = layout.release_identifier(ref)
    except StxMirrorError as refusal:
        message = str(refusal)
    else:
        message = ""
        assert_safe(identifier)
        assert layout.check_identifier(identifier) == identifier
    assert "\n" not in message


@given(st.lists(names, min_size=2, max_size=2, unique=True), st.sampled_from("frm"))
def test_two_refs_never_meet_in_one_identifier(pair, prefix):
    one, other = (layout.release_identifier(f"{prefix}/{name}") for name in pair)
    assert one != other


@given(build_ids)
def test_an_id_reads_back_as_what_it_was(build):
    assert BuildId.parse(str(build)) == build
    assert str(build) == f"{build.directory}/{build.build_date}"
    assert format_build_date(build.when) == build.build_date
    assert_safe(str(build))


@given(st.one_of(hostile, build_ids.map(str).map(lambda text: text + "/x"), build_ids.map(str)))
def test_only_what_an_id_prints_is_read_as_an_id(text):
    try:
        build = BuildId.parse(text)
    except StxMirrorError:
        return
    assert str(build) == text
    assert_safe(text)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "master",
        "master/sample",
        "master/sample/latest_build",
        "master/sample/20261301T000000Z",
        "master/sample/20260230T000000Z",
        "master/sample/20261120T020060Z",
        "master/sample/20261120T020000",
        "master/sample/20261120T020000Z/",
        "master/sample/20261120T020000Z\n",
        "master/sample/a/b/20261120T020000Z",
        "master/x/sample/flock/20261120T020000Z",
        "feature/sample/20261120T020000Z",
        "builds/x/sample/20261120T020000Z",
        "assets/x/sample/20261120T020000Z",
        "feature/../sample/20261120T020000Z",
        "Feature/x/sample/20261120T020000Z",
        "/master/sample/20261120T020000Z",
        "master//20261120T020000Z",
        "master/sample/\uff12\uff10261120T020000Z",
        "master/Sample/20261120T020000Z",
        None,
    ],
)
def test_what_is_not_an_id_is_refused(path):
    with pytest.raises(StxMirrorError):
        BuildId.parse(path)


def test_an_id_cannot_be_made_wrong():
    with pytest.raises(StxMirrorError):
        BuildId("master", "sample", "../x", "20261120T020000Z")


@pytest.mark.parametrize("kind", ["builds", "assets", "master"])
def test_the_mirrors_own_names_cannot_be_a_kind(kind):
    with pytest.raises(StxMirrorError, match="mirror uses itself"):
        layout.check_identifier(f"{kind}/x")


def test_a_stream_may_bring_a_kind_of_its_own():
    assert layout.check_identifier("rc/2.0") == "rc/2.0"


def test_the_work_directory_of_a_ref():
    assert layout.project_name("r/stx.10.0") == "r-stx.10.0"
    with pytest.raises(StxMirrorError):
        layout.project_name("f/../x")


def refused(call, *arguments) -> str:
    with pytest.raises(StxMirrorError) as refusal:
        call(*arguments)
    return str(refusal.value)


@pytest.mark.parametrize("ref", [None, "", 7])
def test_no_ref_is_said_to_be_none(ref):
    assert refused(layout.check_ref, ref).startswith("no branch or tag was given")


def test_the_longest_names_that_fit():
    longest = "x" * (200 - 2)
    assert layout.check_ref(f"f/{longest}") == f"f/{longest}"
    message = refused(layout.check_ref, f"f/{longest}y")
    # It is shown, and not at whatever length.
    assert f"'f/{longest}' is not" in message
    name = "x" * 100
    assert layout.check_identifier(f"feature/{name}") == f"feature/{name}"
    assert "longer than 100" in refused(layout.check_identifier, f"feature/{name}y")
    assert layout.check_alias(name) == name
    assert "cannot be a link" in refused(layout.check_alias, f"{name}y")
    assert layout.check_word(name, "distro") == name
    assert "is not a distro" in refused(layout.check_word, f"{name}y", "distro")
    part = "x" * 255
    assert layout.safe_relative_path(f"{part}/{part}") == f"{part}/{part}"
    assert "cannot be published" in refused(layout.safe_relative_path, f"a/{part}y")
    whole = "/".join([part, part, part, "x" * 256])[:1024]
    assert layout.safe_relative_path(whole[:1023]) == whole[:1023]
    whole = "/".join(["x" * 204] * 5)
    assert len(whole) == 1024
    assert layout.safe_relative_path(whole) == whole
    assert "cannot be published" in refused(layout.safe_relative_path, whole + "y")


@pytest.mark.parametrize("value", [None, 7, b"master"])
def test_what_is_no_text_is_refused_everywhere(value):
    assert "is text, not" in refused(layout.check_identifier, value)
    assert "cannot be a link" in refused(layout.check_alias, value)
    assert "is not a phase" in refused(layout.check_word, value, "phase")
    assert "is not a build id" in refused(BuildId.parse, value)
    assert "cannot be published" in refused(layout.safe_relative_path, value)


@pytest.mark.parametrize(
    "identifier",
    [
        *("feature", "feature/", "/x", "feature/x/y", "Feature/x", "1/x", "feature/x y", "x\n"),
        *("feature/x\n", "feature\n/x", "", "feature/.x", "feature/-x", "masters"),
    ],
)
def test_an_identifier_is_one_kind_and_one_name(identifier):
    assert "is not a release identifier" in refused(layout.check_identifier, identifier)


def test_an_identifier_has_no_two_dots():
    assert "may not contain '..'" in refused(layout.check_identifier, "feature/x..y")


@pytest.mark.parametrize("ref", ["f/x.lock", "f/x..y", "f/x y"])
def test_what_git_would_refuse_is_no_ref(ref):
    assert "is not a branch or tag that can be built" in refused(layout.check_ref, ref)
    assert layout.check_ref("f/x.locks") == "f/x.locks"


def test_a_further_slash_is_what_is_said_of_it():
    assert "has a further '/'" in refused(layout.release_identifier, "f/a/b")
    assert "is not master, f/<feature>" in refused(layout.release_identifier, "user/ann/x")
    assert "is not master, f/<feature>" in refused(layout.release_identifier, "f")
    assert "is not master, f/<feature>" in refused(layout.release_identifier, "r2018.10-x")


def test_an_alias_is_an_ordinary_name():
    for alias in ("r2018.10", "stx-5", "R_1", "x.y"):
        assert layout.check_alias(alias) == alias
    for alias in ("x..y", "x\n", "-x", "assets", "builds.json", "verify.py"):
        assert "cannot be a link" in refused(layout.check_alias, alias)


@pytest.mark.parametrize("word", ["", "X", "1x", "-x", "x_y", "x\n", "x.y", "é"])
def test_a_word_is_small_letters_digits_and_dashes(word):
    assert "is not a layer" in refused(layout.check_word, word, "layer")


def test_an_id_with_and_without_a_layer():
    build = BuildId.parse("feature/x/sample/flock/20261120T020000Z")
    assert (build.identifier, build.distro, build.layer) == ("feature/x", "sample", "flock")
    assert build.directory == "feature/x/sample/flock"
    build = BuildId.parse("master/sample/20261120T020000Z")
    assert (build.identifier, build.distro, build.layer) == ("master", "sample", None)
    assert layout.stream_directory("master", "sample") == "master/sample"
    assert layout.stream_directory("master", "sample", "flock") == "master/sample/flock"


@pytest.mark.parametrize(
    "parts",
    [
        ("feature", "sample", None, "20261120T020000Z"),
        ("master", "Sample", None, "20261120T020000Z"),
        ("master", "sample", "", "20261120T020000Z"),
        ("master", "sample", None, "20261320T020000Z"),
    ],
)
def test_every_part_of_an_id_is_checked(parts):
    with pytest.raises(StxMirrorError):
        BuildId(*parts)
    if parts[-1] != "20261320T020000Z":
        with pytest.raises(StxMirrorError):
            layout.stream_directory(*parts[:-1])


def test_what_is_wrong_with_an_artifact_path_is_said():
    known = refused(layout.artifact_path, "outputs", "x")
    assert known.endswith(
        "use one of inputs/RPMS, inputs/SRPMS, inputs/downloads, outputs/RPMS, outputs/SRPMS, "
        "outputs/helm-charts, outputs/installer, outputs/iso, outputs/logs, outputs/wheels"
    )
    assert "needs a build phase" in refused(layout.artifact_path, "outputs", "SRPMS")
    assert "is the metadata" in refused(layout.artifact_path, "outputs", "RPMS", "repodata")
    assert "has no build phases" in refused(layout.artifact_path, "outputs", "logs", "std")
    assert "is not a build phase" in refused(layout.artifact_path, "outputs", "RPMS", "Std")
    assert "is not an artifact type" in refused(layout.artifact_path, ["outputs"], "RPMS")


def test_a_name_that_cannot_be_published_is_shown_in_short():
    assert f"the file name '{'/' * 255}' cannot" in refused(layout.safe_relative_path, "/" * 999)


def test_the_legacy_link_of_what_is_no_identifier_is_refused():
    assert "is not a release identifier" in refused(layout.legacy_alias, "x y")
