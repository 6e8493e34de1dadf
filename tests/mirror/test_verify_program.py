"""verify.py as readers use it: against a web server over a tree that this project published."""

from __future__ import annotations

import ast
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import backdated
import pytest
from mirrors import InProcess
from readers import (
    ALIAS,
    ISO,
    ONE,
    RPM,
    SOURCE,
    TWO,
    Site,
    as_module,
    flip,
    publish,
    run_module,
    verify,
)
from test_signed import Signer

from stxmirror import layout, names
from stxmirror.errors import StxMirrorError

OLD = "release/2018.10/sample/20260101T020000Z"


def sign_anew(directory: Path, signer: Signer) -> None:
    """Sign whatever the list says now, as a stolen key could."""
    (directory / "SHA256SUMS.asc").unlink(missing_ok=True)
    backdated.sign(directory, signer.command("first"))


def test_the_mirror_offers_it_and_keeps_it_up_to_date(growing: InProcess) -> None:
    offered = growing.public / "verify.py"
    assert offered.read_bytes() == SOURCE.read_bytes()
    for harm in (offered.unlink, lambda: offered.write_text("print('good')")):
        harm()
        growing.admin("pages")
        assert offered.read_bytes() == SOURCE.read_bytes()


@pytest.mark.parametrize("path", [f"{ONE}", f"{ONE}/", ALIAS, f"{ALIAS}/SHA256SUMS"])
def test_a_build_on_a_mirror(site: Site, path: str) -> None:
    code, said = verify(f"{site.url}/{path}")
    count = len((site.public / ONE / "SHA256SUMS").read_text().splitlines())
    assert code == 0, said
    assert said.startswith(f"good: {count} of {count} files of {ONE}, signed by ")
    assert "a key of the mirror itself: compare it once" in said


def test_a_release_by_its_old_name(growing: InProcess, signer: Signer, live: Site) -> None:
    publish(growing, signer, OLD)
    code, said = verify(f"{live.url}/r2018.10/sample/latest_build")
    assert (code, OLD in said) == (0, True), said


def test_an_alias_that_moves_meanwhile(growing: InProcess, signer: Signer, live: Site) -> None:
    def move(path: str) -> None:
        if path == f"{ONE}/SHA256SUMS":
            live.before = lambda path: None
            publish(growing, signer, TWO)

    live.before = move
    code, said = verify(f"{live.url}/{ALIAS}")
    assert code == 0, said
    assert ONE in said
    assert growing.alias("master/sample") == TWO[-16:]
    assert live.paths() == {ONE}
    assert TWO in verify(f"{live.url}/{ALIAS}")[1]


