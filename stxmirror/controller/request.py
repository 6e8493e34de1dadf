"""What a person or cron asked of a stream's unit; handed to it as JSON on standard input."""

from __future__ import annotations

import json
import re
import secrets
import time
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from stxmirror import schema
from stxmirror.errors import StxMirrorError
from stxmirror.layout import BuildId, check_ref, check_word
from stxmirror.times import format_build_date, format_time

SCHEMA_NAME = "request-1"


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
        found = schema.findings(asdict(self), SCHEMA_NAME)
        if found:
            raise StxMirrorError("; ".join(f"the request's {problem}" for problem in found))
        check_ref(self.ref)
        _check_reason(self.reason)
        for build_id in (self.resume_id, self.build_id):
            if build_id:
                BuildId.parse(build_id)
        if self.from_stage:
            check_word(self.from_stage, "stage")
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
            return cls(**json.loads(text))
        except StxMirrorError:
            raise
        except (TypeError, ValueError) as error:
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


def _check_reason(reason: str) -> None:
    """Refuse a reason that is not one plain line; Ansible must not see a template."""
    if not reason.strip() or not reason.isprintable():
        raise StxMirrorError("the reason is not one line of text: say in a few words why you build")
    if re.search(r"\{[{%#]", reason):
        raise StxMirrorError("the reason has '{{', '{%' or '{#' in it: say it in plain words")
