"""The sample's repositories: served for reading, and the same on every machine."""

from __future__ import annotations

import pytest

HERE = "git://127.0.0.1/sample"
HOME = "/var/lib/sample-remotes"
REPOSITORIES = f"{HOME}/repositories/sample"
BRANCHES = '[{"name": "master"}]'
DATE = "2026-01-05T00:00:00+00:00"


@pytest.fixture
def scratch(host):
    """A directory of the account that serves, gone afterwards."""
    path = host.check_output("runuser -u sample-remotes -- mktemp -d -p /var/tmp")
    yield path
    host.check_output(f"rm -rf {path}")


def import_sample(host, archive: str, repositories: str, branches: str = BRANCHES):
    return host.run(
        f"echo '{branches}' | runuser -u sample-remotes -- /usr/local/bin/import-sample"
        f" --archive={archive} --repositories={repositories} --first-date={DATE}"
    )


def heads(host, repositories: str, name: str) -> str:
    return host.check_output(
        f"git -c safe.directory=* --git-dir {repositories}/{name}.git for-each-ref"
        " --format='%(refname) %(objectname)'"
    )


def test_repositories_can_be_cloned(host, scratch):
    """By the address that the manifest names, with the modes that files have."""
    host.check_output(f"git clone --quiet {HERE}/tool.git {scratch}/tool")
    assert host.check_output(f"{scratch}/tool/bin/tool") == "tool"
    assert host.file(f"{scratch}/tool/.gitignore").exists


def test_service_comes_back(host):
    service = host.service("sample-remotes")
    assert service.is_running, host.run("journalctl -u sample-remotes -n 30").stdout
    assert service.is_enabled


def test_branches_are_data(host):
    """A branch differs from the first just where it was told to."""
    git = f"git -c safe.directory=* --git-dir {REPOSITORIES}"
    assert 'revision="master"' in host.check_output(f"{git}/manifest.git show master:default.xml")
    assert 'revision="f/demo"' in host.check_output(f"{git}/manifest.git show f/demo:default.xml")
    assert host.check_output(f"{git}/tool.git rev-parse master f/demo").splitlines()[0] in (
        host.check_output(f"{git}/tool.git rev-parse f/demo")
    )


def test_nobody_can_write(host, scratch):
    """What is built must be what the project holds."""
    host.check_output(f"git clone --quiet {HERE}/tool.git {scratch}/tool")
    push = host.run(
        f"git -C {scratch}/tool -c user.name=x -c user.email=x@x commit -q --allow-empty -m x"
        f" && git -C {scratch}/tool push origin master"
    )
    assert push.rc != 0
    assert "service not enabled" in push.stderr


def test_served_to_this_host_alone(host):
    assert host.socket("tcp://127.0.0.1:9418").is_listening
    assert "0.0.0.0:9418" not in host.check_output("ss -Hltn sport = :9418").split()


def test_nothing_outside_is_served(host):
    """Only what was made for it, whatever path is asked for."""
    for path in ("/etc", "/sample/../../sample.tar", "/.."):
        assert host.run(f"git ls-remote git://127.0.0.1{path}").rc != 0


def test_same_content_same_commits_everywhere(host, scratch):
    """Made again from nothing, as on another machine: the very same commits."""
    made = import_sample(host, f"{HOME}/sample.tar", f"{scratch}/again")
    assert made.rc == 0, made.stderr
    ours = heads(host, REPOSITORIES, "tool").splitlines()
    assert set(heads(host, f"{scratch}/again", "tool").splitlines()) <= set(ours)


def test_change_becomes_one_commit_and_the_rest_stays(host, scratch):
    """So that a build of a changed sample shows that change, and no other."""
    import_sample(host, f"{HOME}/sample.tar", f"{scratch}/r")
    before = {name: heads(host, f"{scratch}/r", name) for name in ("tool", "manifest")}
    host.check_output(
        f"sh -ec 'mkdir {scratch}/u; cd {scratch}/u; tar xf {HOME}/sample.tar;"
        " echo more >tool/more; rm tool/.gitignore; tar cf ../changed.tar .'"
    )
    host.check_output(f"chmod -R a+rX {scratch}")
    changed = import_sample(host, f"{scratch}/changed.tar", f"{scratch}/r")
    assert changed.rc == 0, changed.stderr
    assert [line.split()[:2] for line in changed.stdout.splitlines()] == [["tool", "master"]]
    assert heads(host, f"{scratch}/r", "manifest") == before["manifest"]
    log = host.check_output(
        f"git -c safe.directory=* --git-dir {scratch}/r/tool.git log --format=%s:%ct master"
    )
    assert log.splitlines() == ["Change tool:1767574800", "Import tool:1767571200"]
    files = host.check_output(
        f"git -c safe.directory=* --git-dir {scratch}/r/tool.git ls-tree -r --name-only master"
    )
    assert files.splitlines() == ["bin/tool", "more"]
    again = import_sample(host, f"{scratch}/changed.tar", f"{scratch}/r")
    assert (again.rc, again.stdout) == (0, "")


def test_change_of_a_text_that_is_not_there_is_refused(host, scratch):
    """Else a branch would silently be a copy of the first."""
    branches = (
        '[{"name": "master", "replace": [{"path": "tool/bin/tool", "from": "no such", "to": "x"}]}]'
    )
    refused = import_sample(host, f"{HOME}/sample.tar", f"{scratch}/r", branches)
    assert refused.rc == 1
    assert refused.stderr.strip() == "branch master: tool/bin/tool has no 'no such' to replace"