def test_a_directory_whole_and_in_part(saved: Path, key: Path) -> None:
    code, said = verify(saved, "--key", key)
    assert code == 0, said
    listed = len((saved / "SHA256SUMS").read_text().splitlines())
    # And the mirror's second names of the ISO and of CONTEXT.
    assert said.startswith(f"good: {listed + 2} of {listed} files of {ONE}, signed by ")
    shutil.rmtree(saved / "inputs")
    (saved / ISO).unlink()
    (saved / "notes.txt").write_text("mine")
    (saved / "outputs/RPMS/index.html").write_text("a listing")
    code, said = verify(saved, "--key", key)
    assert code == 0, said


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _grow(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


@pytest.mark.parametrize("harm", [flip, _cut, _grow])
@pytest.mark.parametrize("file", [ISO, RPM, "build.json", "outputs/CONTEXT.sh"])
def test_bytes_that_are_not_what_was_published(
    saved: Path, key: Path, harm: Callable[[Path], None], file: str
) -> None:
    harm(saved / file)
    code, said = verify(saved, "--key", key)
    assert code == 1
    assert said.startswith("wrong: ")
    assert file in said


def test_a_mirror_whose_disk_changed_bytes(site: Site) -> None:
    flip(site.public / ONE / ISO)
    (site.public / ONE / RPM).unlink()
    code, said = verify(f"{site.url}/{ALIAS}")
    assert code == 1
    assert f"{RPM} (missing)" in said
    assert ISO in said


def test_a_mirrored_tree_on_this_machine(public: Path, here: Path) -> None:
    """Its own key and alias are used; names of any language are no fault."""
    code, said = verify(public / ALIAS)
    assert code == 0, said
    assert f" of {ONE}, signed by " in said
    top = public.rename(here / "Spiegel \u955c")
    (top / ONE / "build.json").unlink()
    code, said = verify(top / ALIAS, PYTHONIOENCODING="ascii")
    assert (code, "Spiegel \\u955c" in said) == (0, True), said


def test_a_package_that_nobody_listed(saved: Path, key: Path) -> None:
    (saved / "outputs/RPMS/std/evil-1.0-1.rpm").write_text("evil")
    code, said = verify(saved, "--key", key)
    assert (code, "outputs/RPMS/std/evil-1.0-1.rpm (not listed)" in said) == (1, True), said


@pytest.mark.parametrize("name", ["bootimage.iso", "bootimage-20260101T020000Z.iso", "my copy"])
@pytest.mark.parametrize("build", [ONE, ALIAS, f"{ONE}/SHA256SUMS", ""])
def test_one_file(site: Site, here: Path, key: Path, name: str, build: str) -> None:
    shutil.copy(site.public / ONE / ISO, here / name)
    if build:
        origin: list[object] = [f"{site.url}/{build}"]
    else:
        for listed in ("SHA256SUMS", "SHA256SUMS.asc"):
            shutil.copy(site.public / ONE / listed, here)
        origin = ["SHA256SUMS", "--key", key]
    code, said = verify(name, *origin)
    assert code == 0, said
    assert f"good: {name} is {ISO} of " in said
    _cut(here / name)
    code, said = verify(name, *origin)
    assert code == 1
    assert "it has 262143 bytes" in said


def test_one_file_beside_its_list(site: Site, here: Path, key: Path) -> None:
    """As `curl -O` leaves them, the directory named or the file."""
    for path in (ISO, "SHA256SUMS", "SHA256SUMS.asc", "build.json"):
        shutil.copy(site.public / ONE / path, here)
    assert verify("bootimage.iso", "--key", key)[0] == 0
    assert verify(".", "--key", key)[1].startswith("good: 2 of ")
    flip(here / "bootimage.iso")
    for what in (".", "bootimage.iso"):
        code, said = verify(what, "--key", key)
        assert (code, "bootimage.iso" in said) == (1, True), said


def test_the_iso_of_yesterday_and_the_alias_of_today(
    growing: InProcess, signer: Signer, live: Site, here: Path
) -> None:
    shutil.copy(live.public / ONE / ISO, here / f"bootimage-{ONE[-16:]}.iso")
    publish(growing, signer, TWO)
    code, said = verify(f"bootimage-{ONE[-16:]}.iso", f"{live.url}/{ALIAS}")
    assert (code, f"is of another build than {TWO}" in said) == (1, True), said


def test_another_build_under_this_address(site: Site) -> None:
    """What an older list with its right signature would be."""
    shutil.copytree(site.public / ONE, site.public / TWO)
    code, said = verify(f"{site.url}/{TWO}")
    assert (code, f"has the files of {ONE}" in said) == (1, True), said


def _other_list(directory: Path, signer: Signer) -> None:
    with (directory / "SHA256SUMS").open("a") as sums:
        sums.write(f"{'0' * 64}  outputs/more\n")


def _unsigned(directory: Path, signer: Signer) -> None:
    (directory / "SHA256SUMS.asc").unlink()


def _by(*names: str, how: str = "--detach-sign") -> Callable[[Path, Signer], None]:
    def sign(directory: Path, signer: Signer) -> None:
        (directory / "SHA256SUMS.asc").unlink()
        backdated.sign(directory, signer.command(*names, how=how))

    return sign


def _page(directory: Path, signer: Signer) -> None:
    (directory / "SHA256SUMS.asc").write_text("<html>Please log in</html>")


@pytest.mark.parametrize("programs", ["gpgv gpg", "gpg"])
@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (_unsigned, "is not signed"),
        (_other_list, "does not fit it"),
        (_by("stranger"), "is no key of the mirror itself"),
        (_by("expired"), "has expired"),
        (_by("first", how="--clearsign"), "is no OpenPGP signature"),
        (_by("first", how="--sign"), "is no OpenPGP signature"),
        (_page, "is no OpenPGP signature"),
    ],
)
def test_a_list_that_the_mirror_did_not_sign(
    saved: Path,
    signer: Signer,
    programs: str,
    harm: Callable[[Path, Signer], None],
    words: str,
) -> None:
    here = saved.parent
    (here / "assets").mkdir()
    (here / "assets/signing-key.asc").write_text(signer.public("first", "expired"))
    (here / "bin").mkdir()
    for name in programs.split():
        (here / "bin" / name).symlink_to(str(shutil.which(name)))
    path = str(here / "bin")
    code, said = verify(saved, PATH=path)
    assert code == 0, said
    harm(saved, signer)
    code, said = verify(saved, PATH=path)
    assert (code, words in said) == (1, True), said
    if harm is not _other_list:
        code, said = verify(saved, "--unsigned", PATH=path)
        assert (code, "signature NOT checked" in said) == (0, True), said


