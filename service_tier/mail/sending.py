"""The way that mails leave the house."""

from __future__ import annotations

from email.message import EmailMessage
from typing import Protocol

from tier_runtime.deadline import Deadline


class MailSender(Protocol):
    """Sends mails. Safe to use from several threads."""

    def send(self, message: EmailMessage, job_id: str, deadline: Deadline) -> None:
        """Send a mail to the one in its To header, for the job with this id.

        Raises:
            AppError: UNAVAILABLE/SERVICE_UNAVAILABLE, when another attempt may succeed;
                INVALID/VALIDATION_FAILED, when none can; DEADLINE/DEADLINE_EXCEEDED.
        """
        ...
