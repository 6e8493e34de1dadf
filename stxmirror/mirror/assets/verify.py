#!/usr/bin/env python3
"""Check what came from this mirror, or get it: one file, Python 3.6 or later, nothing else.

  verify.py DIRECTORY [BUILD]   a build's directory, whole or in part
  verify.py FILE [BUILD]        one file that was downloaded; BUILD is the address of its build or
                                its SHA256SUMS (left out: the SHA256SUMS beside it)
  verify.py URL                 a build on a mirror, by its dated address or an alias
  verify.py --get --stream master MIRROR
                                the newest good ISO of a stream, from the mirror at this address

Checks the signature of SHA256SUMS, by gpgv or gpg, and the files in it, and says the outcome in one
line. Exit code: 0 good, 1 something is wrong, 2 wrong use, or not all could be reached or checked.
"""

import argparse
import base64
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
from fnmatch import fnmatchcase
from http.client import HTTPException
from pathlib import Path
from subprocess import PIPE, run
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

SUMS, SIGNATURE, RECORD = "SHA256SUMS", "SHA256SUMS.asc", "build.json"
ISO, KEY, INDEX = "outputs/iso/bootimage.iso", "assets/signing-key.asc", "builds.json"
SECONDS, LIST_MAX = 30, 256 << 20  # without a byte from a server; bytes of a list held in memory
DATE = r"[0-9]{8}T[0-9]{6}Z"
BUILD_ID = re.compile("(?:[A-Za-z0-9][A-Za-z0-9._-]*/)+" + DATE)
# The names that a mirror publishes: none leaves the build's directory or begins with a dot.
PART = r"[A-Za-z0-9_][A-Za-z0-9._+~^@%=,:-]*"
SUMS_LINE = re.compile(rf"([0-9a-f]{{64}}) [ *]({PART}(?:/{PART})*)")
# What means a drive or a device on Windows, which no file can be called there.
WINDOWS_OWN = re.compile(r"(?i):|\.(/|$)|(^|/)(con|prn|aux|nul|com[0-9]|lpt[0-9])([./]|$)")
NO_NAME = WINDOWS_OWN if os.name == "nt" else re.compile("(?!)")
ARMOUR = re.compile(rb"-----BEGIN PGP PUBLIC KEY BLOCK-----(.*?)-----END PGP", re.DOTALL)
# What gpg says of a signature that is no good one, see doc/DETAILS of GnuPG.
TROUBLES = {
    "BADSIG": "the signature of SHA256SUMS does not fit it",
    "EXPSIG": "the signature of SHA256SUMS has expired",
    "EXPKEYSIG": "SHA256SUMS is signed by the key {}, which has expired",
    "REVKEYSIG": "SHA256SUMS is signed by the key {}, which was revoked",
    "ERRSIG": "SHA256SUMS is signed by the key {}, which is no key of {}",
}


class Wrong(Exception):
    """What is published, or what lies here, is not as it has to be."""


class Unable(Exception):
    """Wrong use, or something that cannot be reached, read or checked."""


class Build(NamedTuple):
    """What one build consists of."""

    id: str  # or its place, if its build.json is not there
    sums: Dict[str, str]
    signed: str  # by whom, in words
    unchecked: str  # what of that could not be checked
    lists: Dict[str, bytes]  # SHA256SUMS, its signature and build.json


def shown(text: object) -> str:
    """Return somebody else's text without anything that a terminal could obey."""
    return ascii(str(text))[1:-1][:200]


def some(names: List[str]) -> str:
    """Return the first of many names, and how many more there are."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def ask(url: str, start: int = 0) -> Any:
    """Return a server's response from byte ``start`` on; ``None`` if there is no such file."""
    if not re.match("https?://", url):
        raise Unable(f"{shown(url)} is no address on a mirror: it begins with http:// or https://")
    headers = {"User-Agent": "verify.py", "Accept-Encoding": "identity"}
    headers.update({"Range": f"bytes={start}-"} if start else {})
    try:
        return urlopen(Request(url, headers=headers), timeout=SECONDS)
    except HTTPError as error:
        if error.code == 416 and start:
            return error
        if error.code not in (404, 410):
            raise Unable(f"{url} cannot be read: the server says {error.code}") from error
    except (OSError, HTTPException, ValueError) as error:
        raise Unable(f"{shown(url)} cannot be reached: {shown(error)}") from error
    return None


def blocks(stream: Any, what: object) -> Iterator[bytes]:
    """Yield what a file or a response has; raise if that is less than was announced."""
    left = int(getattr(stream, "headers", {}).get("Content-Length") or -1)
    try:
        with stream:
            for piece in iter(lambda: stream.read(1 << 20), b""):
                left -= len(piece)
                yield piece
    except (OSError, HTTPException) as error:
        raise Unable(f"{what} broke off: {shown(error)}") from error
    if left > 0:
        raise Unable(f"{what} broke off {left} bytes before its end")


