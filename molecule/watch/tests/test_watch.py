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


FAILED = {"result": "fail", "failed_stage": "packages", "why": WHY}
LOG = f"{STATE}/runner/master/console/20261101T020000Z-0a1b2c.log"
ROOT = "/localdisk/loadbuild/root"
UNIT = "stx-build@master-sample.service"
SPOOL = "/var/spool/dma"
QUIET = "/run/systemd/system/stx-watch.timer.d"
GPG = "GNUPGHOME=/root/gnupg gpg --batch"
FINGERPRINT = f"$({GPG} --with-colons -k | awk -F: '/^fpr/{{print $10; exit}}')"
CERTIFICATE = "openssl req -x509 -key /etc/ssl/private/site.key -subj /CN=m -out /etc/ssl/site.pem"
SIGNING_KEY = "/etc/stx-mirror/signing-key.asc"
HOST_KEY = "/etc/ssh/ssh_host_ed25519_key"


def put(host, path, content):
    text = content if isinstance(content, str) else json.dumps(content)
    host.check_output("echo %s > %s", text, path)


def healthy(host):
    """Undo all faults, and let the builds of this host be good ones."""
    delivered(host)
    drift = {"checked": stamp(hours=1), "changes": [], "failed": []}
    host.check_output(
        # The schedule is an old one: what was due lately, was missed.
        "rm -f /var/mail/root /var/lib/stx-watch/mailed.json; "
        "touch -d '9 days ago' /etc/stx-mirror/watch.json; "
        "echo %s >%s; echo %s >%s; echo %s >%s",
        *(json.dumps(status({"minutes": 1}, {"minutes": 1})), f"{STATE}/status/master.json"),
        *(json.dumps({"finished": stamp(hours=1)}), f"{STATE}/prune.json"),
        *(json.dumps(drift), "/var/lib/stx-watch/drift.json"),
    )


def look(host, *options):
    return host.run(" ".join(["/usr/local/sbin/stx-watch", *options]))


def found_in(text, key):
    """Return the state and the words of one verdict."""
    lines = [line for line in text.splitlines() if line[10:].startswith(f"{key}:")]
    assert lines, text
    return lines[0].split()[0], lines[0]


def said(host, key):
    return found_in(look(host).stdout, key)


def metrics(host):
    return {
        (sample.labels.get("check"), sample.labels.get("subject")): sample.value
        for family in text_string_to_metric_families(host.file(PROM).content_string)
        for sample in family.samples
        if sample.name == "stx_watch_state"
    }


@pytest.fixture(scope="module", autouse=True)
def nobody_else_looks(host):
    """Two minutes after the start the timer would, in the middle of a test that counts mails."""
    host.check_output(
        f"mkdir -p {QUIET}; "
        f"printf '[Timer]\\nOnBootSec=\\nOnCalendar=2030-01-01\\n' >{QUIET}/quiet.conf; "
        "systemctl daemon-reload; systemctl restart stx-watch.timer; systemctl stop stx-watch"
    )


@pytest.fixture(autouse=True)
def good_host(host):
    healthy(host)


@pytest.fixture(scope="module")
def faults(host):
    """Everything that can break, broken at once: text, exit code, metrics and mail."""
    healthy(host)
    drift = {"checked": stamp(hours=1), "changes": ["users | Make them"], "failed": []}
    put(host, "/var/lib/stx-watch/drift.json", drift)
    put(host, f"{STATE}/status/master.json", status({"minutes": 1}, {"hours": 5}, **FAILED))
    put(host, f"{STATE}/prune.json", {"finished": stamp(days=3)})
    host.check_output(
        f"""set -e
        head -c 3800000 /dev/zero >/mnt/small/fill; (cd /mnt/small; seq 96 | xargs touch)
        systemd-run --quiet --unit=broken --service-type=oneshot false || true
        mkdir -p {ROOT} /srv/mirror/incoming/0a /run/stx-mirror
        mount -t tmpfs left {ROOT}
        echo '{{}}' >{STATE}/runner/master/running.json; echo x >{LOG}
        {CERTIFICATE} -days 3
        {GPG} --quick-set-expire {FINGERPRINT} 40d; {GPG} --armor --export >{SIGNING_KEY}
        chmod 644 {HOST_KEY}
        echo linux-image >/run/reboot-required.pkgs; touch -d '20 days ago' /run/reboot-required
        echo reboot >/run/stx-mirror/hold-builds
        touch -d '4 days ago' /srv/mirror/incoming/0a /run/stx-mirror/hold-builds"""
    )
    done = look(host, "--report")
    mail = mailbox(host)
    states = metrics(host)
    host.check_output(
        f"""umount {ROOT}; systemctl reset-failed
        rm -r /mnt/small/* /srv/mirror/incoming/0a /run/stx-mirror /run/reboot-required*
        rm {STATE}/runner/master/running.json; chmod 600 {HOST_KEY}; {CERTIFICATE} -days 300
        {GPG} --quick-set-expire {FINGERPRINT} 2y; {GPG} --armor --export >{SIGNING_KEY}"""
    )
    return done, states, mail


