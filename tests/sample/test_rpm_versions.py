"""Version comparison, against rpm's own."""

from __future__ import annotations

import itertools
import subprocess
import sys

from conftest import SAMPLE

sys.path.insert(0, str(SAMPLE / "root/build-tools"))

from pkgbuild.rpmmeta import Dep, compare, parse, satisfies

VERSIONS = (
    "0", "1", "1.0", "1.0.0", "1.01", "1.1", "1.10", "1.9", "10", "1a", "1.a", "a", "b", "1.0a",
    "1.0~rc1", "1.0~rc2", "1.0~", "1.0^git1", "1.0^", "1.0^1~x", "2.0_1", "2.0-x".replace("-", "."),
    "20", "2.0.1", "1..0", "1+b1", "1.0+dfsg.1",
)  # fmt: skip


def test_versions_compare_as_in_rpm():
    pairs = list(itertools.product(VERSIONS, repeat=2))
    calls = "".join(f'print(rpm.vercmp("{a}", "{b}"), "")' for a, b in pairs)
    out = subprocess.run(
        ["rpm", "--eval", f"%{{lua: {calls}}}"], capture_output=True, text=True, check=True
    ).stdout
    theirs = [int(word) for word in out.split()]
    ours = [compare(a, b) for a, b in pairs]
    assert [(p, o, t) for p, o, t in zip(pairs, ours, theirs, strict=True) if o != t] == []


def test_epoch_and_release_count_when_both_sides_have_them():
    assert compare("1:1.0", "2.0") == 1
    assert compare("0:1.0-2", "1.0-1") == 1
    assert compare("1.0-2", "1.0") == 0


def test_requirements():
    provided = parse("lib = 1.2-3.tis")
    assert satisfies(provided, parse("lib"))
    assert satisfies(provided, parse("lib >= 1.2"))
    assert satisfies(provided, parse("lib = 1.2"))
    assert not satisfies(provided, parse("lib > 1.2-3.tis"))
    assert not satisfies(provided, parse("lib < 1.2"))
    assert satisfies(Dep("lib"), parse("lib >= 5"))
    assert str(parse("lib >= 1.2")) == "lib >= 1.2"
