"""The steps on the disk that everything else of the mirror's tool stands on."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path

import pytest

from stxmirror.mirror import fs


def test_a_tree_deeper_than_python_or_the_kernels_paths_is_removed(tmp_path: Path) -> None:
    top = tmp_path / "top"
    top.mkdir()
    here = os.open(top, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=here)
        os.close(os.open("f", os.O_CREAT, dir_fd=here))
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    fs.remove_tree(top)
    assert list(tmp_path.iterdir()) == []


def test_removing_follows_no_link(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    top = tmp_path / "top"
    (top / "sub").mkdir(parents=True)
    (top / "sub" / "way").symlink_to(outside)
    (top / "way").symlink_to(outside)
    os.mkfifo(top / "pipe")
    fs.remove_tree(top)
    assert (outside / "kept").exists()
    assert not top.exists()


def test_removing_a_link_instead_of_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with pytest.raises(OSError, match="link"):
        fs.remove_tree(tmp_path / "link")
    assert (tmp_path / "real").is_dir()


def test_two_may_remove_the_same_tree_at_once(tmp_path: Path) -> None:
    top = tmp_path / "top"
    for number in range(40):
        (top / f"{number}/a/b/c").mkdir(parents=True)
        (top / f"{number}/a/b/file").touch()
    failures: list[BaseException] = []

    def remove() -> None:
        try:
            fs.remove_tree(top)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=remove) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert not top.exists()


def test_a_tree_is_removed_under_somebody_who_exchanges_its_parts(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "sub").mkdir(parents=True)
    (outside / "sub/kept").touch()
    over = threading.Event()

    def exchange(top: Path) -> None:
        real, aside = top / "part/real", top / "part/aside"
        while not over.is_set():
            for step in (
                lambda: real.rename(aside),
                lambda: real.symlink_to(outside / "sub"),
                real.unlink,
                lambda: aside.rename(real),
                (top / "part/late").touch,
                (top / "late").mkdir,
            ):
                with contextlib.suppress(OSError):
                    step()

    for round_ in range(30):
        top = tmp_path / f"top{round_}"
        (top / "part/real/deep").mkdir(parents=True)
        exchanger = threading.Thread(target=exchange, args=(top,))
        over.clear()
        exchanger.start()
        try:
            fs.remove_tree(top)
        finally:
            over.set()
            exchanger.join()
        assert not top.exists()
    assert (outside / "sub/kept").exists()


def _open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.mark.parametrize("path", ["way/file", "sub/link", "sub", "pipe", "missing", "sub/file/x"])
def test_only_a_regular_file_behind_real_directories_is_opened(tmp_path: Path, path: str) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/file").write_text("bytes")
    (tmp_path / "sub/link").symlink_to("file")
    (tmp_path / "way").symlink_to("sub")
    os.mkfifo(tmp_path / "pipe")
    root = os.open(tmp_path, os.O_RDONLY)
    open_before = _open_files()
    try:
        with pytest.raises(OSError, match=r"."):
            fs.open_beneath(root, path)
        assert _open_files() == open_before
        fd = fs.open_beneath(root, "sub/file")
        assert os.read(fd, 10) == b"bytes"
        os.close(fd)
    finally:
        os.close(root)


def test_a_file_is_replaced_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "target"
    fs.write_file(target, b"old", tmp_path)

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        fs.write_file(target, b"new", tmp_path)
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_link_is_never_absent_while_it_moves(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    link = tmp_path / "link"
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    fs.set_link(link, "a", scratch)
    over = threading.Event()
    misses = []

    def read() -> None:
        while not over.is_set():
            if not link.is_dir():
                misses.append(1)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(300):
        assert fs.set_link(link, "ab"[(number + 1) % 2], scratch)
    over.set()
    reader.join()
    assert misses == []
    assert not fs.set_link(link, str(link.readlink()), scratch)
