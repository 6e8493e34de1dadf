# Copyright the StarlingX build tools authors
# SPDX-License-Identifier: Apache-2.0
"""Filter retention_plan: keep or delete, and why, for a list of builds."""

from __future__ import annotations

DOCUMENTATION = """
name: retention_plan
short_description: Plan which builds are kept and which are deleted
version_added: "0.1.0"
author: StarlingX build tools (@starlingx)
description:
  - Never deletes what an alias points at, the newest success of a stream that is not retired, a
    held build or one that is being published.
  - Never brings a promise forward that was made when a build was published.
  - Says if more than the listing's share of the builds would go at once, which the mirror refuses
    without C(--allow-more).
positional: now
options:
  _input:
    description:
      - What C(mirrorctl list) answers, that is C(builds), C(aliases), C(rules),
        C(release_period_days) and C(max_delete_share).
    type: dict
    required: true
  now:
    description:
      - The time to plan for, in UTC, as V(YYYY-MM-DDTHH:MM:SSZ).
    type: str
    required: true
"""

EXAMPLES = """
- name: Plan
  ansible.builtin.set_fact:
    plan: "{{ listing | retention_plan(now='2026-11-22T03:00:00Z') }}"

- name: Show what would go
  ansible.builtin.debug:
    msg: "{{ plan.delete }}"
"""

RETURN = """
_value:
  description:
    - C(steps), one for each build, newest first, with C(id), C(action) (V(keep) or V(delete)),
      C(why), C(keep_until) (null for forever).
    - C(delete), the ids of the builds to delete.
    - C(refusal), why the plan needs C(--allow-more), or null.
  type: dict
"""

from ansible.errors import AnsibleFilterError

try:
    from stxmirror import retention, times
    from stxmirror.errors import StxMirrorError
except ImportError as problem:
    MISSING = str(problem)
else:
    MISSING = ""


def retention_plan(listing, now):
    """Return the plan for a listing."""
    if MISSING:
        raise AnsibleFilterError(
            f"retention_plan needs the package stxmirror in Ansible's own Python ({MISSING}): "
            "run script/bootstrap, or `pip install .` with that Python's pip"
        )
    try:
        needed = ("builds", "aliases", "rules", "release_period_days", "max_delete_share")
        missing = [key for key in needed if not isinstance(listing, dict) or key not in listing]
        if missing:
            raise StxMirrorError(f"the listing lacks {', '.join(missing)}: give mirrorctl's answer")
        policy = retention.Policy.parse(listing, "the listing")
        steps = retention.plan(
            [retention.ListedBuild.parse(build) for build in listing["builds"]],
            policy,
            times.parse_time(now),
            aliases=retention.alias_targets(listing["aliases"]),
        )
        return {
            "steps": [step.to_json() for step in steps],
            "delete": [str(step.id) for step in steps if step.is_deletion],
            "refusal": retention.refusal(steps, policy.max_delete_share),
        }
    except StxMirrorError as problem:
        raise AnsibleFilterError(str(problem)) from problem


class FilterModule:
    """Offers the filter to Ansible."""

    def filters(self):
        """Return the filter under its name."""
        return {"retention_plan": retention_plan}
