"""Retention: until when a build is kept, and which builds may go.

Everything is computed from the build-date in the path, never from a file's time. Never deleted:
what an alias points at, the newest success of a stream that is not retired, a held build, one
that is being published. What a build was promised when it was promoted is never brought forward.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from stxmirror import fields
from stxmirror.errors import StxMirrorError
from stxmirror.layout import BuildId, check_alias
from stxmirror.times import add_days, format_time, in_utc, parse_build_date, parse_time

_NO_RULE = (
    "no retention rule: no stream has this directory; add one, "
    "or take the build away with `mirrorctl withdraw`"
)
_FOREVER = datetime.max.replace(tzinfo=timezone.utc)
_HOW = "write {days: N}, {release_periods: N} or {forever: true}"


@dataclass(frozen=True)
class Keep:
    """How long a rule keeps a build: days, release periods, or forever if neither is given.

    A milestone lives so many release periods past its introduction.
    """

    days: int | None = None
    release_periods: int | None = None

    @classmethod
    def parse(cls, raw: object) -> Keep:
        """Read ``{"days": N}``, ``{"release_periods": N}`` or ``{"forever": True}``, or raise."""
        if not isinstance(raw, Mapping) or len(raw) != 1:
            raise StxMirrorError(f"`retention` {raw!r} is not one rule: {_HOW}")
        ((key, value),) = raw.items()
        if key == "forever" and value is True:
            return cls()
        if key == "days" and _is_count(value):
            return cls(days=int(value))
        if key == "release_periods" and _is_count(value):
            return cls(release_periods=int(value))
        raise StxMirrorError(f"`retention` cannot be {key}: {value!r}: {_HOW}, N a number above 0")

    def to_json(self) -> dict[str, int]:
        """Return what :meth:`parse` reads."""
        if self.days is not None:
            return {"days": self.days}
        if self.release_periods is not None:
            return {"release_periods": self.release_periods}
        return {"forever": True}

    def until(self, build_date: str, release_period_days: int) -> datetime | None:
        """Return until when the build of a build-date is kept; ``None`` is forever."""
        if self.days is not None:
            return add_days(parse_build_date(build_date), self.days)
        if self.release_periods is None:
            return None
        if not _is_count(release_period_days):
            raise StxMirrorError(
                f"the release period is {release_period_days!r}: give a number of days above 0"
            )
        return add_days(parse_build_date(build_date), self.release_periods * release_period_days)

    def __str__(self) -> str:
        """Say it in words, such as ``14 days``."""
        if self.days is not None:
            return "1 day" if self.days == 1 else f"{self.days} days"
        if self.release_periods is None:
            return "for ever"
        periods = self.release_periods
        return "1 release period" if periods == 1 else f"{periods} release periods"


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


@dataclass(frozen=True)
class Rule:
    """What the mirror knows of one stream; a ``*`` in ``directory`` is the rest of one name."""

    stream: str
    directory: str
    keep: Keep
    audience: str | None = None
    description: str | None = None
    legacy_alias: str | None = None
    retired: bool = False

    @classmethod
    def parse(cls, raw: object) -> Rule:
        """Read a rule as :func:`stxmirror.streams.mirror_rules` gives it, or raise."""
        entry = fields.mapping(raw, "a retention rule")
        stream = fields.required(entry, "stream", str, "a retention rule")
        what = f"the retention rule of {stream}"
        alias = fields.optional(entry, "legacy_alias", str, what)
        directory = fields.required(entry, "directory", str, what)
        try:
            keep = Keep.parse(entry.get("keep"))
            if alias is not None:
                check_alias(alias)
        except StxMirrorError as error:
            raise StxMirrorError(f"{what}: {error}") from error
        return cls(
            stream=stream,
            directory=directory,
            keep=keep,
            audience=fields.optional(entry, "audience", str, what),
            description=fields.optional(entry, "description", str, what),
            legacy_alias=alias,
            retired=bool(fields.optional(entry, "retired", bool, what)),
        )

    def to_json(self) -> dict[str, object]:
        """Return what :meth:`parse` reads."""
        return {
            "stream": self.stream,
            "directory": self.directory,
            "keep": self.keep.to_json(),
            "audience": self.audience,
            "description": self.description,
            "legacy_alias": self.legacy_alias,
            "retired": self.retired,
        }

    def fits(self, directory: str) -> bool:
        """Say whether builds of ``directory`` are this rule's, be there a closer one or not."""
        prefix, star, suffix = self.directory.partition("*")
        if not star:
            return directory == self.directory
        name = directory[len(prefix) : len(directory) - len(suffix)]
        return (
            directory.startswith(prefix)
            and directory.endswith(suffix)
            and name != ""
            and "/" not in name
        )


