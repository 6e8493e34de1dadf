"""A reader of a mirror: verify.py, and a web server over a tree that this project published."""

from __future__ import annotations

import contextlib
import http.server
import importlib.util
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from unittest import mock

import backdated
from mirrors import InProcess
from test_signed import Signer, offer

ONE = "master/sample/20260101T020000Z"
TWO = "master/sample/20260102T020000Z"
ALIAS = "master/sample/latest_build"
ISO = "outputs/iso/bootimage.iso"
RPM = "outputs/RPMS/std/hello-1.0-1.tis.x86_64.rpm"
SOURCE = Path(__file__).parents[2] / "stxmirror/mirror/assets/verify.py"
PREFIX = "/mirror/starlingx"


class Site:
    """A published tree behind a web server, and what a test lets that do."""

    def __init__(self, public: Path) -> None:
        self.public = public
        self.asked: list[tuple[str, str]] = []  # path below the prefix, Range
        self.before: Callable[[str], None] = lambda path: None
        self.knows_ranges = True
        self.cut: dict[str, int] = {}  # how many bytes of a path are sent, once
        site = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            def translate_path(self, path: str) -> str:
                inside = path.startswith(f"{PREFIX}/")
                return super().translate_path(path[len(PREFIX) :] if inside else "/none")

            def do_GET(self) -> None:
                path = self.path[len(PREFIX) + 1 :]
                site.before(path)
                site.asked.append((path, self.headers.get("Range", "")))
                start, file = 0, Path(self.translate_path(self.path))
                if not file.is_file():
                    return self.send_error(404)
                data = file.read_bytes()
                if site.knows_ranges and self.headers.get("Range"):
                    start = int(self.headers["Range"][len("bytes=") : -1])
                if start >= len(data) > 0:
                    return self.send_error(416)
                self.send_response(206 if start else 200)
                self.send_header("Content-Length", str(len(data) - start))
                self.end_headers()
                end = site.cut.pop(path, len(data))
                self.wfile.write(data[start : max(start, end)])

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), lambda *a: Handler(*a, directory=str(public))
        )
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}{PREFIX}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def paths(self) -> set[str]:
        """The directories of builds that were asked for anything."""
        return {path[: path.index("Z/") + 1] for path, _ in self.asked if "Z/" in path}


@contextlib.contextmanager
def served(public: Path) -> Iterator[Site]:
    site = Site(public)
    yield site
    site.server.shutdown()
    site.server.server_close()


def publish(mirror: InProcess, signer: Signer, build: str, result: str = "success") -> None:
    directory = mirror.make(build, result)
    backdated.sign(directory, signer.command("first"))
    mirror.send(directory, mirror.begin(directory, build))
    mirror.ctl("promote", build)


def signed_mirror(root: Path, program: Path, signer: Signer) -> InProcess:
    mirror = InProcess(root, program)
    mirror.configure(unsigned_streams=[])
    offer(mirror, signer.public("first"))
    publish(mirror, signer, ONE)
    return mirror


def verify(*arguments: object, python: str = sys.executable, **env: str) -> tuple[int, str]:
    """Run the program; return its exit code and its last line, the only one but for progress."""
    done = subprocess.run(
        [python, str(SOURCE), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **env},
    )
    lines = (done.stdout + done.stderr).splitlines()
    said = [line for line in lines if not line.startswith("getting ")]
    assert "Traceback" not in done.stderr, done.stderr
    if "usage:" not in done.stderr:
        assert len(said) == 1, lines
    return done.returncode, said[-1]


def run_module(module: ModuleType, *arguments: object) -> int:
    with mock.patch.object(sys, "argv", ["verify.py", *map(str, arguments)]):
        return module.main()


def as_module() -> ModuleType:
    """The program as a module, for what cannot be made to happen from outside."""
    spec = importlib.util.spec_from_file_location("readers_verify", SOURCE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
