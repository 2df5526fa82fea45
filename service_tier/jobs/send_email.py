"""The job `send-email`: one mail to one user."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from arcana.repository.v1 import (
    order_pb2,
    order_repository_pb2,
    product_repository_pb2,
    user_pb2,
    user_repository_pb2,
)
from service_tier.domain.mails import MailTemplate, WantedMail
from service_tier.domain.money import amount_text
from service_tier.jobs.work import JobWork
from service_tier.mail.letters import LetterWriter
from service_tier.mail.sending import MailSender
from service_tier.mail_jobs import mail_from_payload
from service_tier.one_time_tokens import OneTimeTokens, Purpose
from service_tier.repository import Repository
from tier_runtime.call import Call
from tier_runtime.clock import Clock
from tier_runtime.errors import AppError, Kind

_LINKS = {
    MailTemplate.VERIFY_EMAIL: (Purpose.EMAIL_VERIFICATION, "verify-email"),
    MailTemplate.PASSWORD_RESET: (Purpose.PASSWORD_RESET, "reset-password"),
}


class SendEmail:
    """Writes a mail from what is known now, and sends it."""

    def __init__(
        self,
        *,
        repository: Repository,
        writer: LetterWriter,
        sender: MailSender,
        one_time_tokens: OneTimeTokens,
        public_base_url: str,
        clock: Clock,
    ) -> None:
        self._repository = repository
        self._writer = writer
        self._sender = sender
        self._one_time_tokens = one_time_tokens
        self._base_url = public_base_url.rstrip("/")
        self._clock = clock

    def run(self, work: JobWork) -> Mapping[str, str]:
        """Send the mail; a user who is gone gets none.

        Raises:
            AppError: it cannot be written or sent.
        """
        mail = mail_from_payload(work.payload)
        with work.step() as call:
            user = self._user(call, mail.user_id)
            if user is None:
                return {"skipped": "The user is gone."}
            message = self._writer.write(
                mail.template,
                name=user.name,
                address=user.email,
                details=self._details(mail),
                message_id=work.job_id,
                moment=self._clock.now(),
            )
            self._sender.send(message, work.job_id, call.deadline)
            return {"message_id": str(message["Message-ID"])}

    def _user(self, call: Call, user_id: str) -> user_pb2.User | None:
        try:
            answer = self._repository.user_reads.get(call, user_id)
        except AppError as error:
            if error.kind is Kind.MISSING:
                return None
            raise
        return user_repository_pb2.GetUserResponse.FromString(answer).user

    def _details(self, mail: WantedMail) -> dict[str, Any]:
        details: dict[str, Any] = {**mail.facts, "base_url": self._base_url}
        if mail.template in _LINKS:
            purpose, page = _LINKS[mail.template]
            token = self._one_time_tokens.token_of(purpose, mail.facts["token_id"])
            details["link"] = f"{self._base_url}/{page}?token={token}"
        if "order_id" in mail.facts:
            answer = self._repository.order_reads.get(mail.facts["order_id"])
            order = order_repository_pb2.GetOrderResponse.FromString(answer).order
            details["order"] = _order_details(order)
        if "product_id" in mail.facts:
            request = product_repository_pb2.GetProductRequest(product_id=mail.facts["product_id"])
            product = self._repository.products.GetProduct(request).product
            details["product"] = {
                "id": product.id,
                "name": product.name,
                "stock": product.stock,
                "threshold": product.low_stock_threshold,
            }
        return details


def _order_details(order: order_pb2.Order) -> dict[str, Any]:
    return {
        "id": order.id,
        "currency": order.currency_code,
        "total": amount_text(order.total_minor),
        "discount": amount_text(order.discount_minor),
        # Not "items": a dict has a method of that name, which a template would find first.
        "lines": [
            {
                "name": item.name,
                "quantity": item.quantity,
                "total": amount_text(item.line_total_minor),
            }
            for item in order.items
        ],
    }
