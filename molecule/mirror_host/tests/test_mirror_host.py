"""What readers, senders and thieves of a key get from a mirror."""

from __future__ import annotations

import json
import re

import pytest

URL = "http://127.0.0.1/mirror/starlingx/"
STORE = "/srv/mirror"
TREE = f"{STORE}/public"
# Among the mirror's own files, where mirrorctl does not take it for a build to reckon with.
PLACE = "assets/x"
DATED = f"{PLACE}/20261101T020000Z"
SSH = (
    "ssh -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null "
    "-o LogLevel=ERROR"
)


@pytest.fixture(scope="module", autouse=True)
def published(host):
    """A tree as mirrorctl leaves it, with what a browser may meet in it."""
    host.check_output(
        "sh -euc '"
        f"d={TREE}/{DATED}/outputs; "
        "runuser -u mirror -- mkdir -p $d/iso $d/logs $d/RPMS/std/repodata; "
        "cd $d; "
        "for f in iso/bootimage.iso RPMS/std/a-1.rpm RPMS/std/repodata/repomd.xml "
        "RPMS/std/repodata/primary.xml.gz RPMS/std/repodata/primary.xml.zst logs/build.log "
        "logs/report.html ../build.json ../SHA256SUMS ../SHA256SUMS.asc CONTEXT success; do "
        "echo 0123456789 >$f; chown mirror:mirror $f; done; "
        f"cd {TREE}/{PLACE}; "
        "ln -sfn 20261101T020000Z latest_build; chown -h mirror:mirror latest_build; "
        f"runuser -u mirror -- mkdir -p {TREE}/builds/{DATED}; "
        f"runuser -u mirror -- touch {TREE}/builds/{DATED}/index.html; "
        f"ln -sfn /etc/passwd {TREE}/passwd; ln -sfn {STORE}/state {TREE}/state; "
        f"chown -h mirror:mirror {TREE}/passwd {TREE}/state; "
        f"touch {STORE}/state/secret {STORE}/incoming/secret'"
    )
    yield
    host.check_output(f"rm -rf {TREE}/{PLACE} {TREE}/builds/assets {TREE}/passwd {TREE}/state")


def answer(host, path, *options):
    """Status and headers (small letters) of a GET for a path below the prefix."""
    words = " ".join(options)
    text = host.check_output(f"curl -sS -g --path-as-is -D - -o /dev/null {words} '{URL}{path}'")
    status, *lines = text.strip().splitlines()
    headers = dict(
        re.split(r":\s*", line.strip().lower(), maxsplit=1) for line in lines if ":" in line
    )
    return int(status.split()[1]), headers


def max_age(headers):
    return int(re.search(r"max-age=(\d+)", headers["cache-control"])[1])


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (f"{DATED}/outputs/iso/bootimage.iso", "application/x-iso9660-image"),
        (f"{DATED}/outputs/RPMS/std/a-1.rpm", "application/x-rpm"),
        (f"{DATED}/outputs/RPMS/std/repodata/repomd.xml", "application/xml"),
        (f"{DATED}/outputs/RPMS/std/repodata/primary.xml.gz", "application/gzip"),
        (f"{DATED}/outputs/RPMS/std/repodata/primary.xml.zst", "application/zstd"),
        (f"{DATED}/outputs/logs/build.log", "text/plain; charset=utf-8"),
        (f"{DATED}/build.json", "application/json"),
        (f"{DATED}/SHA256SUMS", "text/plain; charset=utf-8"),
        (f"{DATED}/SHA256SUMS.asc", "application/pgp-signature"),
        (f"{DATED}/outputs/CONTEXT", "text/plain; charset=utf-8"),
        (f"{DATED}/outputs/success", "text/plain; charset=utf-8"),
        ("assets/signing-key.asc", "application/pgp-keys"),
        ("index.html", "text/html; charset=utf-8"),
        ("", "text/html; charset=utf-8"),
    ],
)
def test_type(host, path, kind):
    """A browser shows what is to be read, and saves what is to be saved."""
    status, headers = answer(host, path)
    assert (status, headers["content-type"]) == (200, kind)


def test_dated_paths_are_cached_for_a_month_and_the_rest_briefly(host):
    """A dated path never changes, but may be withdrawn; an alias, a listing, a page do change."""
    status, headers = answer(host, f"{DATED}/build.json")
    assert status == 200
    assert max_age(headers) == 86400 * 30
    assert "immutable" in headers["cache-control"]
    for path in (
        f"{PLACE}/latest_build/build.json",
        f"{PLACE}/",
        "builds.json",
        "",
        f"builds/{DATED}/",
    ):
        status, headers = answer(host, path)
        assert status == 200, path
        assert max_age(headers) <= 600, path
        assert "immutable" not in headers["cache-control"], path


def test_absence_is_not_cached(host):
    """Who asks for a build a moment before it is there must see it a moment later."""
    status, headers = answer(host, f"{PLACE}/20991101T020000Z/build.json")
    assert status == 404
    assert "cache-control" not in headers