def test_nothing_is_wrong_with_a_host_without_faults(host):
    """But for the machine below, whose clock is not the container's."""
    look(host, "--report")
    bad = {check for (check, _), state in metrics(host).items() if state != 0}
    assert bad <= {"clock"}, look(host).stdout


@pytest.mark.parametrize(
    ("key", "state", "words"),
    [
        ("disk /mnt/small", "critical", "of its room is used"),
        ("inodes /mnt/small", "critical", "of its inodes are used"),
        ("units broken.service", "warning", "systemctl status broken.service"),
        (f"mounts {ROOT}", "warning", "tmpfs is mounted and no build runs"),
        (f"locks {STATE}/runner/master/running.json", "warning", "and none does"),
        ("locks hold-builds", "warning", "no build starts since 4 days: reboot"),
        ("certificates /etc/ssl/site.pem", "critical", "it expires in 3 days"),
        (f"openpgp {SIGNING_KEY}", "warning", "it expires in 40 days"),
        (f"ssh_keys {HOST_KEY}", "critical", "others than its owner can read"),
        ("reboot", "critical", "pending for 20 days: updated linux-image"),
        ("uploads /srv/mirror/incoming/0a", "warning", "it lies there since 4 days"),
        ("prune", "warning", "it last went through 3 days ago"),
        ("drift", "warning", "1 task would change this host"),
        # Cron mails nothing: this is how people hear of a night that failed.
        ("streams master", "warning", f"last build failed in packages: {WHY}"),
    ],
)
def test_a_fault_is_told_in_words_in_metrics_and_by_mail(faults, key, state, words):
    done, states, mail = faults
    assert done.rc == 2
    told, line = found_in(done.stdout, key)
    assert (told, words in line) == (state, True), line
    check, _, subject = key.partition(" ")
    assert states[check, subject] == ["ok", "warning", "critical"].index(state)
    assert line in mail


def test_the_mail_names_the_log_of_a_failure_and_the_tasks_that_differ(faults):
    _, _, mail = faults
    assert f"log: {LOG}" in mail
    assert "users | Make them" in mail
    assert "Subject: [stx-watch] mol-watch: critical" in mail


def test_while_a_build_runs_its_mounts_are_its_own(host):
    host.check_output(
        f"mkdir -p {ROOT}; mount -t tmpfs left {ROOT}; systemd-run --quiet --unit={UNIT} sleep 1000"
    )
    text = look(host).stdout
    host.check_output(f"systemctl stop {UNIT}; umount {ROOT}")
    assert found_in(text, "mounts")[0] == "ok"
    # The helper gives each a limit: this one was not started by it.
    assert found_in(text, f"locks {UNIT}")[0] == "warning"


def test_an_old_good_build_is_critical(host):
    put(host, f"{STATE}/status/master.json", status({"minutes": 1}, {"days": 9}, **FAILED))
    state, line = said(host, "streams master")
    assert state == "critical"
    assert "last good build master/sample/20261031T020004Z, 9 days ago" in line


