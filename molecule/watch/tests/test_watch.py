"""Real faults on a host, and what people, mail and Prometheus get to know of them."""

from __future__ import annotations

import json
import os
import subprocess
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

PROJECT = Path(__file__).parents[3]
PROM = "/var/lib/prometheus/node-exporter/stx-watch.prom"
STATE = "/var/lib/stx-mirror"
WHY = "build-pkgs ended with exit code 1"


def stamp(**ago):
    return (datetime.now(timezone.utc) - timedelta(**ago)).strftime("%Y-%m-%dT%H:%M:%SZ")


def status(attempt_ago, good_ago, **changes):
    attempt = {
        "request": "20261101T020000Z-0a1b2c",
        "id": "master/sample/20261101T020005Z",
        "parent": None,
        "reason": "on schedule",
        "trigger": "cron",
        "started": stamp(**attempt_ago),
        "finished": stamp(**attempt_ago),
        "result": "success",
        "failed_stage": None,
        "why": "",
        "missing": [],
        "published": True,
        "unpublished_why": "",
        **changes,
    }
    good = {"id": "master/sample/20261031T020004Z", "finished": stamp(**good_ago)}
    return {"schema": 1, "ref": "master", "last_attempt": attempt, "last_success": good}


def put(host, path, content):
    text = content if isinstance(content, str) else json.dumps(content)
    host.check_output("echo %s > %s", text, path)


def healthy(host):
    drift = {"checked": stamp(hours=1), "changes": [], "failed": []}
    host.check_output(
        "echo %s >%s; echo %s >%s; echo %s >%s",
        *(json.dumps(status({"minutes": 1}, {"minutes": 1})), f"{STATE}/status/master.json"),
        *(json.dumps({"finished": stamp(hours=1)}), f"{STATE}/prune.json"),
        *(json.dumps(drift), "/var/lib/stx-watch/drift.json"),
    )


def look(host, *options):
    return host.run(" ".join(["/usr/local/sbin/stx-watch", *options]))


def said(host, key):
    """Return the state and the words of one verdict, and the command's exit code."""
    done = look(host)
    lines = done.stdout.splitlines()
    found = [line for line in lines if line[10:].startswith(f"{key}:")]
    assert found, done.stdout + done.stderr
    return found[0].split()[0], found[0], done.rc


