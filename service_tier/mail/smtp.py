"""Mails by SMTP, over TLS."""

from __future__ import annotations

import ipaddress
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError, Kind

_PORTS = {"smtp": 587, "smtps": 465}
# How long the server may be silent, however much time the mail has.
SILENCE_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class MailServer:
    """A mail server. With `smtps` TLS comes first, with `smtp` by STARTTLS before anything else.

    Without a user nobody signs in.
    """

    scheme: str
    host: str
    port: int
    user: str = ""
    password: str = field(default="", repr=False)

    @classmethod
    def parse(cls, url: str) -> MailServer:
        """Read `smtp://user:password@host:port`; user, password and port may be left out.

        Raises:
            ValueError: it is no such URL; the text does not hold it.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            # Not "from": the text of that one holds a part of the URL.
            raise ValueError("must be a URL such as smtp://user:password@host:587") from None
        if parts.scheme not in _PORTS or not parts.hostname or parts.path.strip("/"):
            raise ValueError("must be a URL such as smtp://user:password@host:587")
        return cls(
            parts.scheme,
            parts.hostname,
            port or _PORTS[parts.scheme],
            unquote(parts.username or ""),
            unquote(parts.password or ""),
        )

    @property
    def is_here(self) -> bool:
        """True for a server on this machine, to which TLS adds nothing."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


class SmtpSender:
    """Sends each mail over a connection of its own."""

    def __init__(self, server: MailServer, ca_file: Path | None) -> None:
        self._server = server
        self._tls = ssl.create_default_context(cafile=ca_file)

    def send(self, message: EmailMessage, job_id: str, deadline: Deadline) -> None:
        """Send a mail. Whether one was taken whose answer got lost, nobody can know.

        Raises:
            AppError: UNAVAILABLE/SERVICE_UNAVAILABLE; INVALID/VALIDATION_FAILED;
                DEADLINE/DEADLINE_EXCEEDED.
        """
        del job_id
        deadline.check()
        try:
            with self._connected(min(deadline.remaining(), SILENCE_SECONDS)) as connection:
                deadline.check()
                connection.send_message(message)
        except smtplib.SMTPNotSupportedError as error:
            raise _refused("The mail server cannot do what this mail needs.") from error
        except smtplib.SMTPRecipientsRefused as error:
            (code, _text), *_ = error.recipients.values()
            raise _answered(code) from error
        except smtplib.SMTPResponseException as error:
            # A password that is refused is the operator's to mend, and then the mail goes.
            is_sign_in = isinstance(error, smtplib.SMTPAuthenticationError)
            raise _answered(451 if is_sign_in else error.smtp_code) from error
        except (smtplib.SMTPException, OSError) as error:
            raise _unavailable("The mail server cannot be reached.") from error

    @contextmanager
    def _connected(self, seconds: float) -> Iterator[smtplib.SMTP]:
        server = self._server
        if server.scheme == "smtps":
            connection: smtplib.SMTP = smtplib.SMTP_SSL(
                server.host, server.port, timeout=seconds, context=self._tls
            )
        else:
            connection = smtplib.SMTP(server.host, server.port, timeout=seconds)
        try:
            if server.scheme == "smtp":
                self._begin_tls(connection)
            if server.user:
                connection.login(server.user, server.password)
            yield connection
            # The mail is taken: what goes wrong now is nobody's business.
            with suppress(smtplib.SMTPException, OSError):
                connection.quit()
        finally:
            connection.close()

    def _begin_tls(self, connection: smtplib.SMTP) -> None:
        connection.ehlo()
        if connection.has_extn("starttls"):
            connection.starttls(context=self._tls)
        elif not self._server.is_here:
            raise _unavailable("The mail server does not offer STARTTLS.")


def _answered(code: int) -> AppError:
    """Return the error of a mail server's answer; its text may quote addresses."""
    if 500 <= code < 600:
        return _refused(f"The mail server refuses the mail ({code}).")
    return _unavailable(f"The mail server does not take the mail now ({code}).")


def _refused(message: str) -> AppError:
    return AppError(Kind.INVALID, "VALIDATION_FAILED", message)


def _unavailable(message: str) -> AppError:
    return AppError(Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE", message)
