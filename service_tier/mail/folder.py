"""Mails as files: where no mail server is named, whoever tries things out reads them there."""

from __future__ import annotations

import os
from email.message import EmailMessage
from pathlib import Path

from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError, Kind


class MailFolder:
    """Writes each mail into a file of its own, named by its job."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, message: EmailMessage, job_id: str, deadline: Deadline) -> None:
        """Write the mail, whole or not at all; a second attempt of its job replaces it.

        Raises:
            AppError: UNAVAILABLE/SERVICE_UNAVAILABLE, when it cannot be written.
        """
        deadline.check()
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            written = self._folder / f".{job_id}"
            descriptor = os.open(written, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(message.as_bytes())
                file.flush()
                os.fsync(file.fileno())
            written.rename(self._folder / f"{job_id}.eml")
        except OSError as error:
            raise AppError(
                Kind.UNAVAILABLE,
                "SERVICE_UNAVAILABLE",
                "The mail could not be written to its file.",
            ) from error