def test_while_keys_change_one_good_signature_is_enough(
    saved: Path, signer: Signer, key: Path
) -> None:
    _by("stranger", "first")(saved, signer)
    code, said = verify(saved, "--key", key)
    assert code == 0, said


def test_without_gpg_it_says_what_was_not_checked(
    saved: Path, site: Site, here: Path, key: Path
) -> None:
    (here / "bin").mkdir()
    for what in (saved, f"{site.url}/{ONE}"):
        code, said = verify(what, "--key", key, PATH=str(here / "bin"))
        assert code == 2
        assert "by SHA256SUMS, but the signature was NOT checked, here is no gpgv or gpg" in said
        assert verify(what, "--unsigned", PATH=str(here / "bin"))[0] == 0
    flip(saved / ISO)
    assert verify(saved, "--key", key, PATH=str(here / "bin"))[0] == 1
    code, said = verify("--get", "--stream", "master-sample", site.url, PATH=str(here / "bin"))
    assert (code, "NOT checked" in said) == (2, True), said
    assert sorted(path.name for path in here.iterdir()) == ["bin", "saved"]


def test_a_key_of_ones_own(saved: Path, signer: Signer, site: Site, here: Path) -> None:
    (here / "key.asc").write_text(signer.public("second"))
    code, said = verify(f"{site.url}/{ONE}", "--key", "key.asc")
    assert (code, "is no key of key.asc" in said) == (1, True), said
    code, said = verify(saved)
    assert (code, "give one by --key FILE" in said) == (2, True), said
    for text in ("no key", "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAA\n-----END PGP"):
        (here / "key.asc").write_text(text)
        assert verify(saved, "--key", "key.asc")[0] == 2


@pytest.mark.parametrize(
    "name",
    [
        *("../../evil", "/etc/passwd", "outputs/../../evil", ".profile", "outputs/.hidden"),
        *("outputs//x", "-rf", "a\\..\\b", "outputs/\x1b[2Jx", "a\rb", "a\tb", "caf\u00e9", ""),
    ],
)
def test_hostile_names_in_a_list_that_is_signed(
    signer: Signer, site: Site, here: Path, name: str
) -> None:
    directory = site.public / ONE
    with (directory / "SHA256SUMS").open("a", newline="") as sums:
        sums.write(f"{'0' * 64}  {name}\n")
    sign_anew(directory, signer)
    for arguments in ([f"{site.url}/{ONE}"], ["--get", "--stream", "master-sample", site.url]):
        code, said = verify(*arguments, "--file", "*")
        assert code == 1, said
        assert "is not '<sha256>  <path>' of one more file" in said
        assert said.isprintable()
    assert list(here.iterdir()) == []


def test_servers_that_cannot_be_reached(
    site: Site, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    module = as_module()
    module.SECONDS = 0.2
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert run_module(module, f"{address}/{ONE}") == 2
        assert "cannot be reached: timed out" in capsys.readouterr().err
    for url in (address, "http://[", "ftp://127.0.0.1/x", "file:///etc", "http://"):
        code, said = verify(f"{url}/{ONE}")
        assert code == 2, said
    for wrong in (f"{site.url}/master", f"{site.url}/{TWO}", "nothing", site.public):
        assert verify(wrong)[0] == 2
    assert verify("--get", "--stream", "master-sample", site.url + "/master")[0] == 2


@pytest.mark.parametrize(
    "arguments", [[], ["--get", "http://x"], ["x", "--stream", "y"], ["--get", "--stream", "x"]]
)
def test_wrong_use_is_answered_with_the_right_one(arguments: list[str]) -> None:
    assert verify(*arguments)[0] == 2


def test_it_calls_things_what_this_project_calls_them(key: Path) -> None:
    module = as_module()
    assert (module.SUMS, module.SIGNATURE) == (names.SUMS, names.SIGNATURE)
    assert (module.RECORD, module.INDEX) == (names.RECORD, names.BUILDS)
    assert (module.ISO, module.KEY) == (names.ISO, names.SIGNING_KEY)
    for name in ("a/b", "a//b", "../b", "a/.b", "-a", "a b", "a/%41+~^@=,:-", "_a", ".a", "a/"):
        is_ours = True
        try:
            layout.safe_relative_path(name)
        except StxMirrorError:
            is_ours = False
        assert bool(module.SUMS_LINE.fullmatch(f"{'0' * 64}  {name}")) == is_ours, name


def test_it_is_written_for_python_3_6() -> None:
    text = SOURCE.read_text(encoding="ascii")
    ast.parse(text, feature_version=(3, 6))
    assert len(text.splitlines()) < 400
