"""Where a build lies on the mirror: release identifiers, build ids, artifact paths.

The tree is that of StarlingX's specification "Host Build Artifacts on StarlingX Mirror":
``<release-identifier>/<distro>[/<layer>]/<build-date>/{inputs,outputs}/...``. Every name that
goes into it passes through this module, so that nothing can leave the tree or mean
something to a shell.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from stxmirror.errors import StxMirrorError
from stxmirror.names import BUILDS, VERIFY
from stxmirror.times import parse_build_date

# What the mirror itself keeps at the top of the tree, beside the release identifiers.
RESERVED_NAMES = frozenset({"builds", "assets", "index.html", BUILDS, VERIFY})

NAME_MAX = 100

_KIND = re.compile(r"[a-z][a-z0-9-]*", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)
_WORD = re.compile(r"[a-z][a-z0-9-]*", re.ASCII)
_REF = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*)*", re.ASCII)
# `%`, `+`, `~`, `^` and `:` occur in the names of real packages and of what is downloaded; none of
# them means anything to a shell inside a word, nor does a component ever begin with one.
_COMPONENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+~^@%=,:-]*", re.ASCII)
_COMPONENT_MAX = 255
_PATH_MAX = 1024

_KIND_OF_PREFIX = {"f": "feature", "r": "release", "m": "milestone"}

# The specification's only legacy link.
_LEGACY_ALIASES = {"release/2018.10": "r2018.10"}

PHASED_TYPES = frozenset({"RPMS", "SRPMS"})
ARTIFACT_TYPES = {
    "inputs": frozenset({"RPMS", "SRPMS", "downloads"}),
    "outputs": frozenset(
        {"RPMS", "SRPMS", "iso", "installer", "wheels", "helm-charts", "logs"},
    ),
}

# Forms of branches and tags that StarlingX used and the specification does not place. They are
# refused with the identifier that a person would most likely give them: two refs
# (`m/2018.10.b3`, `m2018.10.b3`) must never meet in one directory by accident.
_HISTORIC_FORMS: tuple[tuple[re.Pattern[str], str, str], ...] = (
    (
        re.compile(r"m?([0-9]{4}\.[0-9]{2}(?:\.|)b[0-9]+)", re.ASCII),
        "an old form of a milestone tag",
        "milestone",
    ),
    (
        re.compile(r"r?([0-9]{4}\.[0-9]{2}(?:\.[0-9]+)?)", re.ASCII),
        "an old form of a release tag",
        "release",
    ),
    (
        re.compile(r"([0-9]+\.[0-9]+(?:\.[0-9]+)*(?:[.-]?rc[0-9]+)?)", re.ASCII),
        "a release tag",
        "release",
    ),
    (
        re.compile(r"vr?/([A-Za-z0-9][A-Za-z0-9._-]*)", re.ASCII),
        "a virtual release branch or tag",
        "release",
    ),
    (
        re.compile(r"rc/([A-Za-z0-9][A-Za-z0-9._-]*)", re.ASCII),
        "a release candidate",
        "release",
    ),
)


def check_ref(ref: str) -> str:
    """Return ``ref`` if it is a branch or tag name without any trick in it, else raise.

    The grammar is narrower than git's: letters, digits, ``.``, ``_`` and ``-``, parts parted by
    one ``/``, none beginning with ``.`` or ``-``.
    """
    if not isinstance(ref, str) or not ref:
        raise StxMirrorError("no branch or tag was given: name one, such as master or f/<feature>")
    if not _REF.fullmatch(ref) or ".." in ref or ref.endswith(".lock") or len(ref) > 2 * NAME_MAX:
        raise StxMirrorError(
            f"{ref[: 2 * NAME_MAX]!r} is not a branch or tag that can be built: use letters, "
            "digits, '.', '_' and '-', in parts parted by one '/' (no '..', no leading '.' or '-')"
        )
    return ref


def project_name(ref: str) -> str:
    """Return the name that a ref's directories on the build host carry (``f/x`` -> ``f-x``)."""
    return check_ref(ref).replace("/", "-")


