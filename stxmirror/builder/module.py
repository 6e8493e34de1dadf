"""What all modules of a build have in common: arguments in, an action, one clear error out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule  # type: ignore[import-untyped]

from stxmirror.errors import StxMirrorError


def run(
    spec: Mapping[str, Any],
    action: Callable[[dict[str, Any]], dict[str, Any]],
    check: Mapping[str, Any] | None = None,
) -> None:
    """Run a module that does ``action`` with its parameters and returns what that returns.

    In check mode nothing is done, and ``check`` is returned. An error that is meant for people
    becomes the message of the failed task.
    """
    module = AnsibleModule(argument_spec=dict(spec), supports_check_mode=True)
    if module.check_mode:
        module.exit_json(changed=True, **(check or {}))
    try:
        result = action(dict(module.params))
    except (StxMirrorError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)