def pieces(place: object, name: str) -> Optional[Iterator[bytes]]:
    """Return the bytes of a file in a directory, be it on a mirror; ``None`` without one."""
    if "://" in str(place):
        response = ask(f"{place}/{quote(name)}")
        return response and blocks(response, f"{place}/{name}")
    path = Path(str(place), name)
    if NO_NAME.search(name) or not os.path.lexists(str(path)):
        return None
    if not path.is_file():
        raise Wrong(f"{path} is no file")
    return blocks(path.open("rb"), path)


def small(place: object, name: str) -> Optional[bytes]:
    """Return a list, a key or a record; ``None`` if it is not there."""
    found, data = pieces(place, name), bytearray()
    for piece in found or ():
        data += piece
        if len(data) > LIST_MAX:
            raise Wrong(f"{place}/{name} is larger than such a file can be")
    return None if found is None else bytes(data)


def sha256(data: Optional[Iterable[bytes]]) -> str:
    """Return the digest of a file, "" of none."""
    digest = hashlib.sha256()
    for piece in data or ():
        digest.update(piece)
    return "" if data is None else digest.hexdigest()


def dated(url: str) -> str:
    """Return the address of the build that a URL means now: an alias is asked once, it may move."""
    url = re.sub(r"[?#].*|/(?:(?:in|out)puts/.*|SHA256SUMS(?:\.asc)?|build\.json)?$", "", url)
    above, _, last = url.rpartition("/")
    if not re.fullmatch(DATE, last):
        last = id_of(small(url, RECORD), url)[-16:]
    return f"{above}/{last}"


def id_of(record: Optional[bytes], place: str) -> str:
    """Return the id that a build.json has."""
    try:
        found = str(json.loads(record or b"")["id"])
    except (ValueError, KeyError, TypeError, RecursionError):
        found = ""
    if not BUILD_ID.fullmatch(found):
        raise Unable(f"{place} has no record of a build: name a dated directory or latest_build")
    return found


def load(place: str, key: str, unsigned: bool) -> Build:
    """Return what a build consists of, by its list; the signature of that is checked first."""
    sums, record = small(place, SUMS), small(place, RECORD)
    if sums is None:
        raise Unable(f"{place} has no {SUMS}: name a build's directory or its address")
    lists = {SUMS: sums}
    signed, unchecked = "signature NOT checked (--unsigned)", ""
    if not unsigned:
        signature = small(place, SIGNATURE)
        if signature is None:
            raise Wrong(f"{place} is not signed, it has no {SIGNATURE}: --unsigned takes it so")
        lists[SIGNATURE] = signature
        signed, unchecked = check_signature(sums, signature, *keys_for(place, key))
    found = {}  # type: Dict[str, str]
    for number, line in enumerate(sums.decode("ascii", "replace").rstrip("\n").split("\n"), 1):
        match = SUMS_LINE.fullmatch(line)
        if not match or match.group(2) in found:
            what = f"line {number} of {SUMS} in {place}"
            raise Wrong(f"{what} is not '<sha256>  <path>' of one more file: {shown(line)}")
        found[match.group(2)] = match.group(1)
    name = place
    if record is not None:
        if sha256([record]) != found.get(RECORD):
            raise Wrong(f"{place}/{RECORD} differs from {SUMS}")
        name, lists[RECORD] = id_of(record, place), record
    # An address may begin with an alias of the release, such as r2018.10 for release/2018.10.
    tail = name.split("/", 2)[2] if name.startswith("release/") else name
    if "://" in place and (record is None or not place.endswith(f"/{tail}")):
        raise Wrong(f"{place} has {'no ' + RECORD if record is None else 'the files of ' + name}")
    return Build(name, found, signed, unchecked, lists)


def keys_for(place: str, file: str) -> Tuple[bytes, str]:
    """Return the keys to check with, as gpgv reads them, and where they are from."""
    above = place if "://" in place else Path(place).resolve().as_posix()
    found = ARMOUR.findall(Path(file).read_bytes()) if file else []
    # Not above the host. A server may answer with a page where it has nothing.
    while not file and not found and re.search(r"[^:/]/+[^/]+$", above):
        above = above.rpartition("/")[0]
        found = ARMOUR.findall(small(above, KEY) or b"")
    if not found:
        raise Unable(f"{file or KEY + ' of ' + place} has no armoured key: give one by --key FILE")
    # After the headers, before the checksum.
    bodies = [re.split(rb"\n\s*\n", block, maxsplit=1)[-1].partition(b"\n=")[0] for block in found]
    keys = b"".join(base64.b64decode(body) for body in bodies)
    return keys, file or "the mirror itself: compare it once with one from elsewhere"