def check_identifier(identifier: str) -> str:
    """Return a release identifier (``master`` or ``<kind>/<name>``) unchanged, or raise."""
    if not isinstance(identifier, str):
        raise StxMirrorError(f"a release identifier is text, not {identifier!r}")
    if identifier == "master":
        return identifier
    kind, _, name = identifier.partition("/")
    if not (_KIND.fullmatch(kind) and _NAME.fullmatch(name)):
        raise StxMirrorError(
            f"{identifier[: 2 * NAME_MAX]!r} is not a release identifier: "
            "use master, or <kind>/<name> such as feature/<name>, release/<name>, milestone/<name>"
        )
    if kind in RESERVED_NAMES or kind == "master":
        raise StxMirrorError(
            f"the release identifier {identifier!r} would lie under {kind!r}, a name that the "
            "mirror uses itself: give another kind"
        )
    if ".." in name or len(name) > NAME_MAX:
        raise StxMirrorError(
            f"the name in the release identifier {identifier[: 2 * NAME_MAX]!r} may not "
            f"contain '..' nor be longer than {NAME_MAX} characters: give a shorter, plain one"
        )
    return identifier


def is_identifier(text: str) -> bool:
    """Whether :func:`check_identifier` takes a text."""
    try:
        check_identifier(text)
    except StxMirrorError:
        return False
    return True


def release_identifier(ref: str) -> str:
    """Return the release identifier that the specification gives a branch or tag.

    ``master``; ``f/x`` -> ``feature/x``; ``r/x`` -> ``release/x``; ``m/x`` -> ``milestone/x``.
    Everything else is refused by name; a stream may say which identifier it gets.
    """
    check_ref(ref)
    if ref == "master":
        return ref
    prefix, slash, name = ref.partition("/")
    if slash and prefix in _KIND_OF_PREFIX and "/" not in name:
        return check_identifier(f"{_KIND_OF_PREFIX[prefix]}/{name}")
    for pattern, what, kind in _HISTORIC_FORMS:
        found = pattern.fullmatch(ref)
        if found:
            raise StxMirrorError(
                f"{ref!r} is {what}, which has no place of its own on the mirror: give its "
                f"stream an `identifier:`, such as {kind}/{found.group(1)}"
            )
    if slash and prefix in _KIND_OF_PREFIX:
        raise StxMirrorError(
            f"{ref!r} has a further '/', which the mirror's tree has no level for: "
            "give its stream an `identifier:` with one '/'"
        )
    raise StxMirrorError(
        f"{ref!r} is not master, f/<feature>, r/<release> or m/<milestone>: "
        "give its stream an `identifier:` that says where its builds go"
    )


def legacy_alias(identifier: str) -> str | None:
    """Return the name of the old link that points at an identifier, or ``None``."""
    return _LEGACY_ALIASES.get(check_identifier(identifier))


def check_alias(alias: str) -> str:
    """Return the name of a link at the top of the tree unchanged, or raise."""
    if (
        not isinstance(alias, str)
        or not _NAME.fullmatch(alias)
        or ".." in alias
        or len(alias) > NAME_MAX
        or alias in RESERVED_NAMES
        or alias == "master"
    ):
        raise StxMirrorError(
            f"{alias!r} cannot be a link at the top of the mirror: use letters, digits, '.', '_' "
            "and '-', and no name that the mirror uses itself"
        )
    return alias


def check_word(word: str, what: str) -> str:
    """Return a distro, layer or phase name unchanged, or raise and call it ``what``."""
    if not isinstance(word, str) or not _WORD.fullmatch(word) or len(word) > NAME_MAX:
        raise StxMirrorError(
            f"{word!r} is not a {what}: use small letters, digits and '-', beginning with a letter"
        )
    return word


