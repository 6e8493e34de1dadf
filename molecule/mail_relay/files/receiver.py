"""The site's mail server: TLS and an account are asked for; what comes lies in /root/mail."""

from __future__ import annotations

import ssl
import sys
import time
from pathlib import Path

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

PORT = 2525
MAIL = Path("/root/mail")


class Keep:
    """Writes each mail to a file, with whom it is from and for on top."""

    async def handle_DATA(self, server, session, envelope):
        text = f"from={envelope.mail_from} to={','.join(envelope.rcpt_tos)}\n".encode()
        path = MAIL / f"{time.time_ns()}.eml"
        path.write_bytes(text + envelope.content)
        return "250 kept"


def authenticate(server, session, envelope, mechanism, data):
    """Know one account."""
    known = LoginPassword(b"build1", b"pass word:with#marks")
    return AuthResult(success=data == known)


def main() -> None:
    """Serve until somebody ends it."""
    MAIL.mkdir(exist_ok=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain("/root/relay.crt", "/root/relay.key")
    Controller(
        Keep(),
        hostname="127.0.0.1",
        port=PORT,
        tls_context=context,
        require_starttls=True,
        authenticator=authenticate,
        auth_required=True,
    ).start()
    sys.stdout.write("ready\n")
    while True:
        time.sleep(60)


if __name__ == "__main__":
    main()
