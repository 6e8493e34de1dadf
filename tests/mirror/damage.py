"""A mirror whose files are damaged, as a disk or a slip of a person does it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from mirrors import InProcess

ONE = "master/sample/20260101T020000Z"
TWO = "master/sample/20260102T020000Z"
THREE = "master/sample/20260103T020000Z"
OTHER = "feature/x/sample/20260102T020000Z"
RPM = "outputs/RPMS/std/hello-1.0-1.tis.x86_64.rpm"
ISO = "outputs/iso/bootimage.iso"


class Damageable(InProcess):
    """Its verbs may fail: reply, exit code and words are kept. Its builds are signed."""

    words = ""
    code = 0

    def ctl(self, *arguments: str, data: Any = None) -> dict[str, Any]:
        """Run a verb; return its reply, or nothing."""
        self.code, out, self.words = self.run(*arguments, data=data)
        return json.loads(out) if out else {}

    def make(self, build_id: str, result: str = "success", **extra: bytes) -> Path:
        """Make a signed build."""
        directory = super().make(build_id, result, **extra)
        (directory / "SHA256SUMS.asc").write_text(f"signed {build_id}\n")
        return directory

    def publish_signed(self, build_id: str, **extra: bytes) -> Path:
        """Publish a signed build; return its directory at the builder's."""
        directory = self.make(build_id, **extra)
        self.send(directory, self.begin(directory, build_id))
        self.ctl("promote", build_id)
        assert self.code == 0, self.words
        return directory

    def problems(self, *verb: str) -> list[tuple[str | None, str, str]]:
        """What verify names."""
        found = self.ctl(*(verb or ("verify",)))["problems"]
        assert self.code == (1 if found else 0)
        return [(item["id"], item["path"], item["why"]) for item in found]


def flip(path: Path) -> None:
    """Change one bit as a disk or a slip of a person does: same size, same mtime."""
    before = path.stat()
    with path.open("r+b") as stream:
        first = stream.read(1)
        stream.seek(0)
        stream.write(bytes([first[0] ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def apart(path: Path) -> None:
    """Give a file an inode of its own."""
    copy = path.with_name("copy")
    shutil.copyfile(path, copy)
    copy.rename(path)