def test_a_build_that_did_not_start_is_overdue(host):
    put(host, f"{STATE}/status/master.json", status({"hours": 4}, {"hours": 4}))
    state, line = said(host, "streams master")
    assert (state, "overdue" in line) == ("critical", True), line


def test_what_cannot_be_found_out_is_not_fine(host):
    """A certificate that is gone, a status that was cut off, a comparison that never was."""
    host.check_output(
        f"mv /etc/ssl/site.pem /etc/ssl/away.pem; rm /var/lib/stx-watch/drift.json; "
        f"echo '{{\"ref\"' >{STATE}/status/master.json; echo half >{STATE}/prune.json"
    )
    done = look(host)
    host.check_output("mv /etc/ssl/away.pem /etc/ssl/site.pem")
    for key in ("certificates /etc/ssl/site.pem", "drift", "streams master", "prune"):
        assert found_in(done.stdout, key)[0] == "unknown", done.stdout
    assert done.rc == 3


def delivered(host):
    """Wait until the mail system, which delivers in the background, has nothing left to do."""
    done = host.run(f"timeout 300 sh -c 'while ls {SPOOL} | grep -q ^[MQ]; do sleep 0.2; done'")
    assert done.rc == 0, host.run(f"ls {SPOOL}; journalctl --sync; journalctl -n 20").stdout


def mailbox(host):
    """Return everything that root was mailed."""
    delivered(host)
    box = host.file("/var/mail/root")
    return box.content_string if box.exists else ""


def mails(host):
    return mailbox(host).count("Subject: [stx-watch]")


def test_mail_comes_once_a_change_and_again_while_critical(host):
    look(host, "--report")
    before = mails(host)
    put(host, f"{STATE}/prune.json", {"finished": stamp(days=9)})
    look(host, "--report")
    look(host, "--report")
    assert mails(host) == before + 1
    assert "critical  prune" in mailbox(host)
    memory = "/var/lib/stx-watch/mailed.json"
    mailed = json.loads(host.file(memory).content_string)
    put(host, memory, {**mailed, "at": time.time() - 25 * 3600})
    look(host, "--report")
    assert mails(host) == before + 2
    put(host, f"{STATE}/prune.json", {"finished": stamp(hours=1)})
    look(host, "--report")
    assert mails(host) == before + 3
    assert "Fine again: prune" in mailbox(host)


def test_without_a_mail_system_it_says_so_and_tries_again(host):
    put(host, f"{STATE}/prune.json", {"finished": stamp(days=9)})
    host.check_output("mv /usr/sbin/sendmail /usr/sbin/sendmail.away")
    done = look(host, "--report")
    host.check_output("mv /usr/sbin/sendmail.away /usr/sbin/sendmail")
    assert done.rc == 2
    assert "there is no /usr/sbin/sendmail" in done.stderr
    look(host, "--report")
    assert "prune" in mailbox(host)


def test_the_timer_s_run_reports_and_does_not_fail_of_what_it_finds(host):
    put(host, f"{STATE}/prune.json", {"finished": stamp(days=9)})
    host.check_output(f"rm -f {PROM}")
    done = host.run("systemctl start stx-watch.service")
    assert done.rc == 0, host.run("journalctl -u stx-watch -n 30 --no-pager").stdout
    assert host.file(PROM).mode == 0o644
    text = host.file(PROM).content_string
    assert 'stx_watch_state{check="prune",subject=""} 2' in text
    host.check_output("journalctl --sync")
    assert "CRITICAL" in host.run("journalctl -u stx-watch -n 60 --no-pager").stdout
    assert "prune" in mailbox(host)
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
    result = {"checked": stamp(hours=5), "verdict": "differs", "hosts": {"mol-watch": found}}
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
    state, line = said(host, "drift")
    assert state == "warning"
    assert "1 task would change this host; compared 5 h ago" in line


def test_the_nightly_comparison_is_one_that_systemd_understands(host):
    assert host.service("stx-drift.timer").is_enabled
    shown = host.check_output("systemctl show stx-drift.service -p ExecStart --value")
    assert "argv[]=/srv/builds/script/drift -i inventories/a site --vault-id" in shown
    assert "site@/usr/local/bin/100% ;" in shown