@dataclass(frozen=True)
class BuildId:
    """The name of one build, which is its path below the mirror's root.

    Every instance is valid; ``str()`` gives the path and :meth:`parse` reads it back.
    """

    identifier: str
    distro: str
    layer: str | None
    build_date: str

    def __post_init__(self) -> None:
        """Refuse what the grammar forbids, whoever makes the id."""
        check_identifier(self.identifier)
        check_word(self.distro, "distro")
        if self.layer is not None:
            check_word(self.layer, "layer")
        parse_build_date(self.build_date)

    @classmethod
    def parse(cls, path: str) -> BuildId:
        """Read a path such as ``feature/x/centos/flock/20261101T020000Z``."""
        parts = path.split("/") if isinstance(path, str) else []
        head = 1 if parts[:1] == ["master"] else 2
        rest = parts[head:]
        if len(rest) not in (2, 3):
            raise StxMirrorError(
                f"{path!r} is not a build id: "
                "write <release-identifier>/<distro>[/<layer>]/<build-date>"
            )
        layer = rest[1] if len(rest) == 3 else None
        return cls("/".join(parts[:head]), rest[0], layer, rest[-1])

    @property
    def directory(self) -> str:
        """The directory of the stream, where the build's alias lies."""
        return stream_directory(self.identifier, self.distro, self.layer)

    @property
    def when(self) -> datetime:
        """The build-date as an aware UTC time."""
        return parse_build_date(self.build_date)

    def __str__(self) -> str:
        """Return the path below the mirror's root."""
        return f"{self.directory}/{self.build_date}"


def stream_directory(identifier: str, distro: str, layer: str | None = None) -> str:
    """Return ``<release-identifier>/<distro>[/<layer>]``."""
    parts = [check_identifier(identifier), check_word(distro, "distro")]
    if layer is not None:
        parts.append(check_word(layer, "layer"))
    return "/".join(parts)


def artifact_path(side: str, kind: str, phase: str | None = None) -> str:
    """Return where artifacts of one type lie in a build's directory.

    ``side`` is ``inputs`` or ``outputs``, ``kind`` the specification's artifact type; outputs/RPMS
    and outputs/SRPMS need a build phase (``std``, ``rt``, ...), nothing else has one.
    """
    kinds = ARTIFACT_TYPES.get(side) if isinstance(side, str) else None
    if kinds is None or kind not in kinds:
        known = ", ".join(f"{s}/{k}" for s in sorted(ARTIFACT_TYPES) for k in _ordered(s))
        raise StxMirrorError(f"{side}/{kind} is not an artifact type: use one of {known}")
    if side == "outputs" and kind in PHASED_TYPES:
        if phase is None:
            raise StxMirrorError(f"outputs/{kind} needs a build phase, such as std or rt")
        if check_word(phase, "build phase") == "repodata":
            raise StxMirrorError(
                f"'repodata' cannot be a build phase: outputs/{kind}/repodata is the metadata"
            )
        return f"{side}/{kind}/{phase}"
    if phase is not None:
        raise StxMirrorError(f"{side}/{kind} has no build phases: leave {phase!r} out")
    return f"{side}/{kind}"


def _ordered(side: str) -> list[str]:
    return sorted(ARTIFACT_TYPES[side])


def safe_relative_path(path: str) -> str:
    """Return the path of a file inside a build unchanged, or raise.

    No part may be empty, begin with ``.``, ``-`` or ``~``, or carry what means something to a
    shell, a terminal or a file system. ``%`` is allowed (Debian's names have it), so whoever makes
    a URL of the path quotes it.
    """
    parts = path.split("/") if isinstance(path, str) else []
    if (
        not parts
        or len(path) > _PATH_MAX
        or any(not _COMPONENT.fullmatch(part) or len(part) > _COMPONENT_MAX for part in parts)
    ):
        shown = path[:_COMPONENT_MAX] if isinstance(path, str) else path
        raise StxMirrorError(
            f"the file name {shown!r} cannot be published: use a relative path of letters, digits "
            "and . _ + ~ ^ @ % = , : - only, no part beginning with anything but a letter, "
            "a digit or '_'; rename the file where the build makes it"
        )
    return path
