"""A web server with the sample site, and a browser to look at it with."""

from __future__ import annotations

import functools
import http.server
import shutil
import subprocess
import threading

import pytest
import sample_site

PREFIX = "mirror/starlingx"


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format, *args):
        """Keep the tests' output for what matters."""


@pytest.fixture(scope="session")
def served(tmp_path_factory):
    """The served directory and the address of the mirror in it."""
    root = tmp_path_factory.mktemp("www")
    sample_site.write(root / PREFIX)
    handler = functools.partial(_Quiet, directory=str(root))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield root, f"http://127.0.0.1:{server.server_port}/{PREFIX}/"
        server.shutdown()


@pytest.fixture
def browse(tmp_path):
    """Open an address in headless Chromium with a profile of its own; return what it printed."""

    def run(address: str, *options: str) -> str:
        profile = tmp_path / "profile"
        shutil.rmtree(profile, ignore_errors=True)
        done = subprocess.run(
            [
                *("chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic"),
                *("--no-first-run", "--disable-background-networking", "--disable-sync"),
                *("--disable-component-update", "--hide-scrollbars", "--window-size=1200,900"),
                *(f"--user-data-dir={profile}", *options, address),
            ],
            check=True,
            capture_output=True,
            text=True,
            timeout=120,
        )
        return done.stdout

    return run
