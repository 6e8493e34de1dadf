# Copyright the StarlingX build tools authors
# SPDX-License-Identifier: Apache-2.0
"""Action check_inventory: refuse variables that nothing reads, or whose values cannot be meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

try:
    from stxmirror.inventory.check import Inventory
except ImportError as problem:
    MISSING = str(problem)
else:
    MISSING = ""

_PROJECT = Path(__file__).resolve().parent.parent


class ActionModule(ActionBase):
    """Looks at what people wrote, on the controller alone."""

    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict:
        """Return how many variables were looked at, or fail with everything that is wrong."""
        result = super().run(tmp, task_vars)
        if MISSING:
            raise AnsibleError(
                f"The project's own package is not installed ({MISSING}): run script/bootstrap"
            )
        _, arguments = self.validate_argument_spec(
            argument_spec={
                "roles_in": {"type": "str", "required": True},
                "group_roles": {"type": "dict", "required": True},
                "variables_in": {"type": "dict", "default": {}},
                "also_read": {"type": "list", "elements": "str", "default": []},
            }
        )
        inventory = Inventory(self._loader, _PROJECT, task_vars or {}, **arguments)
        problems = inventory.problem_lines()
        if problems:
            result["failed"] = True
            result["msg"] = "\n".join(
                ["Nothing was changed. Mend this in the inventory first:", *problems]
            )
            return result
        warning = inventory.agent_warning()
        if warning:
            self._display.warning(warning)
        result["checked"] = len(inventory.settings)
        return result
