"""The command line of ``mirrorctl``."""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import sys
import traceback
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import NoReturn

import stxmirror
from stxmirror.errors import StxMirrorError
from stxmirror.layout import BuildId
from stxmirror.mirror import (
    begin,
    catalog,
    dispatch,
    index,
    privileges,
    promote,
    prune,
    repair,
    repair_state,
    verify,
)
from stxmirror.mirror.config import DEFAULT_PATH, Config, load
from stxmirror.mirror.errors import EXIT_BUSY, EXIT_FAULT, EXIT_REFUSED, NO_MEMORY, Busy, explain
from stxmirror.mirror.manifest import MANIFEST_BYTES_MAX
from stxmirror.mirror.store import Store

# The verbs of the account that receives: what it received the tree's owner may only read.
_RECEIVING = {
    "begin": lambda config, call, args, data: privileges.begin(
        config, call, args.id, data, args.key
    ),
    "promote": lambda config, call, args, data: privileges.promote(config, call, args.id),
    "expire": lambda config, call, args, data: privileges.expire(config, call),
    "known": lambda config, call, args, data: privileges.known(call, data),
}
_TREE = {
    "begin": lambda store, args, data: begin.begin(store, args.id, data),
    "promote": lambda store, args, data: promote.promote(store, args.id),
    "expire": lambda store, args, data: catalog.expire(store),
    "known": lambda store, args, data: catalog.known(store, data),
    "list": lambda store, args, data: catalog.listing(store),
    "prune": lambda store, args, data: prune.prune(store, data),
    "hold": lambda store, args, data: catalog.hold(store, args.id, args.reason),
    "unhold": lambda store, args, data: catalog.unhold(store, args.id),
    "withdraw": lambda store, args, data: catalog.withdraw(store, args.id, args.reason),
    "pages": lambda store, args, data: catalog.make_pages(store),
    "verify": lambda store, args, data: verify.verify(store, args.id, args.sample),
    "repair": lambda store, args, data: repair.repair(store, args.id),
    "repair-state": lambda store, args, data: repair_state.repair_state(store, args.id),
}
_DAYS_MAX = 3650
_WITH_INPUT = frozenset({"begin", "known", "prune"})


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, like everything else here."""

    def error(self, message: str) -> NoReturn:
        raise StxMirrorError(f"{message} (see {self.prog} --help)")


def _build_id(text: str) -> BuildId:
    try:
        return BuildId.parse(text)
    except StxMirrorError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _days(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= _DAYS_MAX:
        raise argparse.ArgumentTypeError(f"give whole days, 1 to {_DAYS_MAX}")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="mirrorctl",
        description="Publishes builds on this mirror, and takes away what retention lets go.",
    )
    parser.add_argument("--version", action="version", version=stxmirror.__version__)
    parser.add_argument("--config", type=Path, default=DEFAULT_PATH, help="(%(default)s)")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(name: str, text: str) -> argparse.ArgumentParser:
        return verbs.add_parser(name, help=text, description=text)

    for name, text in (
        ("begin", "open an upload; the manifest comes on standard input"),
        ("promote", "verify what arrived, publish it, and move the alias if it is newer and good"),
        ("hold", "keep a build whatever the rules say"),
        ("unhold", "let retention decide about a build again"),
        ("withdraw", "take a build away against the rules"),
    ):
        parser_of = verb(name, text)
        parser_of.add_argument("id", type=_build_id, metavar="ID", help="the build")
        if name in ("hold", "withdraw"):
            parser_of.add_argument("--reason", required=True, help="what readers are told")
    verb("known", 'say of {"builds": [IDs]} on standard input whether readers can see them')
    verb("list", "show every build with its promise, the aliases and the policy")
    verb("prune", 'delete, of {"delete": [IDs]} on standard input, what the rules let go')
    verb("pages", "make the mirror's pages anew")
    verb("expire", "close uploads that nobody promoted in time")
    parser_of = verb("verify", "compare the tree with what was published, and read its bytes again")
    parser_of.add_argument("id", type=_build_id, metavar="ID", nargs="?", help="one build")
    parser_of.add_argument(
        "--sample",
        type=_days,
        metavar="DAYS",
        help="read a slice only: run every day, it reads every byte within so many days",
    )
    parser_of = verb("repair", "mend a build from intact copies, and say what is left to do")
    parser_of.add_argument(
        "id", type=_build_id, metavar="ID", nargs="?", help="one build, else all that verify named"
    )
    parser_of = verb("repair-state", "make damaged state files anew, as far as that can be known")
    parser_of.add_argument("id", type=_build_id, metavar="ID", nargs="?", help="one build")
    parser_of = verb("dispatch", "the forced command of a key: do what the connection asks for")
    parser_of.add_argument("role", choices=sorted(dispatch.VERBS))
    parser_of.add_argument("--key", default="", help="which key it is, among several of one role")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; return the exit code (0, 1 fault, 2 refused, 75 try again later)."""
    # Everybody may read the tree, whatever umask this was started under.
    os.umask(0o022)
    try:
        args = _parser().parse_args(argv)
        config = load(args.config)
        try:
            reply = _run(config, args)
        except sqlite3.DatabaseError as error:
            return _index_trouble(config, error)
    except Exception as error:
        return _failed(*_problem(error))
    try:
        print(json.dumps(reply, indent=1), flush=True)
    except BrokenPipeError:
        # Whoever asked has seen enough; Python would try once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return EXIT_FAULT if reply.get("problems") else 0


