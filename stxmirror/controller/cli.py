"""The command ``stx-mirror``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import NoReturn

from stxmirror import __version__, parts, streams
from stxmirror.controller import client, remotes, show
from stxmirror.controller.inventory import load_streams, stage_names
from stxmirror.controller.play import play
from stxmirror.controller.request import Request
from stxmirror.errors import StxMirrorError
from stxmirror.layout import project_name
from stxmirror.state.builds import read_record
from stxmirror.state.files import read_json
from stxmirror.state.paths import Paths

EPILOG = """\
exit status: 0 done (also: nothing new to build), 1 the build failed or was not published, 2 bad
arguments or configuration, 75 the stream is being built already, 130 stopped watching (Ctrl-C; the
build goes on)."""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as every other error of this command."""

    def error(self, message: str) -> NoReturn:
        """Refuse the command line."""
        self.exit(2, f"stx-mirror: {message}; see {self.prog} --help\n")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    top = _Parser(
        prog="stx-mirror",
        description="Builds streams on this host and brings them to the mirror.",
        epilog=EPILOG,
    )
    top.add_argument("--version", action="version", version=__version__)
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")

    build = verbs.add_parser("build", help="build a branch or tag and publish it", epilog=EPILOG)
    build.add_argument("ref", nargs="?", metavar="REF", help="such as master or f/<feature>")
    build.add_argument("--reason", default="", help="why, in a few words; it is published")
    build.add_argument(
        "--trigger",
        choices=("cron", "person"),
        default="person",
        help="cron prints nothing unless the build fails",
    )
    build.add_argument(
        "--force", action="store_true", help="also when nothing changed since the last good build"
    )
    build.add_argument(
        "--resume",
        metavar="ID",
        default="",
        help="go on in the work directory of this build, under a new id",
    )
    build.add_argument(
        "--from",
        metavar="STAGE",
        dest="from_stage",
        default="",
        help=f"with --resume: the stage to begin at, or {parts.AFTER_STAGES}",
    )

    publish = verbs.add_parser("publish", help="publish a build of this host that is not yet")
    publish.add_argument("id", metavar="ID")

    status = verbs.add_parser("status", help="what runs, how the last run ended, the last good one")
    status.add_argument("ref", nargs="?", metavar="REF")

    for name, words in (
        ("follow", "watch a build that runs"),
        ("stop", "end a build that runs, with everything it started"),
    ):
        verb = verbs.add_parser(name, help=words)
        verb.add_argument("ref", metavar="REF")

    prune = verbs.add_parser("prune", help="delete what retention no longer keeps")
    prune.add_argument("--check", action="store_true", help="only show what would be deleted")
    prune.add_argument(
        "--allow-more",
        action="store_true",
        help="also when more of the mirror's builds would go than its max_delete_share",
    )
    return top


def main(arguments: Sequence[str] | None = None, paths: Paths | None = None) -> int:
    """Carry out a command line; return the exit code."""
    given = parser().parse_args(arguments)
    paths = paths or Paths()
    try:
        # First of all: the inventory and the records are nobody else's to read.
        client.become_orchestrator()
        return _VERBS[given.verb](paths, given)
    except client.BusyError as error:
        sys.stderr.write(f"stx-mirror: {error}\n")
        return client.EXIT_BUSY
    except StxMirrorError as error:
        sys.stderr.write(f"stx-mirror: {error}\n")
        return 2


def _now() -> datetime:
    return datetime.now(timezone.utc)


def _build(paths: Paths, given: argparse.Namespace) -> int:
    if given.ref is None and not given.resume:
        raise StxMirrorError("name the branch or tag to build, such as `stx-mirror build master`")
    known = load_streams(paths)
    ref = given.ref
    if given.resume:
        ref = _resumed_ref(paths, given)
    stream = streams.stream_for(known, ref)
    if stream.retired:
        raise StxMirrorError(
            f"stream {stream.name} is retired: take `retired` out of the inventory to build it"
        )
    if given.resume:
        _check_stage(stream.profile, given.from_stage)
    elif given.trigger == "person":
        # Before anything is opened: a typing error is no build that failed.
        remotes.check_exists(stream.manifest, ref)
    request = Request.make(
        _now(),
        verb="build",
        ref=ref,
        reason=given.reason or ("on schedule" if given.trigger == "cron" else "on request"),
        trigger=given.trigger,
        force=given.force,
        resume_id=given.resume,
        from_stage=given.from_stage,
    )
    directory = streams.directory_for(stream, ref)
    return client.run(paths, request, directory, stream.time_limit)


def _resumed_ref(paths: Paths, given: argparse.Namespace) -> str:
    record = read_record(paths, given.resume)
    if given.ref is not None and given.ref != record["ref"]:
        raise StxMirrorError(f"{given.resume} is a build of {record['ref']}, not of {given.ref}")
    if not given.from_stage:
        raise StxMirrorError(
            f"say where to go on: --from STAGE ({record['failed_stage']} failed)"
            if record["failed_stage"]
            else "say where to go on: --from STAGE"
        )
    return str(record["ref"])


def _check_stage(profile: str, stage: str) -> None:
    names = parts.resumable(stage_names(profile))
    if stage not in names:
        raise StxMirrorError(
            f"profile {profile} has no stage {stage!r}: resume from one of {', '.join(names)}"
        )


def _publish(paths: Paths, given: argparse.Namespace) -> int:
    record = read_record(paths, given.id)
    stream = streams.stream_for(load_streams(paths), record["ref"])
    directory = streams.directory_for(stream, record["ref"])
    request = Request.make(
        _now(), verb="publish", ref=record["ref"], reason="publish again", build_id=given.id
    )
    return client.run(paths, request, directory, stream.time_limit)


def _status(paths: Paths, given: argparse.Namespace) -> int:
    known = load_streams(paths)
    if given.ref is not None:
        streams.stream_for(known, given.ref)
    refs = [given.ref] if given.ref is not None else show.known_refs(paths, known)
    print("\n".join(show.status_lines(paths, known, refs, _now())))
    return 0


def _follow(paths: Paths, given: argparse.Namespace) -> int:
    directory = _directory(paths, given.ref)
    project = project_name(given.ref)
    running = read_json(paths.running(project))
    if running is None:
        print(f"nothing runs for {given.ref}; see `stx-mirror status {given.ref}`")
        return 0
    try:
        client.follow(paths, project, str(running["request"]), directory, sys.stdout)
    except KeyboardInterrupt:
        return client.EXIT_INTERRUPTED
    return 0


def _stop(paths: Paths, given: argparse.Namespace) -> int:
    directory = _directory(paths, given.ref)
    if not client.unit_is_there(directory):
        print(f"nothing runs for {given.ref}")
        return 0
    client.stop(paths, directory)
    print(f"stopped; see `stx-mirror status {given.ref}`")
    return 0


def _prune(paths: Paths, given: argparse.Namespace) -> int:
    load_streams(paths)
    variables = {"prune_allow_more": True} if given.allow_more else {}
    return play(paths, "prune", variables, check=given.check)


def _directory(paths: Paths, ref: str) -> str:
    stream = streams.stream_for(load_streams(paths), ref)
    return streams.directory_for(stream, ref)


_VERBS = {
    "build": _build,
    "publish": _publish,
    "status": _status,
    "follow": _follow,
    "stop": _stop,
    "prune": _prune,
}

if __name__ == "__main__":
    sys.exit(main())