def test_ranges_resume_a_download(host):
    status, headers = answer(host, f"{DATED}/outputs/iso/bootimage.iso", "-r 2-4")
    assert status == 206
    assert headers["content-range"] == "bytes 2-4/11"


def test_directories_are_listed(host):
    text = host.check_output(f"curl -sS '{URL}{DATED}/outputs/RPMS/std/'")
    assert "a-1.rpm" in text


def test_directory_without_its_slash_is_found_behind_a_forwarded_port(host):
    """A redirect that names the host or the port would lead out of the demo's 8080."""
    status, headers = answer(host, f"{DATED}/outputs")
    assert status == 301
    assert headers["location"] == f"/mirror/starlingx/{DATED}/outputs/".lower()


@pytest.mark.parametrize(
    "path",
    [
        "../incoming/secret",
        "../state/secret",
        "incoming/",
        "staging/",
        "state/secret",
        "state/",
        "passwd",
        "..%2fincoming/secret",
        "..%2f..%2f..%2fetc%2fpasswd",
        "assets../state/secret",
    ],
)
def test_nothing_but_the_tree_is_served(host, path):
    """Neither uploads nor state, nor what a link in the tree leads to that is not the tree's."""
    status, _ = answer(host, path)
    assert status in (400, 403, 404)


def test_nothing_that_came_with_a_build_can_run_a_script(host):
    """A log may be a page with a script in it; it must not act in the name of the mirror."""
    for path in (f"{DATED}/outputs/logs/report.html", ""):
        _, headers = answer(host, path)
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "script-src" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


def test_version_is_not_told(host):
    _, headers = answer(host, "nothing")
    assert headers["server"] == "nginx"


def test_root_leads_to_the_tree(host):
    headers = host.check_output("curl -sS -o /dev/null -w '%{redirect_url}' http://127.0.0.1/")
    assert headers == URL


@pytest.mark.parametrize(
    ("key", "account", "command"),
    [
        ("publish", "incoming", ""),
        ("publish", "incoming", "sh"),
        ("publish", "incoming", "cat /etc/passwd"),
        ("publish", "incoming", "mirrorctl prune"),
        ("publish", "incoming", "mirrorctl list"),
        ("publish", "incoming", "mirrorctl begin master/sample/20261101T020000Z; id"),
        ("publish", "incoming", "rsync --server --sender -logDtpr . /etc/"),
        ("publish", "incoming", "rsync --server -logDtpr . /srv/mirror/public/"),
        ("prune", "mirror", ""),
        ("prune", "mirror", "bash -i"),
        ("prune", "mirror", "mirrorctl promote master/sample/20261101T020000Z"),
        ("prune", "mirror", "rsync --server -logDtpr . x/"),
    ],
)
def test_key_opens_its_command_and_no_shell(host, key, account, command):
    done = host.run(f"{SSH} -i /root/{key} {account}@127.0.0.1 '{command}' </dev/null")
    assert done.rc == 2
    assert done.stdout == ""
    assert re.search("this key|not an upload|rsync", done.stderr)


def test_keys_are_not_interchangeable(host):
    for key, account in (("publish", "mirror"), ("prune", "incoming"), ("prune", "root")):
        assert host.run(f"{SSH} -i /root/{key} {account}@127.0.0.1 'mirrorctl list'").rc == 255


def test_keys_forward_nothing(host):
    """With forwarding, a stolen key would be a way into the mirror's network."""
    done = host.run(
        f"{SSH} -i /root/publish -o ExitOnForwardFailure=yes -W 127.0.0.1:80 incoming@127.0.0.1"
    )
    assert done.rc != 0
    done = host.run(f"{SSH} -tt -i /root/publish incoming@127.0.0.1 true")
    assert "PTY allocation request failed" in done.stderr


def test_prune_key_lists(host):
    done = host.run(f"{SSH} -i /root/prune mirror@127.0.0.1 'mirrorctl list'")
    assert done.rc == 0, done.stderr
    assert "builds" in json.loads(done.stdout)


def test_publish_key_begins_an_upload_of_a_known_stream_only(host):
    manifest = '{"id": "%s", "files": []}'
    stranger = "release/2018.10/sample/20261101T020000Z"
    done = host.run(
        f"echo '{manifest % stranger}' | {SSH} -i /root/publish incoming@127.0.0.1 "
        f"'mirrorctl begin {stranger}'"
    )
    assert done.rc == 2
    assert "Traceback" not in done.stderr


def begin(host, build, *names):
    """Ask with the publishing key to send a failed build of these files, all of them empty."""
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    names = ("build.json", "SHA256SUMS", "outputs/fail", *names)
    files = [{"path": name, "sha256": empty, "size": 0} for name in names]
    manifest = json.dumps({"id": build, "files": files})
    return host.run(
        f"echo '{manifest}' | {SSH} -i /root/publish incoming@127.0.0.1 'mirrorctl begin {build}'"
    )


