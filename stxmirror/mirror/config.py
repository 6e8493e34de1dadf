"""The mirror's configuration: one JSON file that the provisioning writes and a person can read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stxmirror import fields, names
from stxmirror.errors import StxMirrorError
from stxmirror.retention import Policy

DEFAULT_PATH = Path(names.MIRROR_SETTINGS)
# Where the file does not say: each stream of a build host has one open at most, for two days.
UPLOADS_PER_KEY = 20


@dataclass(frozen=True)
class Site:
    """What the pages are called, and the path below which a web server offers the tree."""

    title: str
    prefix: str


@dataclass(frozen=True)
class Config:
    """What ``mirror.json`` says; paths are absolute.

    ``unsigned_streams`` are those whose builds need no signature; a key may have
    ``uploads_per_key`` uploads open at once.
    """

    path: Path
    store: Path
    site: Site
    policy: Policy
    upload_expiry_hours: float
    reserve_bytes: int
    unsigned_streams: frozenset[str] = frozenset()
    uploads_per_key: int = UPLOADS_PER_KEY

    @property
    def public(self) -> Path:
        """The tree that readers see."""
        return self.store / "public"

    @property
    def incoming(self) -> Path:
        """Where senders write, one directory an upload."""
        return self.store / names.INCOMING

    @property
    def staging(self) -> Path:
        """Where builds are put together and taken apart, closed to everybody else."""
        return self.store / "staging"

    @property
    def state(self) -> Path:
        """What the mirror knows beside the tree."""
        return self.store / "state"


def load(path: Path) -> Config:
    """Read and check the configuration, or raise one sentence that names what is wrong in it."""
    try:
        raw = json.loads(path.read_bytes())
    except OSError as error:
        raise StxMirrorError(
            f"the configuration {path} cannot be read ({error.strerror}): "
            "provision this host as a mirror, or name the file with --config"
        ) from error
    except ValueError as error:
        raise StxMirrorError(f"the configuration {path} is not JSON: {error}") from error
    if not isinstance(raw, dict):
        raise StxMirrorError(f"the configuration {path} must be one JSON object")
    return _parsed(raw, path)


def _parsed(raw: Mapping[str, object], path: Path) -> Config:
    what = f"the configuration {path}"
    store = Path(fields.required(raw, "store", str, what))
    if not store.is_absolute():
        raise StxMirrorError(f"'store' in {path} must be an absolute path: correct it")
    expiry = fields.number(raw, "upload_expiry_hours", what)
    if expiry <= 0:
        raise StxMirrorError(f"'upload_expiry_hours' in {path} must be above 0: correct it")
    reserve = fields.required(raw, "reserve_bytes", int, what)
    if reserve < 0:
        raise StxMirrorError(f"'reserve_bytes' in {path} must not be negative: correct it")
    per_key = fields.optional(raw, "uploads_per_key", int, what)
    if per_key is not None and per_key <= 0:
        raise StxMirrorError(f"'uploads_per_key' in {path} must be above 0: correct it")
    site = Site(
        title=fields.required(raw, "title", str, what),
        prefix=fields.required(raw, "prefix", str, what),
    )
    try:
        policy = Policy.parse(raw, what)
    except StxMirrorError as error:
        message = str(error)
        raise StxMirrorError(message if what in message else f"{what}: {message}") from error
    return Config(
        path,
        store,
        site,
        policy,
        expiry,
        reserve,
        _unsigned_streams(raw, policy, what),
        UPLOADS_PER_KEY if per_key is None else per_key,
    )


def _unsigned_streams(raw: Mapping[str, object], policy: Policy, what: str) -> frozenset[str]:
    """Return the streams whose builds may be unsigned; one without a rule is misspelt."""
    if raw.get("unsigned_streams") is None:
        return frozenset()
    named = fields.strings(raw, "unsigned_streams", what)
    known = {rule.stream for rule in policy.rules}
    for name in named:
        if name not in known:
            raise StxMirrorError(
                f"'unsigned_streams' in {what} names {name}, and the streams are "
                f"{', '.join(sorted(known)) or 'none'}: correct it"
            )
    return frozenset(named)
