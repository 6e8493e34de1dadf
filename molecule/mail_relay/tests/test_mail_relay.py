"""Root's mail reaches people through a mail server that asks for TLS and an account."""

from __future__ import annotations

import time

import pytest


@pytest.fixture(scope="module", autouse=True)
def empty(host):
    """What an earlier round of these tests left would be taken for this one's."""
    host.check_output("postsuper -d ALL; rm -f /root/mail/*.eml")


def arrived(host, word: str, seconds: int = 120) -> str:
    """The mail that has a word in it, as the site's mail server got it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = host.run("grep -l %s /root/mail/*.eml", word)
        if found.rc == 0:
            return host.file(found.stdout.split()[0]).content_string
        time.sleep(1)
    log = host.run("mailq; journalctl --no-pager -n 30 -t postfix/smtp -u postfix@-").stdout
    pytest.fail(f"no mail with {word}: {log}")


def restart_receiver(host) -> None:
    """Let it read its certificate again, and wait until it listens."""
    host.check_output("systemctl restart receiver")
    host.check_output(
        "timeout 60 sh -c 'until ss -Hltn sport = :2525 | grep -q .; do sleep 0.2; done'"
    )


def test_mail_to_root_reaches_who_reads_it(host):
    """Over TLS, with the account: the server takes nothing without."""
    host.check_output("printf 'Subject: probe\\n\\nword-one\\n' | /usr/sbin/sendmail root")
    text = arrived(host, "word-one")
    first = text.splitlines()[0]
    assert first == "from=root@build.example.com to=builds@example.com"


def test_so_does_mail_whose_head_names_root(host):
    """As cron, the updates and the watch send it."""
    host.check_output("printf 'To: root\\nSubject: probe\\n\\nword-two\\n' | sendmail -i -t")
    assert "to=builds@example.com" in arrived(host, "word-two")


def test_a_service_s_mail_goes_the_same_way(host):
    host.check_output("printf 'Subject: probe\\n\\nword-three\\n' | sendmail orchestrator")
    assert "to=builds@example.com" in arrived(host, "word-three")


def test_it_listens_to_this_host_alone(host):
    lines = host.check_output("ss -Hltn 'sport = :25'").splitlines()
    assert lines
    assert all(line.split()[3] in ("127.0.0.1:25", "[::1]:25") for line in lines)


def test_the_password_is_root_s_alone(host):
    """And in no setting that everybody can read."""
    assert host.file("/etc/postfix/relay-password").mode == 0o600
    assert "pass word" not in host.check_output("postconf; cat /etc/postfix/main.cf")
    assert host.run("runuser -u nobody -- cat /etc/postfix/relay-password").rc != 0


def test_a_relay_with_another_certificate_gets_nothing(host):
    """Whoever takes the relay's place in the network must not get the password."""
    host.check_output("cp /root/relay.crt /root/relay.key /tmp")
    host.check_output(
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost "
        "-addext subjectAltName=DNS:localhost -keyout /root/relay.key -out /root/relay.crt"
    )
    try:
        restart_receiver(host)
        host.check_output("printf 'Subject: probe\\n\\nword-four\\n' | sendmail root")
        host.check_output(
            'timeout 120 sh -c \'until mailq | grep -q "ertificate not verified"; '
            "do sleep 1; done'"
        )
        assert host.run("grep -l word-four /root/mail/*.eml").rc != 0
    finally:
        host.check_output("mv /tmp/relay.crt /tmp/relay.key /root")
        restart_receiver(host)
    # What waited goes out when the right one is back.
    host.check_output("postqueue -f")
    assert "to=builds@example.com" in arrived(host, "word-four")


def test_mail_for_others_goes_nowhere_but_to_the_relay(host):
    """It is no open door: only this host may send at all, and only so."""
    assert host.check_output("postconf -h relayhost") == "[localhost]:2525"
    assert host.check_output("postconf -h inet_interfaces") == "loopback-only"


def test_it_comes_back(host):
    service = host.service("postfix")
    assert service.is_enabled
    assert service.is_running
