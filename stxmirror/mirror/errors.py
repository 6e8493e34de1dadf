"""What ``mirrorctl`` reports when it cannot do as asked, and the exit codes that go with it."""

from __future__ import annotations

import errno

from stxmirror.errors import StxMirrorError

EXIT_FAULT = 1
EXIT_REFUSED = 2
# sysexits.h EX_TEMPFAIL: the same call may well succeed a little later.
EXIT_BUSY = 75

NO_MEMORY = "the mirror has not enough memory: end what takes it there and run the same again"
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


class Busy(StxMirrorError):
    """Somebody else is at it: the same call may well succeed a little later."""


def shown(name: str) -> str:
    """Return a name that came from elsewhere so that it can neither break a line nor a terminal."""
    return ascii(name) if len(name) <= 200 else ascii(name[:200]) + "..."


def explain(error: OSError) -> str:
    """Return one sentence that says what an error of the operating system asks of a person."""
    if error.errno in NO_ROOM:
        return (
            "the mirror's disk is full: nothing was published by half; make room there "
            "(mirrorctl prune, or a larger volume) and run the same again"
        )
    if error.errno == errno.ENOMEM:
        return NO_MEMORY
    where = f" ({error.filename})" if error.filename else ""
    return (
        f"the mirror's disk failed: {error.strerror}{where}: see to it there and run the same again"
    )
