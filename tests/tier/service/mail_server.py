"""A mail server on this machine that does as a test says."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import Message
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.system.ports import free_ports

USER, PASSWORD = "arcana", "p@ss:word"


@dataclass
class MailServerLog:
    """What came in, and what is answered to what comes next; empty: it is taken."""

    port: int
    mails: list[Message] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    signed_in: list[bool] = field(default_factory=list)
    refuse_sender: str = ""
    refuse_recipient: str = ""
    refuse_mail: str = ""
    # How long it thinks before it answers to a sender and to a recipient, and to a mail.
    thinks_of_address: float = 0.0
    thinks_of_mail: float = 0.0

    async def handle_MAIL(
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        await asyncio.sleep(self.thinks_of_address)
        if self.refuse_sender:
            return self.refuse_sender
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        await asyncio.sleep(self.thinks_of_address)
        if self.refuse_recipient:
            return self.refuse_recipient
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, session: Any, envelope: Any) -> str:
        await asyncio.sleep(self.thinks_of_mail)
        if self.refuse_mail:
            return self.refuse_mail
        self.mails.append(message_from_bytes(envelope.content))
        self.recipients += envelope.rcpt_tos
        self.signed_in.append(bool(session.authenticated))
        return "250 OK"


def _authenticator(
    _server: Any, _session: Any, _envelope: Any, _kind: str, data: Any
) -> AuthResult:
    known = (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    # What is not handled yet the server answers itself, with 535.
    return AuthResult(success=known, handled=False)


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate of 127.0.0.1 that signs itself; return its file and that of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "mail.pem", folder / "mail.key"
    certificate_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certificate_file, key_file


@contextmanager
def mail_server(
    *, files: tuple[Path, Path] | None = None, tls_first: bool = False, port: int = 0
) -> Iterator[MailServerLog]:
    """Serve until the block ends; with files over TLS, first or by STARTTLS."""
    context = None
    if files is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*files)
    # aiosmtpd asks whether it listens at the port that it was told.
    log = MailServerLog(port or free_ports())
    by_starttls = context is not None and not tls_first
    controller = Controller(
        log,
        hostname="127.0.0.1",
        port=log.port,
        ssl_context=context if tls_first else None,
        tls_context=context if by_starttls else None,
        require_starttls=by_starttls,
        authenticator=_authenticator,
        auth_require_tls=False,
        ready_timeout=20,
    )
    controller.start()
    try:
        yield log
    finally:
        controller.stop()
