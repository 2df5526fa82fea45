"""Mails as they are written: from a template, into a message that is ready to be sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import jinja2

from service_tier.domain.mails import (
    CONTROL_CHARACTERS,
    MAX_SUBJECT_CHARACTERS,
    MailTemplate,
)
from tier_runtime.errors import AppError, Kind

_TEMPLATES = Path(__file__).parent / "templates"
# RFC 5322, section 2.1.1.
_MAX_LINE_CHARACTERS = 998


@dataclass(frozen=True, slots=True)
class Sender:
    """Whom mails are from, and the domain that their ids are of."""

    name: str
    address: str

    @property
    def domain(self) -> str:
        """The domain of the address."""
        return self.address.rpartition("@")[2]


class LetterWriter:
    """Writes mails. Safe to use from several threads."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._templates = _environment()

    def write(
        self,
        template: MailTemplate,
        *,
        name: str,
        address: str,
        details: Mapping[str, Any],
        message_id: str,
        moment: datetime,
    ) -> EmailMessage:
        """Return a mail to one person, in text and HTML.

        A mail that is written again for the same `message_id` can be known by its Message-ID.

        Raises:
            AppError: INVALID/VALIDATION_FAILED, when nobody can have that address.
        """
        known = {**details, "name": name}
        text = self._templates.get_template(f"{template}.txt").render(known)
        subject, _, body = text.partition("\n")
        message = EmailMessage(policy=SMTP.clone(utf8=not address.isascii()))
        message["Message-ID"] = f"<{message_id}@{self._sender.domain}>"
        message["Date"] = format_datetime(moment)
        message["From"] = _header_address(self._sender.name, self._sender.address)
        message["To"] = _header_address(name, address)
        message["Subject"] = header_text(subject)[:MAX_SUBJECT_CHARACTERS]
        # RFC 3834: nobody's absence is to be told to a machine.
        message["Auto-Submitted"] = "auto-generated"
        body = body.strip() + "\n"
        message.set_content(body, cte="7bit" if _is_plain(body) else None)
        page = self._templates.get_template(f"{template}.html").render(known)
        message.add_alternative(page, subtype="html")
        return message


def _is_plain(text: str) -> bool:
    """Tell whether a text can go as it is, so that its links can be copied from the raw mail."""
    longest = max(len(line) for line in text.splitlines())
    return text.isascii() and longest <= _MAX_LINE_CHARACTERS


def header_text(text: str) -> str:
    """Return a text as it may stand in a header: on one line, without control characters."""
    return CONTROL_CHARACTERS.sub(" ", text).strip()


def _header_address(name: str, address: str) -> Address:
    local, _, domain = address.rpartition("@")
    try:
        return Address(header_text(name), username=local, domain=domain)
    except ValueError as error:
        raise AppError(
            Kind.INVALID, "VALIDATION_FAILED", "Nobody can be mailed at that address."
        ) from error


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        # Text stays as it is.
        autoescape=jinja2.select_autoescape(enabled_extensions=("html",)),
        # What a template lacks is an error, not a gap.
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["one_line"] = header_text
    return environment
