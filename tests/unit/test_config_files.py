"""Module config_files, called as Ansible calls it."""

from __future__ import annotations

import grp
import os
import pwd
import stat

import pytest
from module_call import call

ME = pwd.getpwuid(os.getuid()).pw_name
GROUP = grp.getgrgid(os.getgid()).gr_name


def run(*files, check=False):
    mine = [{"owner": ME, "group": GROUP, **file} for file in files]
    return call("config_files", {"files": mine}, check=check)


def mode(path):
    return oct(stat.S_IMODE(path.stat().st_mode))


def test_writes_once_and_says_what(tmp_path):
    path = tmp_path / "made" / "file.conf"
    file = {"path": str(path), "content": "a\n", "mode": "0640"}
    assert run(file)["paths"] == [str(path)]
    assert (path.read_text(), mode(path)) == ("a\n", "0o640")
    assert not run(file)["changed"]
    assert list(path.parent.iterdir()) == [path]


def test_check_mode_changes_nothing(tmp_path):
    path = tmp_path / "made" / "file.conf"
    assert run({"path": str(path), "content": "a\n"}, check=True)["changed"]
    assert not path.parent.exists()


def test_a_setting_of_null_takes_its_line_away(tmp_path):
    path = tmp_path / "aliases"
    path.write_text("root: somebody\npostmaster: me, you\nnobody: nobody\n")
    file = {
        "path": str(path),
        "settings": {"postmaster": "root", "mirror": "root", "root": None},
        "separator": ": ",
    }
    run(file)
    assert path.read_text() == "postmaster: root\nnobody: nobody\nmirror: root\n"
    assert not run(file)["changed"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "UMASK 077\n"),
        ("UMASK\t\t022\n", "UMASK 077\n"),
        (
            "# UMASK is the mask of people\n#UMASK 022\n",
            "# UMASK is the mask of people\nUMASK 077\n",
        ),
        ("UMASK 022\nOTHER 1\nUMASK 022\n", "UMASK 077\nOTHER 1\n"),
        ("UMASK_OF_ROOT 022\n", "UMASK_OF_ROOT 022\nUMASK 077\n"),
    ],
)
def test_settings_have_one_line_and_leave_the_rest(tmp_path, before, after):
    path = tmp_path / "login.defs"
    path.write_text(before)
    file = {"path": str(path), "settings": {"UMASK": "077"}}
    run(file)
    assert path.read_text() == after
    assert not run(file)["changed"]


@pytest.mark.parametrize("inside", ["\x0c", "\x0b", "\r", "\x1c", "\x85", "\u2028", "\udce9"])
def test_only_a_newline_ends_a_line(tmp_path, inside):
    """The tail of a comment would become a setting of its own."""
    path = tmp_path / "login.defs"
    comment = f"# page one{inside}UMASK 000\n".encode("utf-8", "surrogateescape")
    path.write_bytes(comment + b"UMASK 022\r\nOTHER 1")
    run({"path": str(path), "settings": {"UMASK": "077"}})
    assert path.read_bytes() == comment + b"UMASK 077\nOTHER 1\n"


def test_nothing_is_written_if_one_file_is_refused(tmp_path):
    good, bad = tmp_path / "good", tmp_path / "bad"
    reply = run(
        {"path": str(good), "content": "x"},
        {"path": str(bad), "content": "x", "validate": "/bin/false %s"},
    )
    assert reply["failed"]
    assert str(bad) in reply["msg"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("check", [True, False])
def test_a_file_is_tried_with_the_program_that_comes_with_it(tmp_path, check):
    """As it will be: a new check must not let pass what the old one would have, or none."""
    program = tmp_path / "check"
    judge = {"path": str(program), "content": "#!/bin/sh\n! grep bad $1\n", "mode": "0755"}
    validated = {"path": str(tmp_path / "file"), "validate": f"{program} %s"}
    assert run(judge, {**validated, "content": "bad\n"}, check=check)["failed"]
    assert list(tmp_path.iterdir()) == []
    assert run(judge, {**validated, "content": "good\n"}, check=check)["changed"]
    assert (tmp_path / "file").exists() is not check


def test_a_setting_that_must_come_first_is_added_at_the_start(tmp_path):
    path = tmp_path / "rsyslog.conf"
    path.write_text("first\n")
    file = {"path": str(path), "settings": {"$FileCreateMode": "0640"}, "add_at": "start"}
    run(file)
    assert path.read_text() == "$FileCreateMode 0640\nfirst\n"
    assert not run(file)["changed"]


def test_what_is_stricter_already_stays(tmp_path):
    strict, open_ = tmp_path / "strict.log", tmp_path / "open.log"
    for path, bits in ((strict, 0o600), (open_, 0o666)):
        path.touch()
        path.chmod(bits)
    reply = run({"path": str(tmp_path / "*.log"), "state": "existing", "mode": "o-rwx,g-w"})
    assert reply["paths"] == [str(open_)]
    assert (mode(strict), mode(open_)) == ("0o600", "0o640")


def test_what_is_missing_is_not_made_for_its_mode(tmp_path):
    reply = run({"path": str(tmp_path / "none"), "state": "existing", "mode": "0600"})
    assert not reply["changed"]


def test_directories_and_removal(tmp_path):
    path, old = tmp_path / "dir", tmp_path / "old"
    old.touch()
    run(
        {"path": str(path), "state": "directory", "mode": "0750"},
        {"path": str(old), "state": "absent"},
    )
    assert mode(path) == "0o750"
    assert not old.exists()
