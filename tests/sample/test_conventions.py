"""build_srpm.data and spec files by StarlingX's conventions."""

from __future__ import annotations

import gzip
import io
import subprocess
import tarfile

from conftest import own, summary

FILES = "\n%description\nx\n%files\n"


def sources(path, to):
    """Unpacks a source RPM."""
    to.mkdir()
    payload = subprocess.run(["rpm2cpio", str(path)], capture_output=True, check=True).stdout
    subprocess.run(["cpio", "-id", "--quiet"], cwd=to, input=payload, check=True)
    return to


def members(path):
    """The names in a source archive; its header holds neither name nor time."""
    data = path.read_bytes()
    assert data[3] == 0
    assert data[4:8] == b"\0\0\0\0"
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(data))) as archive:
        found = archive.getmembers()
    assert {(m.uid, m.gid, m.uname) for m in found} == {(0, 0, "root")}
    return [m.name for m in found]


def srpm_of(tree, workspace, name, tmp_path):
    done = tree.run("build-srpms-parallel", name, workspace=workspace)
    assert done.returncode == 0, done.stdout + done.stderr
    path = next((workspace / "std/rpmbuild/SRPMS").glob(f"{name}-*.src.rpm"))
    return path, sources(path, tmp_path / "sources")


def test_source_directory_becomes_an_archive(tree, workspace, tmp_path):
    tree.package(
        "tarred", f"Source0: %{{name}}-%{{version}}.tar.gz\n{FILES}%prep\n%setup\ntest -f a\n",
        data='SRC_DIR="src"\nCOPY_LIST_TO_TAR="extra LICENSE"\n'
        'EXCLUDE_LIST_FROM_TAR="secret sub/gone"\nTIS_PATCH_VER=7\n',
        files={
            "src/b": "", "src/a": "", "src/secret": "", "src/sub/gone": "", "src/sub/kept": "",
            "src/build/object": "", "src/patches/p": "", "src/.gitignore": "", "src/centos/x": "",
            "extra/e": "", "LICENSE": "",
        },
    )  # fmt: skip
    tree.commit()
    path, found = srpm_of(tree, workspace, "tarred", tmp_path)
    assert path.name == "tarred-1.0-7.tis.src.rpm"
    top = "tarred-1.0"
    assert members(found / f"{top}.tar.gz") == [
        top, f"{top}/LICENSE", f"{top}/a", f"{top}/b", f"{top}/extra", f"{top}/extra/e",
        f"{top}/sub", f"{top}/sub/kept",
    ]  # fmt: skip
    assert tree.run("build-rpms-parallel", "tarred", workspace=workspace).returncode == 0
    assert summary(workspace)["built"] == ["tarred"]


def test_archive_may_be_named(tree, workspace, tmp_path):
    tree.package(
        "named", f"Source0: other.tgz\n{FILES}",
        data='SRC_DIR="src"\nTAR_NAME="top"\nVERSION=9\nTAR="other.tgz"\nTIS_PATCH_VER=1\n',
        files={"src/a": ""},
    )  # fmt: skip
    tree.commit()
    _, found = srpm_of(tree, workspace, "named", tmp_path)
    assert members(found / "other.tgz") == ["top-9", "top-9/a"]