def rule_for(rules: Iterable[Rule], directory: str) -> Rule | None:
    """Return the rule for a stream's directory, or ``None``.

    A rule without ``*`` comes first, then the longest.
    """
    fitting = [rule for rule in rules if rule.fits(directory)]
    return max(
        fitting,
        key=lambda rule: ("*" not in rule.directory, len(rule.directory)),
        default=None,
    )


@dataclass(frozen=True)
class Policy:
    """The retention policy of a mirror; ``max_delete_share`` (above 0 to 1) may go at once."""

    rules: tuple[Rule, ...]
    release_period_days: int
    max_delete_share: float

    @classmethod
    def parse(cls, raw: Mapping[str, object], what: str) -> Policy:
        """Read ``rules``, ``release_period_days`` and ``max_delete_share`` of ``what``."""
        rules = tuple(Rule.parse(entry) for entry in fields.items(raw, "rules", what))
        period = fields.required(raw, "release_period_days", int, what)
        if period <= 0:
            raise StxMirrorError(f"'release_period_days' in {what} must be above 0: correct it")
        share = fields.number(raw, "max_delete_share", what)
        if not 0 < share <= 1:
            raise StxMirrorError(f"'max_delete_share' in {what} must be above 0 and at most 1")
        return cls(rules, period, share)

    def rule_for(self, directory: str) -> Rule | None:
        """Return the rule for a stream's directory, or ``None``."""
        return rule_for(self.rules, directory)

    def keep_until(self, build: BuildId) -> datetime | None:
        """Return until when a build is kept by today's rules; ``None`` is forever, or no rule."""
        rule = self.rule_for(build.directory)
        return rule.keep.until(build.build_date, self.release_period_days) if rule else None


@dataclass(frozen=True)
class Promise:
    """Until when a build was promised to be kept as it was published; ``None`` is forever."""

    until: datetime | None


@dataclass(frozen=True)
class ListedBuild:
    """What a plan needs to know of a build: ``hold`` is the reason of a person's mark."""

    id: BuildId
    is_success: bool
    promise: Promise | None = None
    hold: str | None = None
    is_publishing: bool = False

    @classmethod
    def parse(cls, raw: object) -> ListedBuild:
        """Read a build as ``mirrorctl list`` shows it, or raise."""
        entry = fields.mapping(raw, "a build of the listing")
        build = BuildId.parse(fields.required(entry, "id", str, "a build of the listing"))
        what = f"{build} in the listing"
        promise = None
        if "keep_until" in entry:
            until = fields.optional(entry, "keep_until", str, what)
            promise = Promise(None if until is None else parse_time(until))
        return cls(
            id=build,
            is_success=fields.required(entry, "result", str, what) == "success",
            promise=promise,
            hold=fields.optional(entry, "hold", str, what),
            is_publishing=bool(fields.optional(entry, "publishing", bool, what)),
        )


@dataclass(frozen=True)
class Step:
    """What a plan says of one build; ``keep_until`` ``None`` is forever."""

    id: BuildId
    is_deletion: bool
    why: str
    keep_until: datetime | None

    def to_json(self) -> dict[str, str | None]:
        """Return the step as playbooks get it."""
        return {
            "id": str(self.id),
            "action": "delete" if self.is_deletion else "keep",
            "why": self.why,
            "keep_until": format_time(self.keep_until),
        }


