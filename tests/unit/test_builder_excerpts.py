"""The lines of a log that say why something failed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stxmirror.builder import excerpts


@pytest.mark.parametrize(
    "line",
    [
        "x.c:3:1: error: expected ';'",
        "x.c:1:10: fatal error: y.h: No such file or directory",
        "ld: x.o: undefined reference to `y'",
        "make[1]: *** [Makefile:3: x.o] Error 1",
        "error: Bad exit status from /var/tmp/rpm-tmp.x (%build)",
        "E: Unable to locate package x",
        "ModuleNotFoundError: No module named 'x'",
        "Traceback (most recent call last):",
        "fatal: unable to access 'https://example.org/'",
        "No matching package to install: 'libx-devel'",
        "  nothing provides libx >= 2 needed by y",
        "cp: error writing 'x': No space left on device",
        "FAILED tests/x.py::test_y",
        "\x1b[01;31m\x1b[Kerror: \x1b[m\x1b[Kexpected ';'",
    ],
)
def test_the_first_error_of_a_tool_is_found(line):
    log = f"checking for errors... none\n{line}\nlater: error: another\n"
    found = excerpts.first_error(log)
    assert found
    assert "another" not in found
    assert "none" not in found
    assert "\x1b" not in found


@pytest.mark.parametrize(
    "line", ["gcc -Werror -c terror.c", "0 errors", "installing libgpg-error: x86_64 1.2", ""]
)
def test_what_is_no_error(line):
    assert excerpts.first_error(f"{line}\nall went well\n") == ""


def test_lines_are_what_a_person_saw():
    text = "10%\r20%\r30%\n\x1b]0;title\x07\x1b[31mred\x1b[0m\r\ntab\there\n\n\n"
    assert excerpts.lines_of(text) == ["30%", "red", "tab here"]


@given(st.text())
def test_every_line_can_be_shown(text):
    for line in excerpts.lines_of(text):
        assert line.isprintable()
        assert len(line) <= 500


def test_a_long_log_is_told_by_its_last_lines():
    lines = [f"{number} {'x' * 600}" for number in range(40)]
    last = excerpts.last_lines("\n".join(lines))
    assert last == [line[:500] for line in lines[10:]]


def test_errors_go_first_and_are_not_said_twice():
    assert excerpts.with_errors(["a: x", "b: y"], ["b: y", "end"]) == ["a: x", "b: y", "end"]
    assert excerpts.with_errors([], []) == []
    many = [str(number) for number in range(50)]
    shown = excerpts.with_errors([f"e{n}" for n in range(20)], many[-30:])
    assert (len(shown), shown[9], shown[10], shown[-1]) == (30, "e9", "30", "49")
