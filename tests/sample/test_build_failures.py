"""What does not build stops nothing else, and says why."""

from __future__ import annotations

import json

from conftest import result, summary

FILES = "\n%description\nx\n%files\n"
DEVEL = "%package devel\nSummary: x\n%description devel\nx\n%files devel\n"


def test_failures_leave_the_rest_alone(tree, workspace):
    tree.package("good", f"BuildRequires: gcc{FILES}")
    tree.package(
        "broken",
        f"BuildRequires: gcc{FILES}{DEVEL}%build\ngcc -c %{{_sourcedir}}/broken.c\n",
        files={"files/broken.c": "int main(void) { return nothing; }\n"},
    )
    tree.package("needs-broken", f"BuildRequires: broken-devel{FILES}")
    tree.package("lacking", f"BuildRequires: no-such-thing >= 2{FILES}")
    tree.package("too-old", f"BuildRequires: gcc >= 99{FILES}")
    tree.package("chicken", f"BuildRequires: egg-devel{FILES}{DEVEL}")
    tree.package("egg", f"BuildRequires: chicken-devel{FILES}{DEVEL}")
    tree.package("no-source", FILES, data='COPY_LIST="files/*.xyz"\nTIS_PATCH_VER=1\n')
    tree.package("no-release", FILES, data='COPY_LIST="files/*"\n')
    tree.commit()
    done = tree.run("build-pkgs", "--std", workspace=workspace)
    assert done.returncode == 1
    assert summary(workspace) == {
        "built": ["good"],
        "reused": [],
        "failed": [
            "broken", "chicken", "egg", "lacking", "needs-broken", "no-release", "no-source",
            "too-old",
        ],
    }  # fmt: skip
    out = done.stdout
    assert "nothing" in (result(workspace, "broken-1.0-1.tis") / "build.log").read_text()
    assert "'nothing' undeclared" in out.replace("\u2018", "'").replace("\u2019", "'")
    assert "not tried: it needs broken, which failed" in out
    assert "lacking needs no-such-thing >= 2, and no package" in out
    assert "too-old needs gcc >= 99, and no package" in out
    assert "chicken -> egg -> chicken" in out
    assert "COPY_LIST names files/*.xyz, which does not exist" in out
    assert "TIS_PATCH_VER=''" in out
    assert (result(workspace, "lacking-1.0-1.tis") / "fail").read_text().startswith("lacking needs")
    assert (workspace / "std/rpmbuild/RPMS/repodata/repomd.xml").is_file()
    assert "broken" in done.stderr.splitlines()[-1]


def test_a_repaired_package_builds_in_the_same_workspace(tree, workspace):
    package = tree.package("flaky", f"{FILES}%build\nfalse\n")
    tree.package("fine", FILES)
    tree.commit()
    assert tree.run("build-pkgs", "--std", workspace=workspace).returncode == 1
    spec = package / "centos/flaky.spec"
    spec.write_text(spec.read_text().replace("false", "true"))
    done = tree.run("build-pkgs", "--std", workspace=workspace)
    assert done.returncode == 0, done.stdout
    assert summary(workspace) == {"built": ["flaky"], "reused": ["fine"], "failed": []}
    assert not (result(workspace, "flaky-1.0-1.tis") / "fail").exists()


def test_two_packages_of_one_name_are_refused(tree, workspace):
    tree.package("one", FILES)
    other = tree.package("other", FILES)
    spec = other / "centos/other.spec"
    spec.write_text(spec.read_text().replace("Name: other", "Name: one").replace("1.0", "2.0"))
    tree.commit()
    done = tree.run("build-pkgs", "--std", workspace=workspace)
    assert done.returncode == 1
    assert "two packages make one: one-1.0-1.tis.src.rpm and one-2.0-1.tis.src.rpm" in done.stderr


def test_a_listed_directory_that_is_no_package_is_refused(tree, workspace):
    tree.package("one", FILES)
    (tree.repo / "stx/test/centos_pkg_dirs").write_text("one\nnowhere\n")
    tree.commit()
    done = tree.run("build-pkgs", "--std", workspace=workspace)
    assert done.returncode == 1
    assert "centos_pkg_dirs names nowhere" in done.stderr


def test_no_environment_no_build(tree, workspace):
    done = tree.run("build-pkgs", workspace=workspace, MY_REPO="")
    assert done.returncode == 1
    assert done.stderr == "ERROR: MY_REPO is not set; set StarlingX's build environment first\n"


def test_no_user_name_spaces_is_told_once(tree, workspace, tmp_path):
    """As on a host whose sysctls forbid them; this one cannot be changed for a test."""
    tree.package("one", FILES)
    tree.package("two", FILES)
    tree.commit()
    refusing = tree.path.parent / "bin"
    refusing.mkdir()
    (refusing / "unshare").write_text("#!/bin/sh\necho 'Operation not permitted' >&2\nexit 1\n")
    (refusing / "unshare").chmod(0o755)
    path = f"{refusing}:{tree.environ(workspace)['PATH']}"
    done = tree.run("build-pkgs", "--std", workspace=workspace, PATH=path)
    assert done.returncode == 1
    assert done.stderr.count("may not make user name spaces (Operation not permitted)") == 1


def test_no_base_root_says_what_to_run(tree, workspace):
    tree.package("one", FILES)
    tree.commit()
    for path in (tree.repo / "cgcs-centos-repo/Binary").rglob("*.rpm"):
        path.unlink()
    done = tree.run("build-pkgs", "--std", workspace=workspace)
    assert done.returncode == 1
    assert "run download_mirror.sh and generate-cgcs-centos-repo.sh" in done.stderr


def test_requirement_that_only_a_built_file_shows(tree, workspace):
    """pkgconfig(x) is in no spec: found once the package that has the file is built."""
    tree.package(
        "late",
        f"BuildRequires: pkgconfig(early-one)\nBuildRequires: /usr/share/early/file{FILES}"
        "%build\ntest -f /usr/share/early/file\n",
    )
    tree.package(
        "early",
        "%description\nx\n%install\n"
        "install -D -m 644 %{SOURCE0} %{buildroot}%{_libdir}/pkgconfig/early-one.pc\n"
        "install -D -m 644 %{SOURCE0} %{buildroot}/usr/share/early/file\n"
        "%files\n%{_libdir}/pkgconfig/*\n/usr/share/early\n",
        files={"files/early-one.pc": "Name: x\nDescription: x\nVersion: 1\n"},
    )
    tree.commit()
    done = tree.run("build-pkgs", "--std", workspace=workspace)
    assert done.returncode == 0, done.stdout
    assert json.loads((workspace / "std/results/summary.json").read_text())["built"] == [
        "early",
        "late",
    ]