def test_unsigned_builds_are_refused_but_of_the_streams_that_are_named(host):
    """Before anything is sent: the role has given mirrorctl the key, and gpgv to check with."""
    done = begin(host, "master/sample/20261101T020000Z")
    assert done.rc == 2
    assert "is not signed" in done.stderr
    done = begin(host, "master/sample/20261101T020000Z", "SHA256SUMS.asc")
    assert done.rc == 0, done.stderr
    done = begin(host, "feature/scratch/sample/20261101T020000Z")
    assert done.rc == 0, done.stderr


def test_publish_key_learns_which_builds_are_there(host):
    build = "master/sample/20261101T020000Z"
    asked = json.dumps({"builds": [build]})
    done = host.run(f"echo '{asked}' | {SSH} -i /root/publish incoming@127.0.0.1 'mirrorctl known'")
    assert done.rc == 0, done.stderr
    assert json.loads(done.stdout) == {"builds": {build: {"state": "absent"}}}


def test_publish_key_sends_no_more_than_it_announced(host):
    build = "feature/scratch/sample/20261102T020000Z"
    upload = json.loads(begin(host, build).stdout)["upload"]
    host.check_output("head -c 20000000 /dev/urandom >/root/junk")
    done = host.run(f"rsync -e '{SSH} -i /root/publish' /root/junk incoming@127.0.0.1:{upload}/")
    assert done.rc != 0
    assert host.run(f"test -e {STORE}/incoming/{upload}/junk").rc != 0


def test_account_cannot_let_in_another_key(host):
    """Whoever gets to run something as the receiving account must not be able to come back."""
    for account in ("incoming", "mirror"):
        host.check_output(
            "runuser -u %s -- sh -euc 'cd; mkdir -p -m 700 .ssh; cat >.ssh/authorized_keys' "
            "</root/stranger.pub",
            account,
        )
        assert host.run(f"{SSH} -i /root/stranger {account}@127.0.0.1 true").rc == 255


def test_receiver_owns_nothing_published(host):
    assert host.run(f"runuser -u incoming -- touch {TREE}/x").rc != 0
    assert host.run(f"runuser -u incoming -- ls {STORE}/staging").rc != 0
    assert host.run(f"runuser -u incoming -- ls {STORE}/state").rc != 0


def test_receiver_becomes_the_owner_for_its_verbs_only(host):
    base = "runuser -u incoming -- sudo -n -u mirror"
    for command in (
        "/bin/sh -c id",
        "/usr/local/bin/mirrorctl list",
        "/usr/local/bin/mirrorctl withdraw master/sample/20261101T020000Z --reason x",
        "/usr/local/bin/mirrorctl begin --config /tmp/x",
        "/usr/local/bin/mirrorctl begin x --config /tmp/x",
        "/usr/local/bin/mirrorctl --config /tmp/x expire",
    ):
        done = host.run(f"{base} {command}")
        assert done.rc != 0
        assert "sudo:" in done.stderr, command
    assert host.run(f"{base} /usr/local/bin/mirrorctl expire").rc == 0


def test_accounts_have_no_password(host):
    for account in ("incoming", "mirror"):
        assert host.check_output("getent shadow %s", account).split(":")[1] == "*"


def test_upkeep_works_as_its_unit_runs_it(host):
    """A unit that is too tightly confined fails at night, when nobody looks."""
    done = host.run("systemctl start stx-mirror-upkeep.service")
    assert done.rc == 0, host.run("journalctl -u stx-mirror-upkeep -n 20").stdout
    assert host.file(f"{TREE}/index.html").user == "mirror"
    timer = host.service("stx-mirror-upkeep.timer")
    assert timer.is_running
    assert timer.is_enabled


def test_tree_is_read_every_night(host):
    """What does not belong there is named, by the unit as it is confined."""
    host.run("systemctl start stx-mirror-verify.service; systemctl reset-failed")
    state = host.file(f"{STORE}/state/verify.json")
    assert state.user == "mirror", host.run("journalctl -u stx-mirror-verify -n 20").stdout
    found = json.loads(state.content_string)
    assert found["days"] == 28
    assert {problem["path"] for problem in found["problems"]} == {"passwd", "state"}
    timer = host.service("stx-mirror-verify.timer")
    assert timer.is_running
    assert timer.is_enabled


def test_policy_comes_from_the_streams(host):
    policy = json.loads(host.file("/etc/stx-mirror/mirror.json").content_string)
    assert [rule["directory"] for rule in policy["rules"]] == [
        "feature/scratch/sample",
        "master/sample",
    ]
    assert policy["rules"][1]["keep"] == {"days": 14}
    assert policy["unsigned_streams"] == ["scratch"]


def test_wrong_policy_does_not_replace_the_right_one(host):
    """mirrorctl itself judges the new file; here, the same command on a broken copy."""
    done = host.run("echo '{}' >/tmp/broken.json; mirrorctl --config /tmp/broken.json list")
    assert done.rc == 2


def test_web_server_comes_back(host):
    service = host.service("nginx")
    assert service.is_running
    assert service.is_enabled
