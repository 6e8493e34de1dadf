"""What a person or cron asked of a stream's unit; handed to it as JSON on standard input."""

from __future__ import annotations

import json
import re
import secrets
import time
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

from stxmirror.errors import StxMirrorError
from stxmirror.layout import BuildId, check_ref, check_word
from stxmirror.times import format_build_date, format_time

VERBS = ("build", "publish")
TRIGGERS = ("cron", "person")
REASON_MAX = 200

_TOKEN = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{6}", re.ASCII)


@dataclass(frozen=True)
class Request:
    """One request; every instance is valid.

    ``token`` names the run (its logs, its status), ``started`` is when it was asked for, UTC.
    """

    token: str
    started: str
    verb: str
    ref: str
    reason: str
    trigger: str = "person"
    force: bool = False
    resume_id: str = ""
    from_stage: str = ""
    build_id: str = ""

    def __post_init__(self) -> None:
        """Refuse what no later step could make sense of."""
        check_ref(self.ref)
        check_reason(self.reason)
        for build_id in (self.resume_id, self.build_id):
            if build_id:
                BuildId.parse(build_id)
        if self.from_stage:
            check_word(self.from_stage, "stage")
        if not _TOKEN.fullmatch(self.token) or self.verb not in VERBS:
            raise StxMirrorError(f"the request {self.verb!r} {self.token!r} is not understood")
        if self.trigger not in TRIGGERS or not isinstance(self.force, bool):
            raise StxMirrorError("the request's trigger is cron or person, its force a boolean")
        if bool(self.resume_id) != bool(self.from_stage):
            raise StxMirrorError("--resume and --from go together: which build, from which stage")
        if (self.verb == "publish") != bool(self.build_id):
            raise StxMirrorError("a build id is given to publish a build, and only then")

    @classmethod
    def make(cls, when: datetime, **values: Any) -> Request:
        """Return a request that is made at this moment, under a name of its own."""
        token = f"{format_build_date(when)}-{secrets.token_hex(3)}"
        return cls(token=token, started=str(format_time(when)), **values)

    @classmethod
    def from_json(cls, text: str) -> Request:
        """Read what :meth:`to_json` wrote."""
        try:
            values = json.loads(text)
            known = {field.name for field in fields(cls)}
            return cls(**{key: value for key, value in values.items() if key in known})
        except (AttributeError, TypeError, ValueError) as error:
            raise StxMirrorError(f"the request is not understood: {error}") from error

    def to_json(self) -> str:
        """Return the request as a JSON object."""
        return json.dumps(asdict(self))

    def extra_vars(self, time_limit: int) -> dict[str, Any]:
        """Return the playbook's extra variables; the deadline is ``time_limit`` s from now."""
        return {
            "stream": self.ref,
            "reason": self.reason,
            "trigger": self.trigger,
            "force": self.force,
            "resume_id": self.resume_id,
            "from_stage": self.from_stage,
            "build_id": self.build_id,
            "request": self.token,
            "request_started": self.started,
            # Seconds since the epoch.
            "deadline": int(time.time()) + time_limit,
        }


def check_reason(reason: str) -> str:
    """Return the reason of a build if it is one plain line; Ansible must not see a template."""
    if not isinstance(reason, str) or not reason.strip() or not reason.isprintable():
        raise StxMirrorError("the reason is not one line of text: say in a few words why you build")
    if len(reason) > REASON_MAX or re.search(r"\{[{%#]", reason):
        raise StxMirrorError(
            f"the reason is longer than {REASON_MAX} characters or has '{{{{', '{{%' or '{{#' "
            "in it: say it in plain words"
        )
    return reason
