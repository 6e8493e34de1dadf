"""verify.py --get: one build from a mirror, as readers get it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from mirrors import InProcess
from readers import ALIAS, ISO, ONE, RPM, TWO, Site, as_module, flip, publish, run_module, verify
from test_signed import Signer


def _pythons(version: str) -> Iterator[Path]:
    """The interpreters of a version, in the places where pyenv and distributions put them."""
    for top, pattern in ((Path.home(), ".pyenv/versions/{}.*/bin"), (Path("/usr"), "bin")):
        for directory in top.glob(pattern.format(version)):
            yield from directory.glob(f"python{version}")


@pytest.mark.parametrize("python", ["3.6", "3.8", ""])
def test_get_the_newest_iso(site: Site, here: Path, key: Path, python: str) -> None:
    """By every Python that is here: readers have old ones."""
    found = str(next(_pythons(python), "")) if python else sys.executable
    if not found:
        pytest.skip(f"needs Python {python}")
    name = f"master-sample-{ONE[-16:]}"
    for _ in range(2):
        code, said = verify("--get", "--stream", "master-sample", f"{site.url}/", python=found)
        assert code == 0, said
        iso = f"{name}/outputs/iso/bootimage-{ONE[-16:]}.iso"
        assert said.startswith(f"good: {iso}, of {ONE}, signed by ")
        assert (here / iso).read_bytes() == (site.public / ONE / ISO).read_bytes()
    # What is here was not sent a second time, and can be checked later.
    assert [path for path, _ in site.asked].count(f"{ONE}/{ISO}") == 1
    assert verify(name, "--key", key, python=found)[1].startswith("good: 2 of ")
    assert verify(here / iso, f"{site.url}/{ALIAS}", python=found)[0] == 0
    assert verify(f"{site.url}/{ALIAS}", python=found)[0] == 0


def test_get_other_files_of_an_older_build(
    growing: InProcess, signer: Signer, live: Site, here: Path
) -> None:
    publish(growing, signer, TWO)
    publish(growing, signer, "master/sample/20260103T020000Z", "fail")
    get = ["--get", "--stream", "master/sample", live.url]
    for at, build in (("", TWO), ("2026-01-01", ONE), ("2026-01-02T01:59:59Z", ONE)):
        code, said = verify(*get, *(["--at", at] if at else []), "--file", "*.x86_64.rpm")
        assert code == 0, said
        top = f"master-sample-{build[-16:]}"
        assert f"good: 3 files in {top}, of {build}" in said
        assert (here / top / RPM).read_bytes() == (live.public / build / RPM).read_bytes()
    for arguments, words in (
        (["--at", "2025-12-31"], "good builds of master/sample in none"),
        (["--at", "yesterday"], "is no time: write"),
        (["--file", "*.deb"], "has no file *.deb"),
    ):
        code, said = verify(*get, *arguments)
        assert (code, words in said) == (2, True), said


def test_a_download_that_is_cut_off_goes_on(site: Site, here: Path) -> None:
    site.cut = {f"{ONE}/{ISO}": 100_000}
    get = ["--get", "--stream", "master-sample", site.url]
    code, said = verify(*get)
    assert (code, "broke off" in said) == (2, True), said
    iso = here / f"master-sample-{ONE[-16:]}/outputs/iso/bootimage-{ONE[-16:]}.iso"
    assert not iso.exists()
    code, said = verify(*get)
    assert code == 0, said
    assert iso.read_bytes() == (site.public / ONE / ISO).read_bytes()
    assert [r for path, r in site.asked if path == f"{ONE}/{ISO}"] == ["", "bytes=100000-"]
    assert [path.name for path in iso.parent.iterdir()] == [iso.name]


@pytest.mark.parametrize("knows_ranges", [True, False])
@pytest.mark.parametrize("length", [1000, 262_144, 300_000])
def test_a_beginning_that_is_none_is_not_gone_on_with(
    site: Site, here: Path, knows_ranges: bool, length: int
) -> None:
    site.knows_ranges = knows_ranges
    iso = here / f"master-sample-{ONE[-16:]}/outputs/iso/bootimage-{ONE[-16:]}.iso"
    iso.parent.mkdir(parents=True)
    Path(f"{iso}.part").write_bytes(b"x" * length)
    code, said = verify("--get", "--stream", "master-sample", site.url)
    assert code == 0, said
    assert iso.read_bytes() == (site.public / ONE / ISO).read_bytes()


def test_a_download_that_is_wrong_is_not_kept(site: Site, here: Path) -> None:
    flip(site.public / ONE / ISO)
    code, said = verify("--get", "--stream", "master-sample", site.url)
    assert (code, f"{ISO} differs from SHA256SUMS" in said) == (1, True), said
    assert not [path for path in here.rglob("*bootimage*") if path.is_file()]


def test_a_newer_build_while_one_is_downloaded(
    growing: InProcess, signer: Signer, live: Site, here: Path
) -> None:
    live.cut = {f"{ONE}/{ISO}": 100_000}
    get = ["--get", "--stream", "master-sample", live.url]
    assert verify(*get)[0] == 2
    publish(growing, signer, TWO)
    assert verify(*get)[0] == 0
    assert verify(*get, "--at", "2026-01-01")[0] == 0
    for build in (ONE, TWO):
        iso = here / f"master-sample-{build[-16:]}/outputs/iso/bootimage-{build[-16:]}.iso"
        assert iso.read_bytes() == (live.public / build / ISO).read_bytes()


def test_a_directory_that_has_another_list_is_left_alone(site: Site, here: Path) -> None:
    top = here / f"master-sample-{ONE[-16:]}"
    top.mkdir()
    (top / "SHA256SUMS").write_text("another")
    code, said = verify("--get", "--stream", "master-sample", site.url)
    assert (code, "another build's: move" in said) == (1, True), said
    assert (top / "SHA256SUMS").read_text() == "another"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"id": "../../evil/20260101T020000Z"}, 2),
        ({"id": "x/../../evil/20260101T020000Z"}, 2),
        ({"id": 7}, 1),
        ({"id": TWO}, 2),
        ({"id": f"feature/x/{ONE}"}, 2),
        ({"url": None}, 2),
        ({"result": "fail"}, 2),
    ],
)
def test_a_hostile_index(site: Site, here: Path, change: dict[str, object], code: int) -> None:
    index = site.public / "builds.json"
    content = json.loads(index.read_text())
    content["builds"][0].update(change)
    index.write_text(json.dumps(content))
    assert verify("--get", "--stream", "master-sample", site.url)[0] == code
    index.write_text("<html>")
    assert verify("--get", "--stream", "master-sample", site.url)[0] == 1
    assert list(here.iterdir()) == []


def test_names_that_mean_something_on_windows(
    site: Site, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    module = as_module()
    for name in ("C:/x", "a/b:c", "outputs/NUL", "con.txt", "outputs/aux/x", "a/b.", "com1"):
        assert module.WINDOWS_OWN.search(name), name
    for path in (site.public / ONE / "SHA256SUMS").read_text().splitlines():
        assert not module.WINDOWS_OWN.search(path[66:]), path
    for name in ("console", "outputs/a.con", "nullable/x", "com10.txt"):
        assert not module.WINDOWS_OWN.search(name), name
    module.NO_NAME = module.re.compile("bootimage")
    assert run_module(module, "--get", "--stream", "master-sample", site.url) == 2
    assert "for this system" in capsys.readouterr().err
    assert list(here.iterdir()) == []