def plan(
    builds: Iterable[ListedBuild], policy: Policy, now: datetime, *, aliases: Collection[str]
) -> list[Step]:
    """Say of every build whether it is kept or deleted, and why, newest first.

    ``aliases`` are the ids that aliases point at. The order of the input does not matter, and the
    time needed grows about as their number.
    """
    moment = in_utc(now)
    protected = frozenset(aliases)
    rule_of: dict[str, Rule | None] = {}
    good_seen: set[str] = set()
    steps = []
    for build in _newest_first(builds):
        directory = build.id.directory
        if directory not in rule_of:
            rule_of[directory] = policy.rule_for(directory)
        rule = rule_of[directory]
        # One that is still being published protects none: it may yet be refused.
        newest_good = build.is_success and not build.is_publishing and directory not in good_seen
        if newest_good:
            good_seen.add(directory)
        until, reason = _kept_until(build, rule, policy.release_period_days)
        protection = _protection(
            build, rule, is_alias_target=str(build.id) in protected, is_newest_good=newest_good
        )
        if protection is not None:
            steps.append(Step(build.id, False, protection, until))
        elif until is None:
            steps.append(Step(build.id, False, f"kept for ever ({reason})", until))
        elif moment <= until:
            why = f"kept until {format_time(until)} ({reason})"
            steps.append(Step(build.id, False, why, until))
        else:
            why = f"was kept until {format_time(until)} ({reason})"
            steps.append(Step(build.id, True, why, until))
    return steps


def refusal(steps: Sequence[Step], max_delete_share: float) -> str | None:
    """Return why a plan may not be carried out without ``--allow-more``, or ``None``."""
    to_delete = sum(step.is_deletion for step in steps)
    if to_delete <= max_delete_share * len(steps):
        return None
    return (
        f"the plan would delete {to_delete} of {len(steps)} builds, more than the share of "
        f"{max_delete_share:.0%} that may go at once: look at it with `stx-mirror prune --check`, "
        "and add --allow-more if it is right"
    )


def alias_targets(aliases: Mapping[str, Mapping[str, str]]) -> frozenset[str]:
    """Return the ids that aliases point at, of ``{directory: {alias: build-date}}``."""
    return frozenset(
        f"{directory}/{build_date}"
        for directory, links in aliases.items()
        for build_date in links.values()
    )


def _newest_first(builds: Iterable[ListedBuild]) -> list[ListedBuild]:
    ordered = sorted(builds, key=lambda build: str(build.id))
    ordered.sort(key=lambda build: build.id.build_date, reverse=True)
    for before, after in zip(ordered, ordered[1:]):
        if before.id == after.id:
            raise StxMirrorError(f"the build {after.id} is listed twice: list every build once")
    return ordered


def _kept_until(
    build: ListedBuild, rule: Rule | None, release_period_days: int
) -> tuple[datetime | None, str]:
    """Return the later of what the rule says today and the promise once made, and which it is."""
    reasons: list[tuple[datetime | None, str]] = []
    if rule is not None:
        today = rule.keep.until(build.id.build_date, release_period_days)
        reasons.append((today, f"stream {rule.stream}: {rule.keep}"))
    if build.promise is not None:
        reasons.append((build.promise.until, "promised when it was published"))
    # Of two equal ones max() takes the first, which is the rule's: it says more.
    return max(reasons, key=lambda reason: reason[0] or _FOREVER, default=(None, ""))


def _protection(
    build: ListedBuild, rule: Rule | None, *, is_alias_target: bool, is_newest_good: bool
) -> str | None:
    """Return why a build stays whatever its date is, or ``None``."""
    if build.is_publishing:
        return "it is being published"
    if build.hold:
        return f"held: {build.hold}"
    if rule is None:
        return _NO_RULE
    if is_alias_target and not rule.retired:
        return "an alias points at it"
    if is_newest_good and not rule.retired:
        return "the newest success of its stream"
    return None
