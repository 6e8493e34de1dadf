"""Real RPMs for tests, right ones and ones that are damaged as tools and disks damage them."""

from __future__ import annotations

import hashlib
import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

SPEC = """Name: {name}
Version: 1
Release: 1
Summary: A package
License: Apache-2.0
Group: Development/Tools
URL: https://example.org/{name}
Vendor: A vendor
Packager: A packager
Distribution: A distribution
Requires: other
BuildArch: noarch
%description
{description}
%install
mkdir -p %{{buildroot}}/usr/share/{name}
seq 1 20000 > %{{buildroot}}/usr/share/{name}/hello
%pre
echo pre
%post
echo post
%preun
echo preun
%postun
echo postun
%files
/usr/share/{name}
%changelog
* Wed Nov 15 2023 Ann Lee <ann@example.org> - 1-1
- {change}
"""


def make_rpm(
    base: Path, name: str, host: str = "builder", description: str = "Hello.", change: str = "First"
) -> Path:
    """Build a package and its source; return the directory with ``RPMS`` and ``SRPMS``.

    Its time is clamped, so that it is the same every time.
    """
    for program in ("rpmbuild", "createrepo_c"):
        if shutil.which(program) is None:
            pytest.skip(f"needs {program} (packages rpm and createrepo-c)")
    spec = base / f"{name}.spec"
    spec.write_text(SPEC.format(name=name, description=description, change=change))
    defines = {
        "_topdir": str(base / "rpm"),
        "_buildhost": host,
        "use_source_date_epoch_as_buildtime": "1",
        "clamp_mtime_to_source_date_epoch": "1",
        "_rpmfilename": "%{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}.rpm",
    }
    words = [word for key, value in defines.items() for word in ("-D", f"{key} {value}")]
    subprocess.run(
        ["rpmbuild", "-ba", "--quiet", *words, str(spec)],
        check=True,
        capture_output=True,
        env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000"},
    )
    return base / "rpm"


def payload_start(content: bytes) -> int:
    """Return where the payload of an RPM begins."""
    signature_end = _section_end(content, 96)
    return _section_end(content, signature_end + -signature_end % 8)


def with_only_md5(content: bytes) -> bytes:
    """Return a package as rpm made it before 4.14: no digest of the payload in its header.

    The tags of the digests become others that say nothing, and the MD5 of header and payload is
    computed again.
    """
    made = bytearray(content)
    signature_end = _section_end(content, 96)
    header = signature_end + -signature_end % 8
    for at in _entries(made, header):
        (tag,) = struct.unpack_from(">I", made, at)
        if tag in (5092, 5093, 5097):
            struct.pack_into(">I", made, at, 900_000 + tag)
    store = 96 + 16 + 16 * len(_entries(made, 96))
    for at in _entries(made, 96):
        tag, _, offset, length = struct.unpack_from(">IIII", made, at)
        if tag == 1004:
            assert length == 16
            made[store + offset : store + offset + 16] = hashlib.md5(
                made[header:], usedforsecurity=False
            ).digest()
            return bytes(made)
    raise AssertionError("rpmbuild wrote no MD5 to begin with")


def flipped(content: bytes) -> bytes:
    """Return a package with one bit of its payload changed."""
    middle = (payload_start(content) + len(content)) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def cut_to_a_third(content: bytes) -> bytes:
    """Return a package whose payload ends early, as after a full disk."""
    start = payload_start(content)
    return content[: start + (len(content) - start) // 3]


def _entries(content: bytes | bytearray, at: int) -> list[int]:
    (count,) = struct.unpack_from(">I", content, at + 8)
    return [at + 16 + 16 * number for number in range(count)]


def _section_end(content: bytes, at: int) -> int:
    count, size = struct.unpack_from(">II", content, at + 8)
    return int(at + 16 + 16 * count + size)
