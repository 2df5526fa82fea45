"""Mails on their way to real mail servers."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path

import pytest

from service_tier.domain.mails import MailTemplate
from service_tier.mail import smtp
from service_tier.mail.letters import LetterWriter, Sender
from service_tier.mail.smtp import MailServer, SmtpSender
from tests.tier.service.mail_server import USER, certificate, mail_server
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError, Kind


def letter(address: str = "ada@example.org") -> EmailMessage:
    return LetterWriter(Sender("Arcana", "no-reply@arcana.local")).write(
        MailTemplate.WELCOME,
        name="Ada",
        address=address,
        details={"base_url": "http://127.0.0.1:5000"},
        message_id="job-1",
        moment=datetime(2026, 11, 21, tzinfo=UTC),
    )


def send(
    url: str, ca_file: Path | None = None, message: EmailMessage | None = None, seconds: float = 20
) -> None:
    SmtpSender(MailServer.parse(url), ca_file).send(
        message or letter(), "job-1", Deadline.after(seconds)
    )


def refused(url: str, ca_file: Path | None = None, seconds: float = 20) -> AppError:
    with pytest.raises(AppError) as caught:
        send(url, ca_file, seconds=seconds)
    return caught.value


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return certificate(tmp_path_factory.mktemp("tls"))


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_a_mail_goes_over_tls_and_signed_in(files: tuple[Path, Path], scheme: str) -> None:
    with mail_server(files=files, tls_first=scheme == "smtps") as server:
        send(f"{scheme}://{USER}:p%40ss%3Aword@127.0.0.1:{server.port}", files[0])
    (mail,) = server.mails
    assert (server.recipients, server.signed_in) == (["ada@example.org"], [True])
    assert (mail["Message-ID"], mail["To"]) == ("<job-1@arcana.local>", "Ada <ada@example.org>")
    assert {part.get_content_type() for part in mail.walk()} == {
        "multipart/alternative",
        "text/plain",
        "text/html",
    }


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_a_server_whose_certificate_nobody_knows_gets_no_mail(
    files: tuple[Path, Path], scheme: str
) -> None:
    with mail_server(files=files, tls_first=scheme == "smtps") as server:
        error = refused(f"{scheme}://127.0.0.1:{server.port}")
    assert (error.kind, server.mails) == (Kind.UNAVAILABLE, [])


def test_a_server_of_this_machine_needs_no_tls() -> None:
    with mail_server() as server:
        send(f"smtp://127.0.0.1:{server.port}")
    assert len(server.mails) == 1


def test_a_server_elsewhere_without_tls_gets_neither_password_nor_mail(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with mail_server() as server:
        url = f"smtp://{USER}:secret@127.0.0.1:{server.port}"
        monkeypatch.setattr(MailServer, "is_here", property(lambda _self: False))
        assert refused(url).kind is Kind.UNAVAILABLE
    assert server.mails == []
    assert "secret" not in repr(MailServer.parse(url))


@pytest.mark.parametrize(
    ("recipient", "mail", "kind"),
    [
        ("550 Nobody here", "", Kind.INVALID),
        ("450 Come again", "", Kind.UNAVAILABLE),
        ("", "554 Spam", Kind.INVALID),
        ("", "451 Full", Kind.UNAVAILABLE),
    ],
)
def test_a_refusal_is_for_ever_or_for_now(recipient: str, mail: str, kind: Kind) -> None:
    with mail_server() as server:
        server.refuse_recipient, server.refuse_mail = recipient, mail
        error = refused(f"smtp://127.0.0.1:{server.port}")
    assert error.kind is kind
    assert (recipient or mail)[:3] in error.message
    assert "example.org" not in error.message


def test_a_wrong_password_is_the_operators_to_mend(files: tuple[Path, Path]) -> None:
    with mail_server(files=files) as server:
        error = refused(f"smtp://{USER}:wrong@127.0.0.1:{server.port}", files[0])
    assert (error.kind, "535" in error.message) == (Kind.UNAVAILABLE, True)


def test_what_is_refused_to_all_mails_alike_is_the_operators_to_mend() -> None:
    with mail_server() as server:
        server.refuse_sender = "550 Not from you"
        error = refused(f"smtp://127.0.0.1:{server.port}")
        assert (error.kind, "550" in error.message) == (Kind.UNAVAILABLE, True)
        error = refused(f"smtp://{USER}:x@127.0.0.1:{server.port}")
        assert (error.kind, "535" in error.message) == (Kind.UNAVAILABLE, True)
    with socket.create_server(("127.0.0.1", 0)) as closed, ThreadPoolExecutor(1) as pool:
        answered = pool.submit(_refuse_one, closed)
        error = refused(f"smtp://127.0.0.1:{closed.getsockname()[1]}")
        answered.result()
    assert (error.kind, "554" in error.message) == (Kind.UNAVAILABLE, True)


def _refuse_one(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        connection.sendall(b"554 Nobody mails here\r\n")


def test_a_slow_server_gets_no_mail_after_its_time() -> None:
    with mail_server() as server:
        # Each answer comes in time, all of them together do not.
        server.thinks_of_address = 0.7
        refused(f"smtp://127.0.0.1:{server.port}", seconds=1.0)
    assert server.mails == []


def test_a_server_that_has_the_mail_is_waited_for_as_long_as_there_is_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(smtp, "SILENCE_SECONDS", 0.5)
    with mail_server() as server:
        server.thinks_of_mail = 1.0
        send(f"smtp://127.0.0.1:{server.port}")
    assert len(server.mails) == 1


def test_a_server_that_is_not_there_is_unavailable() -> None:
    assert refused("smtp://127.0.0.1:1").kind is Kind.UNAVAILABLE


def test_an_address_beyond_ascii_needs_a_server_that_knows_such() -> None:
    with mail_server() as server:
        send(f"smtp://127.0.0.1:{server.port}", message=letter("zoë@exämple.org"))
        assert server.recipients == ["zoë@exämple.org"]


def test_no_mail_begins_after_its_time() -> None:
    with mail_server() as server:
        late = refused(f"smtp://127.0.0.1:{server.port}", seconds=0)
    assert (late.kind, server.mails) == (Kind.DEADLINE, [])
