"""Mails as jobs: what a job of the name `send-email` holds."""

from __future__ import annotations

import json

from arcana.repository.v1 import job_repository_pb2
from service_tier.conversion.jobs import new_job
from service_tier.domain.jobs import JobName
from service_tier.domain.mails import MailTemplate, WantedMail
from tier_runtime.errors import AppError, Kind
from tier_runtime.ids import IdSource


class MailJobs:
    """Makes the jobs that send mails."""

    def __init__(self, ids: IdSource) -> None:
        self._ids = ids

    def new(self, mail: WantedMail, *, unique_key: str) -> job_repository_pb2.NewJob:
        """Return the job that sends a mail, once for each unique key.

        The key names what the mail answers, such as `event:<id of the event>:welcome`.
        """
        payload = {
            "template": mail.template.value,
            "user_id": mail.user_id,
            "facts": dict(mail.facts),
        }
        return new_job(self._ids.new_id(), JobName.SEND_EMAIL, payload, unique_key=unique_key)


def mail_from_payload(payload: bytes) -> WantedMail:
    """Return the mail that a job is to send.

    Raises:
        AppError: INVALID/VALIDATION_FAILED, when it is none that can be written.
    """
    try:
        fields = json.loads(payload)
        mail = WantedMail(
            MailTemplate(fields["template"]), str(fields["user_id"]), dict(fields["facts"])
        )
    except (KeyError, TypeError, ValueError) as error:
        raise AppError(Kind.INVALID, "VALIDATION_FAILED", "The payload is no mail.") from error
    missing = mail.missing_facts()
    if missing:
        raise AppError(Kind.INVALID, "VALIDATION_FAILED", f"The mail lacks {', '.join(missing)}.")
    return mail
