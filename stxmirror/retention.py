"""Retention: until when a build is kept, and which builds may go.

Everything is reckoned from the build-date in the path, never from a file's time. Never deleted:
what an alias points at, the newest success of a stream that is not retired, a held build, one
that is being published. What a build was promised when it was promoted is never brought forward.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from stxmirror.errors import StxMirrorError
from stxmirror.layout import BuildId
from stxmirror.times import add_days, format_time, in_utc, parse_build_date, parse_time

_NO_RULE = (
    "no retention rule: no stream has this directory; add one, "
    "or take the build away with `mirrorctl withdraw`"
)
_FOR_EVER = datetime.max.replace(tzinfo=timezone.utc)
_HOW = "write {days: N}, {release_periods: N} or {forever: true}"


def check_keep(keep: Mapping[str, Any]) -> dict[str, Any]:
    """Return a rule's ``keep`` as a plain mapping of one key, or raise.

    ``{"days": N}``, ``{"release_periods": N}`` (a milestone lives that many release periods past
    its introduction) or ``{"forever": True}``.
    """
    if not isinstance(keep, Mapping) or len(keep) != 1:
        raise StxMirrorError(f"`retention` {keep!r} is not one rule: {_HOW}")
    ((key, value),) = keep.items()
    if key == "forever" and value is True:
        return {"forever": True}
    if key in ("days", "release_periods") and _is_count(value):
        return {str(key): int(value)}
    raise StxMirrorError(f"`retention` cannot be {key}: {value!r}: {_HOW}, N a number above 0")


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def keep_until(
    build_date: str, keep: Mapping[str, Any], release_period_days: int
) -> datetime | None:
    """Return until when a rule keeps the build of a build-date; ``None`` is for ever."""
    rule = check_keep(keep)
    if "forever" in rule:
        return None
    if "days" in rule:
        return add_days(parse_build_date(build_date), rule["days"])
    if not _is_count(release_period_days):
        raise StxMirrorError(
            f"the release period is {release_period_days!r}: give a number of days above 0"
        )
    return add_days(parse_build_date(build_date), rule["release_periods"] * release_period_days)


def rule_for(rules: Sequence[Mapping[str, Any]], directory: str) -> Mapping[str, Any] | None:
    """Return the rule for a stream's directory, or ``None``.

    A rule without ``*`` comes first, then the longest; ``*`` is the rest of one name.
    """
    best: Mapping[str, Any] | None = None
    best_rank: tuple[bool, int] = (False, -1)
    for rule in rules:
        pattern = rule["directory"]
        rank = ("*" not in pattern, len(pattern))
        if rank > best_rank and _matches(pattern, directory):
            best, best_rank = rule, rank
    return best


def _matches(pattern: str, directory: str) -> bool:
    prefix, star, suffix = pattern.partition("*")
    if not star:
        return pattern == directory
    name = directory[len(prefix) : len(directory) - len(suffix)]
    return bool(
        directory.startswith(prefix) and directory.endswith(suffix) and name and "/" not in name
    )


def plan(
    builds: Sequence[Mapping[str, Any]],
    rules: Sequence[Mapping[str, Any]],
    now: datetime,
    release_period_days: int,
    max_share: float,
    *,
    aliases: Collection[str],
    allow_more: bool = False,
) -> list[dict[str, Any]]:
    """Say of every build whether it is kept or deleted, and why.

    ``builds`` are mappings ``id``, ``result`` (``success`` or ``fail``), ``hold`` (the reason or
    ``None``), ``publishing`` and, if one was ever made, ``keep_until``: the promise (a JSON time,
    ``None`` for ever). ``aliases`` are the ids that aliases point at, ``rules`` those of
    :func:`stxmirror.streams.mirror_rules`, ``max_share`` the part of all builds (0 to 1) that
    may go at once unless ``allow_more``.

    The answer is newest first: ``{"id", "action": "keep" or "delete", "why", "keep_until"}``. The
    order of the input does not matter, and the time needed grows about as their number.
    """
    moment = in_utc(now)
    entries = _newest_first(builds)
    protected = frozenset(aliases)
    rule_of: dict[str, Mapping[str, Any] | None] = {}
    good_seen: set[str] = set()
    steps = []
    for build_id, build in entries:
        directory = build_id.directory
        if directory not in rule_of:
            rule_of[directory] = rule_for(rules, directory)
        rule = rule_of[directory]
        # One that is still being published protects none: it may yet be refused.
        newest_good = (
            build["result"] == "success"
            and not build.get("publishing")
            and directory not in good_seen
        )
        if newest_good:
            good_seen.add(directory)
        until, policy = _kept_until(build_id, build, rule, release_period_days)
        action, why = _decide(
            build,
            rule,
            until,
            policy,
            moment,
            is_alias_target=str(build_id) in protected,
            is_newest_good=newest_good,
        )
        steps.append(
            {
                "id": str(build_id),
                "action": action,
                "why": why,
                "keep_until": format_time(until),
            }
        )
    _check_share(steps, max_share, allow_more)
    return steps


def alias_targets(aliases: Mapping[str, Mapping[str, str]]) -> frozenset[str]:
    """Return the ids that aliases point at, of ``{directory: {alias: build-date}}``."""
    return frozenset(
        f"{directory}/{build_date}"
        for directory, links in aliases.items()
        for build_date in links.values()
    )


def _newest_first(
    builds: Sequence[Mapping[str, Any]],
) -> list[tuple[BuildId, Mapping[str, Any]]]:
    entries = [(BuildId.parse(build["id"]), build) for build in builds]
    entries.sort(key=lambda entry: str(entry[0]))
    entries.sort(key=lambda entry: entry[0].build_date, reverse=True)
    for (before, _), (after, _) in zip(entries, entries[1:]):
        if before == after:
            raise StxMirrorError(f"the build {after} is listed twice: list every build once")
    return entries


def _kept_until(
    build_id: BuildId,
    build: Mapping[str, Any],
    rule: Mapping[str, Any] | None,
    release_period_days: int,
) -> tuple[datetime | None, str]:
    """Return the later of what the rule says today and the promise once made, and which it is."""
    reasons: list[tuple[datetime | None, str]] = []
    if rule is not None:
        today = keep_until(build_id.build_date, rule["keep"], release_period_days)
        reasons.append((today, f"stream {rule['stream']}: {describe_keep(rule['keep'])}"))
    if "keep_until" in build:
        promise = build["keep_until"]
        until = None if promise is None else parse_time(promise)
        reasons.append((until, "promised when it was published"))
    # Of two equal ones max() takes the first, which is the rule's: it says more.
    return max(reasons, key=lambda reason: reason[0] or _FOR_EVER, default=(None, ""))


def _decide(
    build: Mapping[str, Any],
    rule: Mapping[str, Any] | None,
    until: datetime | None,
    policy: str,
    now: datetime,
    *,
    is_alias_target: bool,
    is_newest_good: bool,
) -> tuple[str, str]:
    retired = rule is not None and bool(rule.get("retired"))
    protections = (
        (build.get("publishing"), "it is being published"),
        (build.get("hold"), f"held: {build.get('hold')}"),
        (rule is None, _NO_RULE),
        (is_alias_target and not retired, "an alias points at it"),
        (is_newest_good and not retired, "the newest success of its stream"),
    )
    for applies, why in protections:
        if applies:
            return "keep", why
    if until is None:
        return "keep", f"kept for ever ({policy})"
    if now <= until:
        return "keep", f"kept until {format_time(until)} ({policy})"
    return "delete", f"was kept until {format_time(until)} ({policy})"


def describe_keep(keep: Mapping[str, Any]) -> str:
    """Return a rule's ``keep`` in words, such as ``14 days``."""
    rule = check_keep(keep)
    if "forever" in rule:
        return "for ever"
    if "days" in rule:
        return "1 day" if rule["days"] == 1 else f"{rule['days']} days"
    periods = rule["release_periods"]
    return "1 release period" if periods == 1 else f"{periods} release periods"


def _check_share(steps: Sequence[Mapping[str, Any]], max_share: float, allow_more: bool) -> None:
    if isinstance(max_share, bool) or not isinstance(max_share, (int, float)):
        raise StxMirrorError(f"the share that may be deleted is {max_share!r}: give 0 to 1")
    doomed = sum(1 for step in steps if step["action"] == "delete")
    if not allow_more and doomed > max_share * len(steps):
        raise StxMirrorError(
            f"the plan would delete {doomed} of {len(steps)} builds, more than the share of "
            f"{max_share:.0%} that may go at once: look at it with `stx-mirror prune --check`, "
            "and add --allow-more if it is right"
        )
