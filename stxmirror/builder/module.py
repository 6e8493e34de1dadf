"""What all modules of a build have in common: arguments in, an action, one clear error out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from stxmirror.errors import StxMirrorError


def run(
    module: Any,
    action: Callable[[dict[str, Any]], dict[str, Any]],
    check: Mapping[str, Any] | None = None,
) -> None:
    """Do ``action`` with the parameters of an ``AnsibleModule``, and return what that returns.

    In check mode nothing is done, and ``check`` is returned. An error that is meant for people
    becomes the message of the failed task. Each module makes its ``AnsibleModule`` itself: Ansible
    knows by that import how a module is started.
    """
    if module.check_mode:
        module.exit_json(changed=True, **(check or {}))
    try:
        result = action(dict(module.params))
    except (StxMirrorError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)