def check_signature(sums: bytes, signature: bytes, keys: bytes, origin: str) -> Tuple[str, str]:
    """Return who signed a list, or else what could not be checked; raise if nobody rightly did."""
    program = shutil.which("gpgv") or shutil.which("gpg")
    if program is None:
        how = "here is no gpgv or gpg: install GnuPG, or take it so by --unsigned"
        return "", f"the signature was NOT checked, {how}"
    # In a directory of its own and by plain names: not every gpg on Windows knows its paths.
    command = [program, "--homedir", ".", "--keyring", "./keys.gpg", "--status-fd", "1"]
    command += ["--weak-digest", "SHA1"]
    if Path(program).stem.lower() == "gpg":
        command += ["--batch", "--no-options", "--no-default-keyring", "--lock-never"]
        command += ["--trust-model", "always", "--verify"]
    with tempfile.TemporaryDirectory() as scratch:
        for name, data in (("keys.gpg", keys), ("sig", signature), ("list", sums)):
            Path(scratch, name).write_bytes(data)
        done = run([*command, "sig", "list"], cwd=scratch, stdout=PIPE, stderr=PIPE, check=False)
    lines = re.findall(r"^\[GNUPG:\] (\w+) (.+)", done.stdout.decode("ascii", "replace"), re.M)
    found = {word: rest.split() for word, rest in lines}
    # While keys change a list may have two signatures: one good one is enough.
    if "VALIDSIG" in found and "GOODSIG" in found and "BADSIG" not in found:
        return f"signed by {found['VALIDSIG'][-1]} (a key of {origin})", ""
    for word, text in TROUBLES.items():
        if word in found:
            raise Wrong(text.format(shown(found[word][0]), origin.partition(":")[0]))
    raise Wrong(f"{SIGNATURE} is no OpenPGP signature of {SUMS}")


def listed(build: Build, name: str) -> List[str]:
    """Return the paths that a saved file may have in the list: some have a second name here."""
    iso = re.fullmatch(f"(.*)-({DATE})[.]iso", name)
    if iso and RECORD in build.lists and iso.group(2) != build.id[-16:]:
        raise Wrong(f"{shown(name)} is of another build than {build.id}")
    name = iso.group(1) + ".iso" if iso else re.sub(r"CONTEXT\.sh$", "CONTEXT", name)
    return [path for path in build.sums if name in (path, path.rpartition("/")[2])]


def check_place(build: Build, place: str) -> int:
    """Return how many files were found and are good; what a directory lacks is not wrong."""
    wrong, good = [], 0  # type: List[str], int
    names = {path: [path] for path in build.sums}
    saved = [Path(top, file) for top, _, files in os.walk(place) for file in files]
    for name in (path.relative_to(place).as_posix() for path in saved):
        if name not in build.sums and name not in (SUMS, SIGNATURE):
            names[name] = listed(build, name)
    for name, paths in sorted(names.items()):
        # Not the reader's own files beside the list, nor the listings that `wget -r` saves.
        if not paths and ("/" not in name or re.search(r"/index\.html([?@].*)?$", name)):
            continue
        digest = sha256(pieces(place, name))
        if digest and digest in [build.sums[path] for path in paths]:
            good += 1
        elif digest or "://" in place:
            why = " (missing)" if not digest else "" if paths else " (not listed)"
            wrong.append(shown(name) + why)
    if wrong:
        raise Wrong(f"{build.id}: not as {SUMS} has it: {some(wrong)}")
    if not good:
        raise Unable(f"{place} has no file of {build.id}: name the place or the file to check")
    return good


def choose(mirror: str, stream: str, at: str) -> str:
    """Return the address of a stream's newest good build, no newer than ``at``."""
    index = small(mirror, INDEX)
    if index is None:
        raise Unable(f"{mirror} is no mirror, it has no {INDEX}: name the address of its page")
    latest = re.sub(r"[-:]", "", at)
    latest += "T235959Z" if re.fullmatch("[0-9]{8}", latest) else ""
    if at and not re.fullmatch(DATE, latest):
        raise Unable(f"{shown(at)} is no time: write 2026-11-01 or 2026-11-01T02:00:00Z, in UTC")
    try:
        found = {
            build["id"]: str(build["directory"])
            for build in json.loads(index.decode())["builds"]
            if stream in (build["stream"], build["directory"]) and build["result"] == "success"
            if build["url"] and BUILD_ID.fullmatch(build["id"])
            if not at or build["id"][-16:] <= latest
        }
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Wrong(f"{mirror}/{INDEX} is not a list of builds") from error
    places = sorted(set(found.values()))
    if len(places) != 1:
        where = f"in {some(places)}: name one of these by --stream" if places else "in none"
        raise Unable(f"{mirror} has good builds of {stream} {where}")
    return f"{mirror}/{max(found)}"


