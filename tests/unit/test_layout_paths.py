"""Where artifacts and links lie, and which names may be published."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st
from safe_names import assert_safe

from stxmirror import layout
from stxmirror.errors import StxMirrorError


def test_the_one_legacy_link():
    assert layout.legacy_alias("release/2018.10") == "r2018.10"
    for other in ("release/2018.10.1", "release/2019.05", "master", "feature/2018.10"):
        assert layout.legacy_alias(other) is None


@pytest.mark.parametrize("alias", ["builds", "index.html", "master", "a/b", "..", ".x", "", "x y"])
def test_links_at_the_top_never_take_a_name_in_use(alias):
    with pytest.raises(StxMirrorError):
        layout.check_alias(alias)


@pytest.mark.parametrize(
    ("side", "kind", "phase", "path"),
    [
        ("inputs", "RPMS", None, "inputs/RPMS"),
        ("inputs", "SRPMS", None, "inputs/SRPMS"),
        ("inputs", "downloads", None, "inputs/downloads"),
        ("outputs", "RPMS", "std", "outputs/RPMS/std"),
        ("outputs", "SRPMS", "rt", "outputs/SRPMS/rt"),
        ("outputs", "iso", None, "outputs/iso"),
        ("outputs", "installer", None, "outputs/installer"),
        ("outputs", "wheels", None, "outputs/wheels"),
        ("outputs", "helm-charts", None, "outputs/helm-charts"),
        ("outputs", "logs", None, "outputs/logs"),
    ],
)
def test_artifacts_lie_where_the_specification_puts_them(side, kind, phase, path):
    assert layout.artifact_path(side, kind, phase) == path


@pytest.mark.parametrize(
    ("side", "kind", "phase"),
    [
        ("outputs", "RPMS", None),
        ("outputs", "RPMS", "repodata"),
        ("outputs", "RPMS", "../x"),
        ("outputs", "RPMS", ""),
        ("outputs", "iso", "std"),
        ("inputs", "RPMS", "std"),
        ("inputs", "iso", None),
        ("outputs", "../iso", None),
        ("outputs", None, None),
        (None, "iso", None),
        ("", "", None),
    ],
)
def test_other_artifact_paths_are_refused(side, kind, phase):
    with pytest.raises(StxMirrorError):
        layout.artifact_path(side, kind, phase)


@pytest.mark.parametrize(
    "path",
    [
        "build.json",
        "SHA256SUMS.asc",
        "outputs/RPMS/std/busybox-1.36.1-1.el7~rc1^git.x86_64.rpm",
        "inputs/downloads/busybox-static_1%3a1.35.0-4+b4_amd64.deb",
        "outputs/RPMS/std/repodata/repomd.xml",
        "outputs/wheels/__init__.py",
    ],
)
def test_names_of_real_artifacts_can_be_published(path):
    assert layout.safe_relative_path(path) == path


@given(
    st.one_of(
        st.text(max_size=40),
        st.text(alphabet="ab/.-~%+$(`;|&*?\\ '\n\0", max_size=20),
    )
)
def test_a_path_of_an_upload_is_safe_or_refused(path):
    try:
        safe = layout.safe_relative_path(path)
    except StxMirrorError as refusal:
        message = str(refusal)
    else:
        message = ""
        assert safe == path
        assert_safe(safe)
        assert shlex.split(safe) == [safe]
    assert "\n" not in message


@pytest.mark.parametrize(
    "path", ["", "/etc/passwd", "a/../b", "./a", "a//b", "a/", ".htaccess", "-rf", "~/x", "x" * 256]
)
def test_path_tricks_are_refused(path):
    with pytest.raises(StxMirrorError):
        layout.safe_relative_path(path)
