"""Names of container images, by the grammar of StarlingX's specification.

``<org>/stx-<component>:<git-tag-or-branch>-<os>-<openstack-release>[-<qualifier>]``
"""

from __future__ import annotations

import re

from stxmirror.errors import StxMirrorError
from stxmirror.layout import check_ref
from stxmirror.times import parse_build_date

TAG_MAX = 128
_NAME_MAX = 255

_REPOSITORY = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*", re.ASCII)
_WORD = re.compile(r"[a-z][a-z0-9]*(?:[.-][a-z0-9]+)*", re.ASCII)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*", re.ASCII)
# With a dot or a port, or localhost: anything else a client would read as an organisation.
_REGISTRY = re.compile(
    r"(?:localhost|[a-z0-9-]+(?:\.[a-z0-9-]+)+|[a-z0-9-]+(?=:))(?::[0-9]{1,5})?", re.ASCII
)


def image_reference(
    component: str,
    *,
    org: str,
    ref: str,
    os: str,
    release: str,
    qualifier: str | None = None,
    image_tag: str | None = None,
    registry: str | None = None,
) -> str:
    """Return the reference of a component's image.

    ``ref`` is the branch or tag, in which ``/`` becomes ``-``, and master ``dev``, unless
    ``image_tag`` (the stream's) says otherwise. ``qualifier`` is a build-date, ``latest``,
    ``stable`` or nothing; ``registry`` a host with an optional port.
    """
    for value, what in ((component, "component"), (org, "organisation")):
        if not isinstance(value, str) or not _REPOSITORY.fullmatch(value):
            raise StxMirrorError(
                f"{value!r} cannot be the {what} of an image: use small letters and digits, "
                "with single '.', '_' or '-' between them"
            )
    for value, what in ((os, "operating system"), (release, "OpenStack release")):
        if not isinstance(value, str) or not _WORD.fullmatch(value):
            raise StxMirrorError(
                f"{value!r} cannot be the {what} of an image tag: use small letters, digits and '-'"
            )
    parts = [tag_prefix(ref, image_tag), os, release]
    if qualifier is not None:
        parts.append(_check_qualifier(qualifier))
    tag = "-".join(parts)
    if len(tag) > TAG_MAX:
        raise StxMirrorError(
            f"the image tag {tag!r} has {len(tag)} characters, registries take {TAG_MAX}: "
            "give the stream a shorter `image_tag`"
        )
    if not _TAG.fullmatch(tag):
        raise StxMirrorError(
            f"{tag!r} cannot be an image tag: give the stream an `image_tag` of letters, digits, "
            "'.', '_' and '-'"
        )
    name = f"{org}/stx-{component}"
    if registry is not None:
        if not isinstance(registry, str) or not _REGISTRY.fullmatch(registry):
            raise StxMirrorError(
                f"{registry!r} is not a registry: write HOST.DOMAIN or HOST:PORT, without a scheme"
            )
        name = f"{registry}/{name}"
    if len(name) > _NAME_MAX:
        raise StxMirrorError(f"the image name {name!r} is longer than {_NAME_MAX} characters")
    return f"{name}:{tag}"


def tag_prefix(ref: str, image_tag: str | None = None) -> str:
    """Return the first part of an image's tag, which stands for the branch or tag built."""
    if image_tag is not None:
        return image_tag
    return "dev" if check_ref(ref) == "master" else ref.replace("/", "-")


def _check_qualifier(qualifier: str) -> str:
    if qualifier not in ("latest", "stable"):
        try:
            parse_build_date(qualifier)
        except StxMirrorError as problem:
            raise StxMirrorError(
                f"{qualifier!r} cannot end an image tag: use a build-date (YYYYMMDDTHHMMSSZ), "
                "latest or stable"
            ) from problem
    return qualifier