def test_copied_files_and_variables(tree, workspace, tmp_path):
    tree.package(
        "copied",
        "Source0: one\nSource1: two\nSource2: three\n" + FILES,
        data='COPY_LIST="$PKG_BASE/files/* $GIT_BASE/copied/LI*"\n'
        'COPY_LIST="$COPY_LIST ${CGCS_BASE}/test/copied/far/three"\n'
        "COPY_LIST=\"$COPY_LIST $STX_BASE/downloads/busybox-static_*.deb\"\nTIS_PATCH_VER=3\n",
        files={"files/one": "1", "files/two": "2", "LICENSE": "", "far/three": "3"},
    )  # fmt: skip
    tree.commit()
    path, found = srpm_of(tree, workspace, "copied", tmp_path)
    assert {p.name for p in found.iterdir()} == {"one", "two", "three", "copied.spec"}
    owners = subprocess.run(
        ["rpm", "-qp", "--nosignature", "--queryformat",
         "[%{FILEUSERNAME} %{FILEGROUPNAME} %{FILEMTIMES}\n]", str(path)],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert set(owners.splitlines()) == {"root root 1767323045"}


def test_release_may_count_commits(tree, workspace):
    package = tree.package(
        "counted", f"Source0: %{{name}}-%{{version}}.tar.gz\n{FILES}", files={"src/a": ""},
        data='SRC_DIR="src"\nTIS_BASE_SRCREV=first\nTIS_PATCH_VER=GITREVCOUNT+2\n',
    )  # fmt: skip
    tree.commit()
    git = tree.repo / "stx/test"
    subprocess.run(["git", "-c", "safe.directory=*", "tag", "first"], cwd=git, check=True)
    (package / "src/a").write_text("changed\n")
    tree.commit()
    own(tree.path)
    done = tree.run("build-srpms-parallel", "counted", workspace=workspace)
    assert done.returncode == 0, done.stdout
    assert (workspace / "std/rpmbuild/SRPMS/counted-1.0-3.tis.src.rpm").is_file()


def test_a_package_may_make_its_source_rpm_itself(tree, workspace):
    package = tree.package("own", f"Source0: made\n{FILES}", data="TIS_PATCH_VER=4\n")
    script = package / "centos/build_srpm"
    # As StarlingX's build-info: no first line, bash, the tools' own functions.
    script.write_text(
        'source "$SRC_BASE/build-tools/spec-utils"\nsource "$DATA"\n'
        "spec=$RPMBUILD_BASE/SPECS/own.spec\n"
        '[[ $(spec_find_tag Name "$spec") == own ]] || exit 1\n'
        'date > "$RPMBUILD_BASE/SOURCES/made"\n'
        'sed -i "1 i%define tis_patch_ver $TIS_PATCH_VER" "$spec"\n'
        'rpmbuild -bs "$spec" --define="%_topdir $RPMBUILD_BASE" --define="_tis_dist .tis"\n'
    )
    script.chmod(0o755)
    tree.commit()
    done = tree.run("build-pkgs", "--std", workspace=workspace)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (workspace / "std/rpmbuild/RPMS").joinpath("own-1.0-4.tis.x86_64.rpm").is_file()


def test_rt_and_installer_are_separate_types(tree, workspace):
    spec = '%if "%{_tis_build_type}" == "rt"\nProvides: real-time\n%endif\n'
    tree.package("kernelish", f"BuildRequires: from-std\n{spec}{FILES}", build_type="rt")
    tree.package("from-std", FILES)
    tree.package("boot", f"BuildRequires: from-std{FILES}", build_type="installer")
    tree.commit()
    done = tree.run("build-pkgs", workspace=workspace)
    assert done.returncode == 0, done.stdout
    assert not (workspace / "installer").exists()
    assert tree.run("build-pkgs", "--installer", workspace=workspace).returncode == 0
    rpm = workspace / "rt/rpmbuild/RPMS/kernelish-1.0-1.tis.x86_64.rpm"
    provides = subprocess.run(
        ["rpm", "-qp", "--nosignature", "--provides", str(rpm)],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert "real-time" in provides
    assert (workspace / "installer/rpmbuild/RPMS/boot-1.0-1.tis.x86_64.rpm").is_file()


def test_a_package_that_left_the_tree_leaves_the_repository(tree, workspace):
    tree.package("stays", FILES)
    tree.package("goes", FILES)
    tree.commit()
    assert tree.run("build-pkgs", "--std", workspace=workspace).returncode == 0
    (tree.repo / "stx/test/centos_pkg_dirs").write_text("stays\n")
    assert tree.run("build-pkgs", "--std", workspace=workspace).returncode == 0
    assert [p.name for p in (workspace / "std/rpmbuild/RPMS").glob("*.rpm")] == [
        "stays-1.0-1.tis.x86_64.rpm"
    ]
    assert [p.name for p in (workspace / "std/rpmbuild/SRPMS").glob("*.rpm")] == [
        "stays-1.0-1.tis.src.rpm"
    ]


def test_a_new_release_replaces_the_old_one(tree, workspace):
    package = tree.package("moves", FILES)
    tree.commit()
    assert tree.run("build-pkgs", "--std", workspace=workspace).returncode == 0
    (package / "centos/build_srpm.data").write_text('COPY_LIST="files/*"\nTIS_PATCH_VER=2\n')
    tree.commit()
    assert tree.run("build-pkgs", "--std", workspace=workspace).returncode == 0
    assert [p.name for p in (workspace / "std/rpmbuild/RPMS").glob("*.rpm")] == [
        "moves-1.0-2.tis.x86_64.rpm"
    ]