def states(host):
    look(host, "--report")
    text = host.file(PROM).content_string
    return {
        (sample.labels.get("check"), sample.labels.get("subject")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "stx_watch_state"
    }


@pytest.fixture(autouse=True)
def good_host(host):
    # The schedule is an old one: what was due lately, was missed.
    host.run(
        "rm -f /var/mail/root /var/lib/stx-watch/mailed.json; "
        "touch -d '9 days ago' /etc/stx-mirror/watch.json"
    )
    healthy(host)


def test_nothing_is_wrong_with_a_host_without_faults(host):
    """But for the machine below, whose clock and kernel are not the container's."""
    not_ours = {"clock", "reboot"}
    bad = {check for (check, _), state in states(host).items() if state != 0}
    assert bad <= not_ours, look(host).stdout


def test_a_full_file_system_is_critical(host):
    host.check_output("head -c 3900000 /dev/zero > /mnt/small/fill")
    state, line, code = said(host, "disk /mnt/small")
    host.check_output("rm /mnt/small/fill")
    assert (state, code) == ("critical", 2), line
    assert said(host, "disk /mnt/small")[0] == "ok"


def test_inodes_run_out_before_room_does(host):
    host.check_output("mkdir /mnt/small/i; cd /mnt/small/i; seq 96 | xargs touch")
    state, line, _ = said(host, "inodes /mnt/small")
    host.check_output("rm -r /mnt/small/i")
    assert state == "critical", line


def test_a_failed_unit_is_named(host):
    host.run("systemd-run --unit=broken --wait false")
    host.run("systemd-run --unit=broken2 --service-type=oneshot false")
    time.sleep(0.5)
    state, line, code = said(host, "units broken2.service")
    host.check_output("systemctl reset-failed")
    assert (state, code >= 1) == ("warning", True), line


def test_a_mount_that_a_build_left_is_found_unless_a_build_runs(host):
    root = "/localdisk/loadbuild/root"
    host.check_output(f"mkdir -p {root} && mount -t tmpfs left {root}")
    assert said(host, f"mounts {root}")[0] == "warning"
    unit = "stx-build@master-sample.service"
    host.check_output(f"systemd-run --unit={unit} -p RuntimeMaxSec=1h sleep 1000")
    while_building = said(host, "mounts")[0]
    host.check_output(f"systemctl stop {unit}; umount {root}")
    assert while_building == "ok"
    assert said(host, "mounts")[0] == "ok"


def test_a_build_without_a_limit_is_found(host):
    unit = "stx-build@master-sample.service"
    host.check_output(f"systemd-run --unit={unit} sleep 1000")
    state, line, _ = said(host, f"locks {unit}")
    host.check_output(f"systemctl stop {unit}")
    assert state == "warning", line


def test_a_trace_of_a_build_that_does_not_run_is_found(host):
    trace = f"{STATE}/runner/master/running.json"
    put(host, trace, {"request": "x"})
    state = said(host, f"locks {trace}")[0]
    host.check_output(f"rm {trace}")
    assert state == "warning"


def test_a_failed_build_is_told_with_reason_and_log(host):
    """Cron mails nothing: this is how people hear of it."""
    log = f"{STATE}/runner/master/console/20261101T020000Z-0a1b2c.log"
    put(host, log, "x")
    failure = {"result": "fail", "failed_stage": "packages", "why": WHY}
    put(host, f"{STATE}/status/master.json", status({"minutes": 1}, {"hours": 5}, **failure))
    look(host, "--report")
    mail = wait_for_mail(host)
    assert f"last build failed in packages: {WHY}" in mail
    assert f"log: {log}" in mail


def test_an_old_good_build_is_critical_and_a_missed_one_overdue(host):
    failure = {"result": "fail", "failed_stage": "sync", "why": "no network"}
    put(host, f"{STATE}/status/master.json", status({"minutes": 1}, {"days": 9}, **failure))
    state, line, code = said(host, "streams master")
    assert (state, code) == ("critical", 2)
    assert "last good build master/sample/20261031T020004Z, 9 days ago" in line
    put(host, f"{STATE}/status/master.json", status({"hours": 4}, {"hours": 4}))
    state, line, _ = said(host, "streams master")
    assert state == "critical"
    assert "overdue" in line


def test_a_stream_that_was_never_built_is_not_fine(host):
    host.check_output(f"rm {STATE}/status/master.json")
    state, line, code = said(host, "streams master")
    assert state == "unknown", line
    assert code in (2, 3)


@pytest.mark.parametrize(("days", "state"), [(300, "ok"), (20, "warning"), (3, "critical")])
def test_a_certificate_that_ends_is_seen_coming(host, days, state):
    request = "openssl req -x509 -key /etc/ssl/private/site.key -subj /CN=m -out /etc/ssl/site.pem"
    host.check_output(f"{request} -days {days}")
    found, line, _ = said(host, "certificates /etc/ssl/site.pem")
    assert found == state, line


def test_a_certificate_that_is_missing_is_unknown(host):
    host.check_output("mv /etc/ssl/site.pem /etc/ssl/away.pem")
    state, line, _ = said(host, "certificates /etc/ssl/site.pem")
    host.check_output("mv /etc/ssl/away.pem /etc/ssl/site.pem")
    assert state == "unknown", line


def test_a_signing_key_that_ends_is_seen_coming(host):
    key = "/etc/stx-mirror/signing-key.asc"
    assert said(host, f"openpgp {key}")[0] == "ok"
    gpg = "GNUPGHOME=/root/gnupg gpg --batch"
    fingerprint = host.check_output(f"{gpg} --with-colons -k | awk -F: '/^fpr/{{print $10; exit}}'")
    host.check_output(f"{gpg} --quick-set-expire {fingerprint} 40d")
    host.check_output(f"{gpg} --armor --export > {key}")
    state, line, _ = said(host, f"openpgp {key}")
    host.check_output(f"{gpg} --quick-set-expire {fingerprint} 2y; {gpg} --armor --export > {key}")
    assert state == "warning", line
    assert "expires in" in line


def test_a_private_key_that_others_read_is_critical(host):
    key = "/etc/ssh/ssh_host_ed25519_key"
    host.check_output(f"chmod 644 {key}")
    state, line, _ = said(host, f"ssh_keys {key}")
    host.check_output(f"chmod 600 {key}")
    assert state == "critical", line


def test_a_pending_reboot_grows_critical_with_age(host):
    host.check_output("echo linux-image > /run/reboot-required.pkgs; touch /run/reboot-required")
    fresh = said(host, "reboot")
    host.check_output("touch -d '20 days ago' /run/reboot-required")
    old = said(host, "reboot")
    host.check_output("rm /run/reboot-required /run/reboot-required.pkgs")
    assert fresh[0] == "ok"
    assert "updated linux-image" in fresh[1]
    assert old[0] == "critical"


def test_an_old_upload_and_an_old_hold_are_found(host):
    host.check_output(
        "mkdir -p /srv/mirror/incoming/0a /run/stx-mirror; "
        "echo reboot >/run/stx-mirror/hold-builds; "
        "touch -d '4 days ago' /srv/mirror/incoming/0a /run/stx-mirror/hold-builds"
    )
    upload = said(host, "uploads /srv/mirror/incoming/0a")[0]
    hold = said(host, "locks hold-builds")
    host.check_output("rm -r /srv/mirror/incoming/0a /run/stx-mirror")
    assert upload == "warning"
    assert hold[0] == "warning"
    assert "reboot" in hold[1]


def test_pruning_that_stopped_is_found(host):
    put(host, f"{STATE}/prune.json", {"finished": stamp(days=3)})
    assert said(host, "prune")[0] == "warning"
    put(host, f"{STATE}/prune.json", "half a fi")
    assert said(host, "prune")[0] == "unknown"


def test_drift_names_the_tasks(host):
    drift = {"checked": stamp(hours=1), "changes": ["users | Make them"], "failed": []}
    put(host, "/var/lib/stx-watch/drift.json", drift)
    assert said(host, "drift")[0] == "warning"
    assert "users | Make them" in look(host).stdout
    host.check_output("rm /var/lib/stx-watch/drift.json")
    assert said(host, "drift")[0] == "unknown"


def wait_for_mail(host):
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline and not host.file("/var/mail/root").exists:
        time.sleep(0.3)
    mail = host.file("/var/mail/root")
    assert mail.exists, host.run("journalctl -n 20 --no-pager").stdout
    return mail.content_string


def mails(host):
    time.sleep(1.5)
    box = host.file("/var/mail/root")
    return box.content_string.count("Subject: [stx-watch]") if box.exists else 0


def test_mail_comes_once_a_change_and_again_while_critical(host):
    look(host, "--report")
    before = mails(host)
    put(host, f"{STATE}/prune.json", {"finished": stamp(days=9)})
    look(host, "--report")
    look(host, "--report")
    assert mails(host) == before + 1
    assert "critical  prune" in host.file("/var/mail/root").content_string
    memory = "/var/lib/stx-watch/mailed.json"
    mailed = json.loads(host.file(memory).content_string)
    put(host, memory, {**mailed, "at": time.time() - 25 * 3600})
    look(host, "--report")
    assert mails(host) == before + 2
    healthy(host)
    look(host, "--report")
    assert mails(host) == before + 3
    assert "Fine again: prune" in host.file("/var/mail/root").content_string


def test_without_a_mail_system_it_says_so_and_tries_again(host):
    put(host, f"{STATE}/prune.json", {"finished": stamp(days=9)})
    host.check_output("mv /usr/sbin/sendmail /usr/sbin/sendmail.away")
    done = look(host, "--report")
    host.check_output("mv /usr/sbin/sendmail.away /usr/sbin/sendmail")
    assert done.rc == 2
    assert "there is no /usr/sbin/sendmail" in done.stderr
    look(host, "--report")
    assert "prune" in wait_for_mail(host)


def test_the_timer_s_run_reports_and_does_not_fail_of_what_it_finds(host):
    put(host, f"{STATE}/prune.json", {"finished": stamp(days=9)})
    host.check_output(f"rm -f {PROM}")
    done = host.run("systemctl start stx-watch.service")
    assert done.rc == 0, host.run("journalctl -u stx-watch -n 30 --no-pager").stdout
    assert host.file(PROM).mode == 0o644
    text = host.file(PROM).content_string
    assert 'stx_watch_state{check="prune",subject=""} 2' in text
    assert "CRITICAL" in host.run("journalctl -u stx-watch -n 60 --no-pager").stdout
    assert "prune" in wait_for_mail(host)
    assert host.service("stx-watch.timer").is_enabled
    assert host.service("stx-watch.timer").is_running


def test_nobody_but_root_changes_or_learns_it(host):
    for path, mode in (
        ("/usr/local/sbin/stx-watch", 0o755),
        ("/etc/stx-mirror/watch.json", 0o600),
        ("/var/lib/stx-watch", 0o700),
    ):
        file = host.file(path)
        assert (file.user, file.group, file.mode) == ("root", "root", mode), path
    done = host.run("runuser -u nobody -- /usr/local/sbin/stx-watch")
    assert done.rc == 3
    assert "run it as root" in done.stderr


def test_a_comparison_reaches_the_host(host, tmp_path):
    """What script/drift wrote on the admin's machine is what this host then says of itself."""
    found = {"changes": ["users | Make the accounts"], "failed": []}
    result = {"checked": stamp(minutes=5), "verdict": "differs", "hosts": {"mol-watch": found}}
    (tmp_path / "result.json").write_text(json.dumps(result))
    inventory = "[mirrors]\nmol-watch ansible_connection=containers.podman.podman\n"
    inventory += "[build_hosts]\n[registries]\n[disabled]\n"
    (tmp_path / "hosts").write_text(inventory)
    told = subprocess.run(
        [
            *("ansible-playbook", "playbooks/check.yml", "-i", tmp_path / "hosts"),
            *("-e", json.dumps({"watch_drift_result": str(tmp_path / "result.json")})),
        ],
        cwd=PROJECT,
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "ANSIBLE_LOCAL_TEMP": str(tmp_path), "ANSIBLE_CONFIG": "ansible.cfg"},
    )
    assert told.returncode == 0, told.stdout + told.stderr
    state, line, _ = said(host, "drift")
    assert state == "warning"
    assert "1 task would change this host; compared 5 min ago" in line


def test_the_nightly_comparison_is_one_that_systemd_understands(host):
    assert host.service("stx-drift.timer").is_enabled
    shown = host.check_output("systemctl show stx-drift.service -p ExecStart --value")
    assert "argv[]=/srv/builds/script/drift -i inventories/a site --vault-id" in shown
    assert "site@/usr/local/bin/100% ;" in shown
