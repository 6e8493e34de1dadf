"""A mirror under test, and what a test asks of it."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "helpers"))

import backdated

from stxmirror.mirror import cli, state_file

RULES = [
    {"directory": "master/sample", "keep": {"days": 14}, "audience": "develop"},
    {"directory": "feature/*/sample", "keep": {"days": 7}, "audience": "develop"},
    {"directory": "milestone/*/sample", "keep": {"release_periods": 1}, "audience": "try"},
    {"directory": "release/2018.10/sample", "keep": {"forever": True}, "audience": "try"},
    {"directory": "release/old/sample", "keep": {"days": 1}, "audience": "try", "retired": True},
]


def rule(entry: dict[str, Any]) -> dict[str, Any]:
    """A rule as the inventory's streams yield it."""
    name = entry["directory"].replace("/", "-").replace("*", "any").replace(".", "-")
    alias = "r2018.10" if entry["directory"].startswith("release/2018.10/") else None
    defaults = {"stream": name, "description": name, "legacy_alias": alias, "retired": False}
    return {**defaults, **entry}


class Mirror:
    """A mirror under test: its store on this machine, and the way to reach it."""

    def __init__(self, root: Path, program: Path) -> None:
        self.root = root
        self.store = root / "store"
        self.config = root / "mirror.json"
        self.program = program
        self.public = self.store / "public"
        self.work = root / "work"
        self.work.mkdir()
        self.transport = backdated.Transport(
            [str(program), "--config", str(self.config)],
            ["rsync"],
            f"{self.store}/incoming/{{upload}}/",
        )
        self.pruner = self.transport
        self.person = self.transport
        for name in ("public", "incoming", "staging", "state"):
            (self.store / name).mkdir(parents=True)
        self.configure()

    def configure(self, **changes: Any) -> None:
        """Write the mirror's configuration, with other values for some keys."""
        settings = {
            "store": str(self.store),
            "prefix": "/mirror/starlingx/",
            "title": "A mirror under test",
            "rules": changes.get("rules", [rule(entry) for entry in RULES]),
            "release_period_days": 182,
            "max_delete_share": 1.0,
            "upload_expiry_hours": 48,
            "reserve_bytes": 0,
        }
        # What is signed, and what is done with it, is another test's.
        settings["unsigned_streams"] = [rule["stream"] for rule in settings["rules"]]
        self.config.write_text(json.dumps({**settings, **changes}))

    def make(self, build_id: str, result: str = "success", **extra: bytes) -> Path:
        """Make a build; return its directory."""
        directory = Path(tempfile.mkdtemp(dir=self.work))
        backdated.make_build(directory, build_id, result, extra)
        return directory

    def publish(self, build_id: str, result: str = "success", **extra: bytes) -> dict[str, Any]:
        """Make a build and publish it; return what promote replied."""
        return backdated.publish(self.transport, self.make(build_id, result, **extra), build_id)

    def begin(self, directory: Path, build_id: str) -> dict[str, Any]:
        """Open an upload for the build in ``directory``."""
        return backdated.begin(self.transport, directory, build_id)

    def send(self, directory: Path, begun: dict[str, Any]) -> None:
        """Send what was asked for."""
        backdated.send(self.transport, directory, begun)

    def ctl(self, *arguments: str, data: Any = None) -> dict[str, Any]:
        """Run a verb over the connection that publishes; return its reply."""
        return backdated.mirrorctl(self.transport, *arguments, data=_bytes(data))

    def admin(self, *arguments: str, data: Any = None) -> dict[str, Any]:
        """Run a verb as a person on the mirror does."""
        return backdated.mirrorctl(self.person, *arguments, data=_bytes(data))

    def prune(self, *builds: str, allow_more: bool = False) -> dict[str, Any]:
        """Ask over the connection that prunes."""
        request = {"delete": builds, "allow_more": allow_more}
        return backdated.mirrorctl(self.pruner, "prune", data=_bytes(request))

    def listing(self) -> dict[str, Any]:
        """List over the connection that prunes."""
        return backdated.mirrorctl(self.pruner, "list")

    def edit_upload(self, **changes: Any) -> None:
        """Change what the mirror knows of the one open upload, as if it had written that."""
        (path,) = (self.store / "state/uploads").iterdir()
        value = json.loads(path.read_text())
        del value["sha256"]
        # In place, so that it stays the mirror's account's.
        target = path.with_stem(changes.get("token", path.stem))
        path.write_bytes(state_file.encode({**value, **changes}))
        path.rename(target)

    def alias(self, directory: str) -> str | None:
        """Where latest_build of a directory points, as a reader sees it."""
        link = self.public / directory / "latest_build"
        return str(link.readlink()) if link.is_symlink() else None

    def builds(self) -> set[str]:
        """The builds that a reader finds in the tree."""
        return {
            str(path.parent.relative_to(self.public))
            for path in self.public.rglob("build.json")
            if "latest_build" not in path.parts
        }

    def leftovers(self) -> list[str]:
        """What lies in staging, incoming and the open uploads; nothing once all is at rest."""
        places = ("staging/scratch", "staging/trash", "incoming", "state/uploads")
        found = [path for place in places for path in (self.store / place).iterdir()]
        found += [
            path
            for path in (self.store / "staging").iterdir()
            if path.name not in ("scratch", "trash")
        ]
        return sorted(str(path.relative_to(self.store)) for path in found)


class InProcess(Mirror):
    """A mirror that is a local path, its verbs run in this process: a start of Python costs more
    than most verbs do.
    """

    def run(self, *arguments: str, data: Any = None) -> tuple[int, str, str]:
        """Run a verb; return its exit code and what it said on standard output and error."""
        out, err, stdin = io.StringIO(), io.StringIO(), sys.stdin
        sys.stdin = io.TextIOWrapper(io.BytesIO(_bytes(data)))
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = cli.main(["--config", str(self.config), *arguments])
        finally:
            sys.stdin = stdin
        return code, out.getvalue(), err.getvalue()

    def ctl(self, *arguments: str, data: Any = None) -> dict[str, Any]:
        code, out, err = self.run(*arguments, data=data)
        if code:
            raise backdated.Refused(err.strip(), code)
        return json.loads(out)

    admin = ctl

    def prune(self, *builds: str, allow_more: bool = False) -> dict[str, Any]:
        return self.ctl("prune", data={"delete": builds, "allow_more": allow_more})

    def listing(self) -> dict[str, Any]:
        return self.ctl("list")

    def begin(self, directory: Path, build_id: str) -> dict[str, Any]:
        return self.ctl("begin", build_id, data=backdated.manifest_of(directory, build_id))

    def send(self, directory: Path, begun: dict[str, Any]) -> None:
        for path in begun["need"]:
            target = self.store / "incoming" / begun["upload"] / path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(directory / path, target)

    def publish(self, build_id: str, result: str = "success", **extra: bytes) -> dict[str, Any]:
        directory = self.make(build_id, result, **extra)
        self.send(directory, self.begin(directory, build_id))
        return self.ctl("promote", build_id)


def _bytes(data: Any) -> bytes:
    if data is None:
        return b""
    return data if isinstance(data, bytes) else json.dumps(data).encode()


def refusal(call: Any, *arguments: Any) -> tuple[str, int]:
    """Return the one line and the exit code with which a call was refused."""
    with pytest.raises(backdated.Refused) as caught:
        call(*arguments)
    message = str(caught.value)
    assert len(message.splitlines()) == 1, message
    assert "Traceback" not in message
    return message, caught.value.code


def sha256sum(directory: Path) -> None:
    """Check a published build with the stock tool, as its readers do."""
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
