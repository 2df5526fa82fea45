"""Mails as they are written, and where they may go."""

from __future__ import annotations

import stat
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from jinja2 import UndefinedError

from service_tier.domain.mails import MailTemplate
from service_tier.external_directory import require_directory_url
from service_tier.mail.folder import MailFolder
from service_tier.mail.letters import LetterWriter, Sender
from service_tier.mail.smtp import MailServer
from service_tier.settings import ServiceSettings
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError, Kind
from tier_runtime.settings import SettingsError, load

INJECTED = "Ada\r\nBcc: mallory@example.org\r\n\r\nHello"
DETAILS: dict[str, Any] = {
    "base_url": "https://shop.example",
    "link": "https://shop.example/verify-email?token=t",
    "subject": "News\r\nBcc: mallory@example.org",
    "body": "First <b>one</b>.\n\nThen two.",
    "order": {
        "id": "o-1",
        "currency": "USD",
        "total": "3.00",
        "discount": "0.00",
        "lines": [{"name": "<Lamp>\r\nX: y", "quantity": 3, "total": "3.00"}],
    },
    "product": {"id": "p-1", "name": INJECTED, "stock": 0, "threshold": 5},
}


def written(template: MailTemplate, **fields: Any) -> EmailMessage:
    given = {"name": "Ada", "address": "ada@example.org", "details": DETAILS, **fields}
    return LetterWriter(Sender("Arcana", "no-reply@arcana.local")).write(
        template, message_id="job-1", moment=datetime(2026, 11, 21, tzinfo=UTC), **given
    )


@pytest.mark.parametrize("template", list(MailTemplate))
def test_nothing_that_a_user_chose_becomes_a_header(template: MailTemplate) -> None:
    message = message_from_bytes(written(template, name=INJECTED).as_bytes())
    assert message["Bcc"] is None
    assert set(message.keys()) == {
        "Message-ID",
        "Date",
        "From",
        "To",
        "Subject",
        "Auto-Submitted",
        "MIME-Version",
        "Content-Type",
    }
    assert message["Subject"].strip()


@pytest.mark.parametrize("template", list(MailTemplate))
def test_every_mail_has_the_same_in_text_and_in_html(template: MailTemplate) -> None:
    text, html = written(template).iter_parts()
    assert "Hello Ada," in text.get_content()
    assert "Hello Ada," in html.get_content()
    assert "https://shop.example" in text.get_content()
    assert "<Lamp>" not in html.get_content()
    assert "<b>one</b>" not in html.get_content()


@pytest.mark.parametrize(("name", "is_whole"), [("Ada", True), ("Zoë", False)])
def test_a_link_can_be_copied_from_the_raw_mail_that_is_ascii(name: str, is_whole: bool) -> None:
    link = f"https://shop.example/verify-email?token={'t' * 90}"
    message = written(MailTemplate.VERIFY_EMAIL, name=name, details={**DETAILS, "link": link})
    text = message.get_body(("plain",))
    assert text is not None
    assert (link in text.as_string()) is is_whole
    assert link in text.get_content()


def test_what_a_template_lacks_is_an_error_and_no_gap() -> None:
    with pytest.raises(UndefinedError, match="'link' is undefined"):
        written(MailTemplate.VERIFY_EMAIL, details={"base_url": "https://shop.example"})


@pytest.mark.parametrize("address", ["a b@example.org\r\nX: y", "ada\nX@example.org"])
def test_an_address_that_nobody_can_have_is_refused_for_ever(address: str) -> None:
    with pytest.raises(AppError) as refused:
        written(MailTemplate.WELCOME, address=address)
    assert refused.value.kind is Kind.INVALID


def test_a_second_attempt_replaces_the_file_of_the_first(tmp_path: Path) -> None:
    folder = MailFolder(tmp_path / "mail")
    for name in ("Ada", "Ada Lovelace"):
        folder.send(written(MailTemplate.WELCOME, name=name), "job-1", Deadline.after(5))
    (file,) = (tmp_path / "mail").iterdir()
    assert file.name == "job-1.eml"
    assert "Ada Lovelace" in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_folder_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "mail").write_text("no folder")
    with pytest.raises(AppError) as refused:
        MailFolder(tmp_path / "mail").send(
            written(MailTemplate.WELCOME), "job-1", Deadline.after(5)
        )
    assert refused.value.kind is Kind.UNAVAILABLE


def test_mail_servers_are_read_from_their_urls() -> None:
    server = MailServer.parse("smtps://me:p%40ss@mail.example")
    assert (server.host, server.port, server.user, server.password) == (
        "mail.example",
        465,
        "me",
        "p@ss",
    )
    assert "p@ss" not in repr(server)
    assert MailServer.parse("smtp://mail.example").port == 587
    assert MailServer.parse("smtp://localhost:25").is_here
    assert MailServer.parse("smtp://[::1]:25").is_here
    assert not MailServer.parse("smtp://192.0.2.1").is_here
    assert not server.is_here


@pytest.mark.parametrize(
    "url", ["http://secret@h", "smtp://", "smtp://secret@h:99999", "smtp://secret@h/path", "secret"]
)
def test_a_url_of_no_mail_server_is_refused_and_not_told(url: str) -> None:
    with pytest.raises(ValueError, match="must be a URL") as refused:
        MailServer.parse(url)
    assert "secret" not in str(refused.value)
    with pytest.raises(SettingsError) as fault:
        load(ServiceSettings, {"SMTP_URL": url})
    assert "secret" not in str(fault.value)


@pytest.mark.parametrize(
    "url", ["https://directory.example/users", "http://127.0.0.1:8080", "http://localhost/x"]
)
def test_a_directory_is_reached_over_tls_or_on_this_machine(url: str) -> None:
    assert require_directory_url(url) == url
    assert load(ServiceSettings, {"USER_SYNC_URL": url}).user_sync_url == url


@pytest.mark.parametrize(
    "url",
    [
        "http://directory.example",
        "http://192.0.2.1",
        "ftp://127.0.0.1",
        "https://",
        "https://user:pw@directory.example",
        "https://directory.example/?a=b",
        "https://directory.example:99999",
        "https://directory.example:0",
        "https://directory.example/a b",
        "https://directory.example/ü",
    ],
)
def test_any_other_directory_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="must be an https:// URL"):
        require_directory_url(url)


@pytest.mark.parametrize("token", ["se\ncret", "se cret", "secr€t"])
def test_a_token_that_fits_no_header_is_refused_and_not_told(token: str) -> None:
    with pytest.raises(SettingsError, match="USER_SYNC_TOKEN") as refused:
        load(ServiceSettings, {"USER_SYNC_TOKEN": token})
    assert token not in str(refused.value)


def test_bad_settings_of_mails_are_named(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    environ = {
        "SMTP_CA_FILE": str(tmp_path / "ca.pem"),
        "MAIL_FROM": "a b@c",
        "PUBLIC_BASE_URL": "javascript:alert(1)",
        "USER_SYNC_URL": "http://directory.example",
    }
    with pytest.raises(SettingsError) as refused:
        load(ServiceSettings, environ)
    assert [fault.partition(":")[0] for fault in refused.value.faults] == sorted(environ)
    with pytest.raises(SettingsError, match="SMTP_CA_FILE"):
        load(ServiceSettings, {"SMTP_CA_FILE": str(tmp_path / "none.pem")})
    fine = load(ServiceSettings, {"PUBLIC_BASE_URL": "https://shop.example/app"})
    assert fine.public_base_url == "https://shop.example/app"
