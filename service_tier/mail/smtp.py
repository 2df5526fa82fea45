"""Mails by SMTP, over TLS."""

from __future__ import annotations

import math
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from tier_runtime.addresses import is_this_machine
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError, Kind

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_PORTS = {"smtp": 587, "smtps": 465}
# How long the server may be silent before it has the mail, however much time that has.
SILENCE_SECONDS = 20.0
# How long it may be silent when it has the mail, which nobody has noted yet.
GOODBYE_SECONDS = 1.0


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
        return is_this_machine(self.host)


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
        with self._connected(deadline) as connection:
            try:
                connection.send_message(message)
            except smtplib.SMTPNotSupportedError as error:
                raise _refused("The mail server cannot do what this mail needs.") from error
            except smtplib.SMTPRecipientsRefused as error:
                (code, _text), *_ = error.recipients.values()
                raise _answered(code) from error
            except smtplib.SMTPSenderRefused as error:
                # The address that mails are from is a setting, as those in `_opened`.
                raise _not_now(error.smtp_code) from error
            except smtplib.SMTPResponseException as error:
                raise _answered(error.smtp_code) from error
            except (smtplib.SMTPException, OSError) as error:
                raise _unavailable("The mail server cannot be reached.") from error

    @contextmanager
    def _connected(self, deadline: Deadline) -> Iterator[_Session]:
        connection = self._opened(deadline)
        try:
            yield connection
            # The mail is taken: what goes wrong now is nobody's business.
            with suppress(AppError, smtplib.SMTPException, OSError):
                connection.quit()
        finally:
            connection.close()

    def _opened(self, deadline: Deadline) -> _Session:
        """Return a connection that takes mails.

        What is refused here is refused to all mails alike, and so not because of this one: it is
        the operator's to mend, and then the mail goes.
        """
        server = self._server
        session: _Session | None = None
        try:
            if server.scheme == "smtps":
                session = _TlsSession(server, deadline, context=self._tls)
            else:
                session = _Session(server, deadline)
                self._begin_tls(session)
            if server.user:
                session.login(server.user, server.password)
            session.ehlo_or_helo_if_needed()
        except smtplib.SMTPResponseException as error:
            _close(session)
            raise _not_now(error.smtp_code) from error
        except (smtplib.SMTPException, OSError) as error:
            _close(session)
            raise _unavailable("The mail server cannot be reached.") from error
        except AppError:
            _close(session)
            raise
        return session

    def _begin_tls(self, connection: smtplib.SMTP) -> None:
        connection.ehlo()
        if connection.has_extn("starttls"):
            connection.starttls(context=self._tls)
        elif not self._server.is_here:
            raise _unavailable("The mail server does not offer STARTTLS.")


class _Session(smtplib.SMTP):
    """A connection whose every answer comes before a deadline, or not at all.

    A mail that is still being sent when its job's lease runs out is sent by somebody else too.
    """

    def __init__(self, server: MailServer, deadline: Deadline, **options: Any) -> None:
        self._deadline = deadline
        self._patience = SILENCE_SECONDS
        super().__init__(server.host, server.port, timeout=self._seconds(), **options)

    def getreply(self) -> tuple[int, bytes]:
        """Wait for an answer, as long as there is time."""
        try:
            self._deadline.check()
        except AppError:
            self.close()
            raise
        if self.sock is not None:
            self.sock.settimeout(self._seconds())
        return super().getreply()

    def data(self, msg: ReadableBuffer | str) -> tuple[int, bytes]:
        """Hand the mail over.

        A server that thinks it over may be silent for as long as there is time: to give up means
        to send twice what it takes in the end (RFC 5321, 4.5.3.2.6).
        """
        self._patience = math.inf
        try:
            return super().data(msg)
        finally:
            self._patience = GOODBYE_SECONDS

    def _seconds(self) -> float:
        # Nought would mean not to wait at all.
        return max(min(self._deadline.remaining(), self._patience), 0.001)


class _TlsSession(_Session, smtplib.SMTP_SSL):
    """The same, with TLS first."""


def _close(session: _Session | None) -> None:
    if session is not None:
        session.close()


def _answered(code: int) -> AppError:
    """Return the error of a mail server's answer; its text may quote addresses."""
    if 500 <= code < 600:
        return _refused(f"The mail server refuses the mail ({code}).")
    return _not_now(code)


def _not_now(code: int) -> AppError:
    return _unavailable(f"The mail server does not take the mail now ({code}).")


def _refused(message: str) -> AppError:
    return AppError(Kind.INVALID, "VALIDATION_FAILED", message)


def _unavailable(message: str) -> AppError:
    return AppError(Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE", message)
