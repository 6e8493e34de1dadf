"""Where the playbooks are that belong to this package."""

from __future__ import annotations

import sys
from pathlib import Path

import stxmirror


def project_directory() -> Path:
    """Return the directory with ansible.cfg and playbooks/ that belongs to this package.

    An installed version has it beside its environment; otherwise the package lies inside it.
    """
    installed = Path(sys.prefix).parent / "project"
    if (installed / "ansible.cfg").is_file():
        return installed
    return Path(stxmirror.__file__).resolve().parents[1]
