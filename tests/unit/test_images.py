"""Names of container images."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stxmirror.errors import StxMirrorError
from stxmirror.images import TAG_MAX, image_reference

# The grammar that registries hold clients to (distribution/reference), written down once more.
REFERENCE = re.compile(
    r"(?:(?:localhost|[a-z0-9-]+(?:\.[a-z0-9-]+)+|[a-z0-9-]+(?=:))(?::[0-9]{1,5})?/)?"
    r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)+"
    r":[A-Za-z0-9_][A-Za-z0-9._-]{0,127}"
)


def reference(component="nova", **changes):
    fields = {"org": "starlingx", "ref": "master", "os": "centos", "release": "pike", **changes}
    return image_reference(component, **fields)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "starlingx/stx-nova:dev-centos-pike"),
        ({"ref": "m/2019.05b1"}, "starlingx/stx-nova:m-2019.05b1-centos-pike"),
        ({"ref": "r/2018.10.0"}, "starlingx/stx-nova:r-2018.10.0-centos-pike"),
        ({"qualifier": "latest"}, "starlingx/stx-nova:dev-centos-pike-latest"),
        (
            {"qualifier": "20261120T020000Z", "os": "clear-linux"},
            "starlingx/stx-nova:dev-clear-linux-pike-20261120T020000Z",
        ),
        ({"image_tag": "master"}, "starlingx/stx-nova:master-centos-pike"),
        ({"registry": "registry:5000"}, "registry:5000/starlingx/stx-nova:dev-centos-pike"),
        ({"registry": "docker.io"}, "docker.io/starlingx/stx-nova:dev-centos-pike"),
        ({"component": "nova-api-proxy"}, "starlingx/stx-nova-api-proxy:dev-centos-pike"),
    ],
)
def test_the_specifications_grammar(changes, expected):
    assert reference(**changes) == expected


@pytest.mark.parametrize(
    "changes",
    [
        {"component": "Nova"},
        {"component": ""},
        {"component": "nova:x"},
        {"component": "../nova"},
        {"org": "star lingx"},
        {"ref": "f/../x"},
        {"ref": ""},
        {"os": "Cent OS"},
        {"release": ""},
        {"qualifier": "yesterday"},
        {"qualifier": "20261399T000000Z"},
        {"qualifier": ""},
        {"image_tag": "a/b"},
        {"image_tag": ""},
        {"registry": "https://docker.io"},
        {"registry": "docker"},
        {"registry": "docker.io/x"},
        {"component": "n" * 300},
        {"component": None},
        {"org": 5},
        {"os": None},
        {"os": "centos_7"},
        {"release": ["pike"]},
        {"registry": 5000},
    ],
)
def test_what_no_registry_takes_is_refused(changes):
    with pytest.raises(StxMirrorError):
        reference(**changes)


def test_a_long_tag_is_refused_with_what_to_do():
    with pytest.raises(StxMirrorError, match="shorter `image_tag`"):
        reference(ref="f/" + "x" * TAG_MAX)


def test_a_tag_and_a_name_may_be_as_long_as_registries_take_them():
    rest = len("-centos-pike")
    assert len(reference(image_tag="t" * (TAG_MAX - rest)).split(":")[1]) == 128
    with pytest.raises(StxMirrorError, match="has 129 characters"):
        reference(image_tag="t" * (TAG_MAX - rest + 1))
    rest = len("starlingx/stx-")
    assert len(reference("n" * (255 - rest)).split(":")[0]) == 255
    with pytest.raises(StxMirrorError, match="longer than 255"):
        reference("n" * (256 - rest))


@given(
    st.text(max_size=12),
    st.one_of(st.text(max_size=12), st.from_regex(r"[frm]/[A-Za-z0-9._-]{1,140}", fullmatch=True)),
    st.sampled_from([None, "latest", "stable", "20261120T020000Z"]),
    st.sampled_from([None, "registry:5000", "localhost", "localhost:5000", "quay.io"]),
)
def test_a_reference_is_one_that_every_registry_takes(component, ref, qualifier, registry):
    try:
        made = reference(component, ref=ref, qualifier=qualifier, registry=registry)
    except StxMirrorError:
        return
    assert REFERENCE.fullmatch(made)