def _index_trouble(config: Config, error: sqlite3.DatabaseError) -> int:
    if isinstance(error, sqlite3.OperationalError):
        return _failed(
            f"the mirror's index cannot be used ({error}): make room, or see to the disk there",
            EXIT_FAULT,
        )
    index.drop_damaged(config.state)
    return _failed("the mirror's index was damaged and is dropped: run it again", EXIT_BUSY)


def _problem(error: Exception) -> tuple[str, int]:
    """Return the sentence and the exit code for an error."""
    if isinstance(error, Busy):
        return str(error), EXIT_BUSY
    if isinstance(error, StxMirrorError):
        return str(error), getattr(error, "code", EXIT_REFUSED)
    if isinstance(error, OSError):
        return explain(error), EXIT_FAULT
    if isinstance(error, MemoryError):
        return NO_MEMORY, EXIT_FAULT
    # An admin needs one line and whom to ask, not the way through the source.
    last = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(last.filename).name}:{last.lineno}"
    return f"mirrorctl itself failed at {place} ({error!r}): report this as a defect", EXIT_FAULT


def _failed(message: str, code: int) -> int:
    print(f"mirrorctl: {' '.join(message.split())}", file=sys.stderr)
    return code


def _run(config: Config, args: argparse.Namespace) -> dict[str, object]:
    key = ""
    if args.verb == "dispatch":
        key = args.key
        command = os.environ.get("SSH_ORIGINAL_COMMAND", "")
        words = dispatch.allowed(args.role, command)
        if words[0] == "rsync":
            dispatch.run_rsync(config, words)
        args = _parser().parse_args(["--config", str(args.config), *words[1:]])
    args.key = key
    data = sys.stdin.buffer.read(MANIFEST_BYTES_MAX + 1) if args.verb in _WITH_INPUT else b""
    tree_owner, receiver = privileges.owners(config)
    me = os.geteuid()
    if me == 0 and tree_owner != 0:
        me = receiver if args.verb in _RECEIVING else tree_owner
        privileges.become(me)
    if me == tree_owner == receiver and args.verb in _RECEIVING:
        return _RECEIVING[args.verb](config, _in_process(config), args, data)
    if me == tree_owner:
        return _on_tree(config, args, data)
    if me == receiver and args.verb in _RECEIVING:
        call = privileges.through_sudo(config, str(Path(sys.argv[0]).resolve()))
        return _RECEIVING[args.verb](config, call, args, data)
    raise StxMirrorError(
        f"{config.public} belongs to another account: run this as its owner, or as root"
    )


def _on_tree(config: Config, args: argparse.Namespace, data: bytes) -> dict[str, object]:
    return _TREE[args.verb](Store(config, datetime.now(timezone.utc)), args, data)


def _in_process(config: Config) -> privileges.Call:
    def call(arguments: list[str], data: bytes) -> dict[str, object]:
        return _on_tree(config, _parser().parse_args(arguments), data)

    return call
