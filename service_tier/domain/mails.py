"""Which mails there are, and what each is written from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

MAX_SUBJECT_CHARACTERS = 200
# What may not stand in a header: it would end the line, or hide what follows.
CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f\u0080-\u009f\u2028\u2029]+")


class MailTemplate(StrEnum):
    """A mail by the name of its template. The values are kept with the jobs: never change them."""

    WELCOME = "welcome"
    VERIFY_EMAIL = "verify-email"
    PASSWORD_RESET = "password-reset"  # noqa: S105 - a template, not a password.
    ORDER_CREATED = "order-created"
    ORDER_PAID = "order-paid"
    ORDER_SHIPPED = "order-shipped"
    ORDER_DELIVERED = "order-delivered"
    ORDER_CANCELLED = "order-cancelled"
    LOW_STOCK = "low-stock"
    OUT_OF_STOCK = "out-of-stock"
    ANNOUNCEMENT = "announcement"


# The facts that a mail cannot be written without.
REQUIRED_FACTS: Mapping[MailTemplate, frozenset[str]] = MappingProxyType(
    {
        MailTemplate.WELCOME: frozenset(),
        MailTemplate.VERIFY_EMAIL: frozenset({"token_id"}),
        MailTemplate.PASSWORD_RESET: frozenset({"token_id"}),
        MailTemplate.ORDER_CREATED: frozenset({"order_id"}),
        MailTemplate.ORDER_PAID: frozenset({"order_id"}),
        MailTemplate.ORDER_SHIPPED: frozenset({"order_id"}),
        MailTemplate.ORDER_DELIVERED: frozenset({"order_id"}),
        MailTemplate.ORDER_CANCELLED: frozenset({"order_id"}),
        MailTemplate.LOW_STOCK: frozenset({"product_id"}),
        MailTemplate.OUT_OF_STOCK: frozenset({"product_id"}),
        MailTemplate.ANNOUNCEMENT: frozenset({"subject", "body"}),
    }
)


@dataclass(frozen=True, slots=True)
class WantedMail:
    """A mail to one user, whose address and name are looked up when it is sent.

    `facts` are ids and plain texts, never a token or an address.
    """

    template: MailTemplate
    user_id: str
    facts: Mapping[str, str] = field(default_factory=dict)

    def missing_facts(self) -> list[str]:
        """Return the names of the facts that it cannot be written without, in their order."""
        return sorted(REQUIRED_FACTS[self.template] - self.facts.keys())
