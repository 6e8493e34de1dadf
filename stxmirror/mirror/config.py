"""The mirror's configuration: one JSON file that the provisioning writes and a person can read."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stxmirror.errors import StxMirrorError
from stxmirror.layout import check_alias
from stxmirror.retention import check_keep

DEFAULT_PATH = Path("/etc/stx-mirror/mirror.json")


@dataclass(frozen=True)
class Config:
    """What ``mirror.json`` says; paths are absolute, ``raw`` is the whole file as read."""

    path: Path
    store: Path
    rules: list[dict[str, Any]]
    release_period_days: int
    max_delete_share: float
    upload_expiry_hours: float
    reserve_bytes: int
    raw: dict[str, Any] = field(repr=False)

    @property
    def public(self) -> Path:
        """The tree that readers see."""
        return self.store / "public"

    @property
    def incoming(self) -> Path:
        """Where senders write, one directory an upload."""
        return self.store / "incoming"

    @property
    def staging(self) -> Path:
        """Where builds are put together and taken apart, closed to everybody else."""
        return self.store / "staging"

    @property
    def state(self) -> Path:
        """What the mirror knows beside the tree."""
        return self.store / "state"


_TYPES: dict[str, Any] = {
    "store": str,
    "prefix": str,
    "title": str,
    "rules": list,
    "release_period_days": int,
    "max_delete_share": (int, float),
    "upload_expiry_hours": (int, float),
    "reserve_bytes": int,
}


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
    for key, kind in _TYPES.items():
        if not isinstance(raw.get(key), kind) or isinstance(raw[key], bool):
            raise StxMirrorError(f"the configuration {path} lacks a usable '{key}': correct it")
    store = Path(raw["store"])
    if not store.is_absolute():
        raise StxMirrorError(f"'store' in {path} must be an absolute path: correct it")
    _check_numbers(raw, path)
    return Config(
        path=path,
        store=store,
        rules=_checked_rules(raw["rules"], path),
        release_period_days=raw["release_period_days"],
        max_delete_share=raw["max_delete_share"],
        upload_expiry_hours=raw["upload_expiry_hours"],
        reserve_bytes=raw["reserve_bytes"],
        raw=raw,
    )


def _check_numbers(raw: dict[str, Any], path: Path) -> None:
    if not 0 < raw["max_delete_share"] <= 1:
        raise StxMirrorError(f"'max_delete_share' in {path} must be above 0 and at most 1")
    for key in ("release_period_days", "upload_expiry_hours"):
        if raw[key] <= 0:
            raise StxMirrorError(f"'{key}' in {path} must be above 0")
    if raw["reserve_bytes"] < 0:
        raise StxMirrorError(f"'reserve_bytes' in {path} must not be negative")


def _checked_rules(rules: list[Any], path: Path) -> list[dict[str, Any]]:
    for rule in rules:
        if not (
            isinstance(rule, dict)
            and isinstance(rule.get("directory"), str)
            and isinstance(rule.get("stream"), str)
            and isinstance(rule.get("keep"), dict)
        ):
            raise StxMirrorError(
                f"a rule in {path} lacks its stream, directory or keep: {rule!r}: correct it"
            )
        try:
            check_keep(rule["keep"])
            if rule.get("legacy_alias") is not None:
                check_alias(rule["legacy_alias"])
        except StxMirrorError as error:
            raise StxMirrorError(f"the rule of {rule['stream']} in {path}: {error}") from error
    return rules