def get(args: argparse.Namespace) -> str:
    """Download files of one build below a dated directory; return what was done."""
    place = choose(args.what.rstrip("/"), args.stream, args.at)
    build = load(place, args.key, args.unsigned)
    if build.unchecked:
        raise Unable(f"{build.id}: {build.unchecked}")
    paths = [path for path in build.sums if fnmatchcase(f"/{path}", f"*/{args.file}")]
    if not paths or any(NO_NAME.search(path) for path in paths):
        raise Unable(f"{place}/{SUMS} has no file {shown(args.file)} for this system")
    top = Path(build.id.replace("/", "-"))
    for name, data in build.lists.items():
        if small(top, name) not in (None, data):
            raise Wrong(f"{top / name} is another build's: move {top} away")
        top.mkdir(exist_ok=True)
        (top / name).write_bytes(data)
    for path in paths:
        name = path if path != ISO else f"{path[:-4]}-{build.id[-16:]}.iso"
        download(f"{place}/{quote(path)}", build.sums[path], top / name)
    saved = str(top / name) if len(paths) == 1 else f"{len(paths)} files in {top}"
    return f"good: {saved}, of {build.id}, {build.signed}"


def download(url: str, digest: str, target: Path) -> None:
    """Save a file under its name once it is whole and right; go on where an earlier run ended."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    if target.exists():
        if sha256(pieces(target.parent, target.name)) == digest:
            return
        raise Wrong(f"{target} is here and differs from what is published: move it away")
    start = part.stat().st_size if part.exists() else 0
    print(f"getting {url} from byte {start} on", file=sys.stderr)
    response = ask(url, start)
    if response is None:
        raise Wrong(f"{url} is missing, or was removed meanwhile")
    if response.getcode() != 416:
        with part.open("ab" if response.getcode() == 206 else "wb") as out:
            for piece in blocks(response, url):
                out.write(piece)
    if sha256(pieces(part.parent, part.name)) == digest:
        part.replace(target)
        return
    part.unlink()
    if not start:
        raise Wrong(f"{url} differs from {SUMS} of its build")
    # What was here already may have been no beginning of it: once more, from nothing.
    download(url, digest, target)


def check(args: argparse.Namespace) -> str:
    """Check a build or a file; return what was found good."""
    here = Path(args.what)
    is_file = "://" not in args.what and not here.is_dir()
    # An alias of this machine may move as well.
    place = dated(args.what) if "://" in args.what else str(here if is_file else here.resolve())
    origin = args.build or (str(here.parent) if is_file else place)
    origin = re.sub(r"(^|[/\\])SHA256SUMS$", "", origin)
    origin = dated(origin) if "://" in origin else str(Path(origin).resolve())
    build = load(origin, args.key, args.unsigned)
    if is_file:
        known, digest = listed(build, here.name), sha256(pieces(here.parent, here.name))
        found = [path for path in known or sorted(build.sums) if build.sums[path] == digest]
        if not found:
            size = f"it has {here.stat().st_size} bytes"
            raise Wrong(f"{place} is not {some(known) or 'a file'} of {build.id}: {size}")
        good = f"good: {place} is {found[0]} of {build.id}"
    else:
        good = f"good: {check_place(build, place)} of {len(build.sums)} files of {build.id}"
    if build.unchecked:
        raise Unable(f"{good} by {SUMS}, but {build.unchecked}")
    return f"{good}, {build.signed}"


def main() -> int:
    """Do what the command line asks for; return the exit code."""
    parser = argparse.ArgumentParser(usage=__doc__)
    add = parser.add_argument
    add("what", metavar="DIRECTORY|FILE|URL|MIRROR")
    add("build", nargs="?", default="", metavar="BUILD")
    add("--key", default="", metavar="FILE", help="the signing key (default: the mirror's)")
    add("--unsigned", action="store_true", help="do not check the signature")
    add("--get", action="store_true", help="download files of one build, and check them")
    add("--stream", help="a stream, or its directory on the mirror")
    add("--at", default="", metavar="TIME", help="the newest good build up to then")
    add("--file", default=ISO, metavar="PATTERN", help="other files than the ISO")
    args = parser.parse_args()
    if args.get != bool(args.stream) or (args.get and args.build):
        parser.error("--get needs --stream and the mirror's address, and nothing else does")
    try:
        print((get if args.get else check)(args).encode("ascii", "backslashreplace").decode())
    except (Wrong, Unable, OSError, ValueError, KeyboardInterrupt) as error:
        is_wrong = isinstance(error, Wrong)
        print(f"{'wrong' if is_wrong else 'verify.py'}: {str(error) or 'stopped'}", file=sys.stderr)
        return 1 if is_wrong else 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
