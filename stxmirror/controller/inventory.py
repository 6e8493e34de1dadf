"""The streams and the profiles, as the build host's own files have them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from stxmirror.controller.project import project_directory
from stxmirror.errors import StxMirrorError
from stxmirror.state.paths import Paths
from stxmirror.streams import Stream, check_streams


class _Loader(yaml.SafeLoader):
    """Reads the group variables of an inventory; what a vault holds stays out of sight."""


_Loader.add_multi_constructor("", lambda loader, suffix, node: None)


def read_yaml(path: Path) -> Any:
    """Return what a YAML file says, or raise one error that names file and line."""
    try:
        with path.open(encoding="utf-8") as stream:
            return yaml.load(stream, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except OSError as error:
        raise StxMirrorError(f"{path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        words = " ".join(str(error).split())
        raise StxMirrorError(f"{path} is not valid YAML: {words}") from error


def load_streams(paths: Paths) -> list[Stream]:
    """Return the checked streams of this build host."""
    directory = paths.inventory / "group_vars" / "all"
    for file in sorted(directory.glob("*.yml")):
        content = read_yaml(file)
        if isinstance(content, dict) and "streams" in content:
            return check_streams(content["streams"])
    raise StxMirrorError(
        f"no file in {directory} has `streams`: run playbooks/provision.yml for this host first"
    )


def stage_names(profile: str) -> list[str]:
    """Return the names of a profile's stages, in order.

    Only the names: the rest of a profile may hold templates, which Ansible renders and checks.
    """
    file = project_directory() / "profiles" / f"{profile}.yml"
    content = read_yaml(file)
    try:
        return [str(stage["name"]) for stage in content["profile"]["stages"]]
    except (KeyError, TypeError) as error:
        raise StxMirrorError(f"{file} has no `profile` with a list of `stages`") from error
