"""What is read from a serial line: markers, failures, and what a person would have seen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stxmirror.builder.serial import LAST_LINES, SerialLine, plain_text

MARKER = "SAMPLE: installer master ready"


def read(data: bytes, markers=(MARKER,), failures=()) -> SerialLine:
    """A serial line on which ``data`` came at once, and then nothing."""
    line = SerialLine(markers, failures)
    line.feed(data)
    line.feed(b"")
    return line


@pytest.mark.parametrize(
    "data",
    [
        b"SAMPLE: installer master ready",
        b"boot\r\r\nSAMPLE: installer master ready\r\r\nshell",
        b"SAMPLE: installer  master\tready\n",
        b"\x1b[1;32mSAMPLE:\x1b[0m installer \x1b[?25lmaster ready\n",
        b"\x1b[2;1HSAMPLE: installer master ready\x1b[3;1H",
        b"\x1b]0;root@host\x07SAMPLE: installer master ready\n",
        b"\x1b]8;;http://x\x1b\\SAMPLE\x1b]8;;\x1b\\: installer master ready\n",
        b"\x1bP1$r0m\x1b\\SAMPLE: installer master ready\n",
        b"\x1b]0;a title without its end\r\nSAMPLE: installer master ready\n",
        b"\x1b(B\x1b)0\x1b=SAMPLE: installer master ready\n",
        b"SAMPLX\bE: installer master r|\b/\b-\beady\n",
        b"\x00SAMPLE: \xffinstaller master ready\x7f\n",
    ],
)
def test_a_marker_is_found_among_control_sequences(data):
    assert read(data).seen == 1


@pytest.mark.parametrize(
    "data",
    [
        b"SAMPLE: instal[    5.1] usb 1-1: new device\nler master ready\n",
        b"SAMPLE: instal[    5.123456] usb 1-1: new device\r\nler master ready",
        b"SAM[ 1.000001] a\r\nPLE: inst[   12.5] b\r\n[   12.6] c [d]\r\naller master ready\r\r\n",
        b"SAMPLE:[12345.678901][  T123] sda: sda1\n installer master ready",
        b"SAMPLE: [    5.1] usb 1-1: new device\ninstaller master ready\n",
        b"SAMPLE: installer master read<6>[    5.1] x\ny\n",
        b"[    5.1] \x1b[1mx\x1b[0m\nSAMPLE: installer \x1b[32m[    5.2] y\n\x1b[0mmaster ready",
        b"[    5.100000] SAMPLE: installer master ready\n",
    ],
)
def test_a_marker_is_found_where_the_kernel_writes_into_its_line(data):
    assert read(data).seen == 1


@pytest.mark.parametrize(
    "data",
    [
        b"SAMPLE: instal\nler master ready\n",
        b"SAMPLE: instal[ok] usb 1-1: new device\nler master ready\n",
        b"SAMPLE: instal[    5.1] usb\nanother line\nler master ready\n",
        b"SAMPLE: instal\n[    5.1] usb\nler master ready\n",
        b"SAMPLE: instal\x1b[4;1Hler master ready\n",
        b"SAMPLE: installer release ready\n",
        b"",
    ],
)
def test_a_marker_that_is_spread_over_lines_is_none(data):
    assert read(data).seen == 0


@given(
    st.binary(max_size=40).filter(lambda data: b"\x1b" not in data and b"\b" not in data),
    st.integers(1, len(MARKER) - 1),
    st.lists(st.integers(0, 200), max_size=6),
)
def test_a_marker_is_found_however_its_bytes_come(before, cut, places):
    data = before + b"\n" + MARKER[:cut].encode() + b"[    5.1] usb 1-1: x\r\n"
    data += MARKER[cut:].encode() + b"\r\n"
    line = SerialLine([MARKER])
    edges = [0, *sorted(min(place, len(data)) for place in places), len(data)]
    for begin, end in zip(edges, edges[1:], strict=False):
        line.feed(data[begin:end])
    assert line.seen == 1


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_no_bytes_stop_it_and_none_of_them_control_the_reader(first, second):
    line = SerialLine([MARKER], ["FAILED"])
    line.feed(first)
    line.feed(second)
    shown = line.last_lines()
    assert all(text.isprintable() and text for text in shown)


def test_markers_count_in_their_order():
    line = SerialLine(["ready", "installed"])
    line.feed(b"installed\n")
    assert line.seen == 0
    line.feed(b"ready\nwait\n")
    assert line.seen == 1
    line.feed(b"installed")
    assert line.seen == 2


def test_a_failure_is_quoted_as_a_whole_line():
    line = SerialLine([MARKER], ["SAMPLE: FAILED", "Kernel panic - not syncing"])
    line.feed(b"SAMPLE: FAILED no ")
    assert line.failure is None
    line.feed(b"medium\r\n")
    assert line.failure == "SAMPLE: FAILED no medium"


def test_a_failure_that_does_not_end_its_line_counts_once_nothing_follows():
    line = SerialLine([MARKER], ["SAMPLE: FAILED"])
    line.feed(b"SAMPLE: FAILED no medium")
    line.feed(b"")
    assert line.failure == "SAMPLE: FAILED no medium"


def test_a_failure_is_found_in_a_kernel_message_and_around_one():
    panic = read(b"[    9.1] Kernel panic - not syncing: VFS\n", failures=["Kernel panic"])
    assert panic.failure == "[ 9.1] Kernel panic - not syncing: VFS"
    cut = read(b"SAMPLE: FAI[ 5.1] usb\nLED no medium\n", failures=["SAMPLE: FAILED"])
    assert cut.failure == "SAMPLE: FAILED no medium"


def test_what_follows_the_last_marker_is_no_failure_and_what_follows_a_failure_no_marker():
    assert read(f"{MARKER}\nFAILED\n".encode(), failures=["FAILED"]).failure is None
    assert read(f"FAILED\n{MARKER}\n".encode(), failures=["FAILED"]).seen == 0


def test_a_countdown_that_is_drawn_anew_is_one_line():
    grub = b"GNU GRUB  version 2.06\n" + b"".join(
        b"\x1b[22;4HThe entry will be executed in %ds.   " % left for left in (5, 4, 3, 2, 1)
    )
    assert read(grub).last_lines() == [
        "GNU GRUB version 2.06",
        "The entry will be executed in 1s.",
    ]
    assert read(b"copied 10 %\rcopied 100 %\r\n").last_lines() == ["copied 100 %"]


def test_the_last_lines_are_few_short_and_worth_reading():
    line = read(b"".join(b"line %d\r\n+------+\r\n\r\n" % number for number in range(40)))
    assert line.last_lines() == [f"line {number}" for number in range(40 - LAST_LINES, 40)]
    assert len(read(b"x" * 5000).last_lines()[0]) <= 200


def test_a_line_without_end_fills_no_memory():
    line = SerialLine([MARKER])
    for _ in range(40):
        line.feed(b"x" * 10_000)
    line.feed(b"\n" + MARKER.encode())
    assert line.seen == 1
    # It is cut five times.
    assert line.last_lines() == [*["x" * 200] * 6, MARKER]


def test_plain_text_says_where_the_cursor_went():
    assert plain_text(b"a\x1b[2;5Hb\rc\x1b[10Gd\x1b[Ke") == "a\vb\vc de"
    assert plain_text("höhe\x9b\u2028".encode()) == "höhe"
    assert plain_text(b"cut\x1b[1;3") == "cut"


def test_a_backspace_takes_back_what_is_there():
    assert plain_text(b"\bab\bc") == "ac"
    assert plain_text(b"a\r\bb") == "a\vb"
