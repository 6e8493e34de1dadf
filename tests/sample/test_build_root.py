"""The root in which a package is built: clean, cut off, and gone afterwards."""

from __future__ import annotations

import os
import subprocess

from conftest import ACCOUNT, result

FILES = "\n%description\nx\n%files\n"

PROBE = """
%build
python3 - <<'PYTHON'
import socket
with socket.socket() as probe:
    probe.settimeout(3)
    try:
        probe.connect(("127.0.0.1", PORT))
    except OSError as error:
        print("PROBE no connection:", error)
    else:
        raise SystemExit("PROBE connected")
names = [name for _, name in socket.if_nameindex()]
assert names == ["lo"], names
PYTHON
test "$(hostname 2>/dev/null || cat /proc/sys/kernel/hostname)" = reproducible
test ! -e /etc/resolv.conf
test ! -e /var/tmp/stx-sample-test
"""


def test_a_build_reaches_no_network(tree, workspace, listener):
    port, came = listener
    tree.package("probe", FILES + PROBE.replace("PORT", str(port)))
    tree.commit()
    done = tree.run("build-pkgs", "--std", workspace=workspace)
    assert done.returncode == 0, done.stdout
    assert "PROBE no connection" in (result(workspace, "probe-1.0-1.tis") / "build.log").read_text()
    assert came == []


def test_nothing_of_a_build_reaches_the_next(tree, workspace):
    vandal = (
        "%build\necho bad > /usr/bin/gcc\nrm -rf /usr/include\ntouch /tmp/left /builddir/left\n"
    )
    tree.package("vandal", FILES + vandal)
    tree.package(
        "victim",
        f"BuildRequires: vandal-devel{FILES}%build\n"
        "test ! -e /tmp/left && test ! -e /builddir/left\n"
        "echo '#include <stdio.h>' | gcc -c -x c - -o /dev/null\n",
    )
    spec = tree.repo / "stx/test/vandal/centos/vandal.spec"
    devel = "%package devel\nSummary: x\n%description devel\nx\n%files devel\n"
    spec.write_text(spec.read_text() + devel)
    tree.commit()
    done = tree.run("build-pkgs", "--std", workspace=workspace)
    assert done.returncode == 0, done.stdout


def test_only_what_is_required_is_there(tree, workspace):
    """A package of the build is in a root only when BuildRequires bring it, with what it needs."""
    script = "%install\ninstall -D -m 755 %{_sourcedir}/file %{buildroot}/usr/bin/NAME\n"
    for name, requires in (("tool", "Requires: helper\n"), ("helper", ""), ("stranger", "")):
        tree.package(
            name,
            f"{requires}\n%description\nx\n{script.replace('NAME', name)}%files\n/usr/bin/{name}\n",
            files={"files/file": "#!/bin/sh\n"},
        )
    tree.package(
        "user",
        f"BuildRequires: tool\n{FILES}%build\n"
        "test -x /usr/bin/tool && test -x /usr/bin/helper && test ! -e /usr/bin/stranger\n",
    )
    tree.commit()
    done = tree.run("build-pkgs", "--std", workspace=workspace)
    assert done.returncode == 0, done.stdout
    root_log = (result(workspace, "user-1.0-1.tis") / "root.log").read_text()
    assert "helper-1.0-1.tis" in root_log
    assert "stranger" not in root_log


def test_rpm_itself_checks_what_is_installed(tree, workspace):
    """Two BuildRequires that conflict are refused by rpm: nothing is forced into a root."""
    tree.package("left", f"Conflicts: right{FILES}")
    tree.package("right", FILES)
    tree.package("both", f"BuildRequires: left, right{FILES}")
    tree.commit()
    done = tree.run("build-pkgs", "--std", workspace=workspace)
    assert done.returncode == 1
    assert "FAILED  both-1.0-1.tis: its root could not be set up" in done.stdout
    assert "conflicts with" in (result(workspace, "both-1.0-1.tis") / "root.log").read_text()


def test_anybody_may_write_to_the_root_s_tmp(tree, workspace):
    """mock builds as an account that is not root's; both look into the same base."""
    probe = (
        "%build\ntest $(stat --format %%a /tmp) = 1777\ntest $(stat --format %%a /var/tmp) = 1777\n"
    )
    tree.package("probe", FILES + probe)
    tree.commit()
    done = tree.run("build-pkgs", "--std", workspace=workspace)
    assert done.returncode == 0, done.stdout


def test_a_big_package_is_built_on_the_disk(tree, workspace):
    probe = "%build\necho SIZE $(stat --file-system --format '%%b %%S' /builddir/build)\n"
    data = "COPY_LIST='files/*'\nTIS_PATCH_VER=1\n"
    tree.package("big", FILES + probe, data=f"{data}BUILD_IS_BIG=4\n")
    tree.package("small", FILES + probe)
    tree.commit()
    done = tree.run("build-pkgs", "--std", workspace=workspace)
    assert done.returncode == 0, done.stdout
    disk = os.statvfs(workspace / "mock")
    size = f"\nSIZE {disk.f_blocks} {disk.f_frsize}\n"
    assert size in (result(workspace, "big-1.0-1.tis") / "build.log").read_text()
    assert size not in (result(workspace, "small-1.0-1.tis") / "build.log").read_text()
    assert [p for p in (workspace / "mock").iterdir() if p.name.startswith("b")] == []


def test_a_terminated_build_leaves_no_process(tree, workspace):
    """SIGTERM to the tree, as a stage's end at its time limit is."""
    tree.package("endless", f"{FILES}%build\nsleep 4321\n")
    tree.commit()
    workspace.mkdir()
    (workspace / "mock").symlink_to(tree._roots)
    subprocess.run(["chown", "-R", "-h", ACCOUNT, str(workspace)], check=True)
    process = subprocess.Popen(
        ["runuser", "-u", ACCOUNT, "--", "build-pkgs", "--std"],
        env=tree.environ(workspace), stdout=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    while subprocess.run(["pgrep", "-u", ACCOUNT, "-f", "sleep 4321"], check=False).returncode:
        assert process.poll() is None
    os.killpg(process.pid, 15)
    process.wait(20)
    for _ in range(100):
        if subprocess.run(["pgrep", "-u", ACCOUNT, "sleep"], check=False).returncode:
            return
        subprocess.run(["sleep", "0.1"], check=True)
    raise AssertionError("a process of the build lives on")
