"""A playbook that needs no lock, played for a person: what its tasks show, and why it failed."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stxmirror.controller.progress import failure_text
from stxmirror.controller.project import project_directory
from stxmirror.state.paths import Paths

# How many runs' own logs are kept.
KEPT_RUNS = 20


def play(paths: Paths, name: str, variables: Mapping[str, Any], *, check: bool) -> int:
    """Play ``playbooks/<name>.yml`` on this host; print what it shows; return an exit code."""
    # Late: it takes half a second, and refusals do not need it.
    import ansible_runner  # noqa: PLC0415

    done = ansible_runner.run(
        private_data_dir=str(_private(paths, name)),
        project_dir=str(project_directory()),
        playbook=f"playbooks/{name}.yml",
        inventory=str(paths.inventory),
        extravars=dict(variables),
        cmdline="--check" if check else None,
        envvars={"PATH": f"{sys.prefix}/bin:{os.environ.get('PATH', os.defpath)}"},
        rotate_artifacts=KEPT_RUNS,
        event_handler=_show,
        suppress_env_files=True,
        quiet=True,
    )
    return 0 if done.status == "successful" else 1


def _private(paths: Paths, name: str) -> Path:
    directory = paths.state / "plays" / name
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def _show(event: Mapping[str, Any]) -> bool:
    data = event.get("event_data") or {}
    result = data.get("res") or {}
    if event.get("event") == "runner_on_ok" and str(data.get("task_action", "")).endswith("debug"):
        message = result.get("msg")
        for line in message if isinstance(message, list) else [message]:
            _print(str(line), sys.stdout)
    elif event.get("event") == "runner_on_failed" and not data.get("ignore_errors"):
        _print(f"stx-mirror: {failure_text(result)}", sys.stderr)
    return True


def _print(line: str, out: Any) -> None:
    # Whoever reads may have seen enough (`| head`); the play goes on to its end all the same.
    with contextlib.suppress(BrokenPipeError):
        print(line, file=out, flush=True)
