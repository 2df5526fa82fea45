"""Which mails answer which events.

An event holds ids and no secret, and so does the job of a mail: the token in a link is worked out
from its id and TOKEN_SECRET (see `one_time_tokens`) when the mail is written, and is kept nowhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, timedelta
from types import MappingProxyType

from arcana.common.v1.domain_event_pb2 import DomainEvent
from arcana.common.v1.paging_pb2 import PageRequest
from arcana.repository.v1 import user_pb2
from arcana.repository.v1.job_repository_pb2 import NewJob
from arcana.repository.v1.user_repository_pb2 import ListUsersRequest, UserFilter
from service_tier.domain.mails import MailTemplate, WantedMail
from service_tier.domain.roles import ADMIN
from service_tier.event_consumer import Reaction
from service_tier.mail_jobs import MailJobs
from service_tier.repository import Repository
from tier_runtime.clock import Clock
from tier_runtime.errors import AppError, Kind

PAGE_SIZE = 100
# What happened longer ago is old news to whoever would read of it, and its links have expired: a
# build that is the first to send mails finds every event since the beginning.
NEWS_FOR = timedelta(days=7)

_ORDER_MAILS: Mapping[str, MailTemplate] = MappingProxyType(
    {
        "order.created": MailTemplate.ORDER_CREATED,
        "order.paid": MailTemplate.ORDER_PAID,
        "order.shipped": MailTemplate.ORDER_SHIPPED,
        "order.delivered": MailTemplate.ORDER_DELIVERED,
        "order.cancelled": MailTemplate.ORDER_CANCELLED,
    }
)
_STOCK_MAILS: Mapping[str, MailTemplate] = MappingProxyType(
    {
        "product.low_stock": MailTemplate.LOW_STOCK,
        "product.out_of_stock": MailTemplate.OUT_OF_STOCK,
    }
)


class EventMails:
    """Makes the jobs of mails."""

    def __init__(self, repository: Repository, jobs: MailJobs, clock: Clock) -> None:
        self._repository = repository
        self._jobs = jobs
        self._clock = clock

    def reactions(self) -> dict[str, Reaction]:
        """Return the reaction to each type of event that a mail answers, while it is news.

        They raise AppError: INVALID/VALIDATION_FAILED for an event that lacks what its mail needs,
        and what reading the admins raises.
        """
        reactions: dict[str, Reaction] = {
            "auth.user_registered": self.registered,
            "auth.verification_requested": self.verification_requested,
            "auth.password_reset_requested": self.reset_requested,
            "user.updated": self.user_updated,
            **dict.fromkeys(_ORDER_MAILS, self.order_moved),
            **dict.fromkeys(_STOCK_MAILS, self.stock_low),
        }
        return {name: self._while_news(reaction) for name, reaction in reactions.items()}

    def registered(self, event: DomainEvent) -> Sequence[NewJob]:
        """Welcome a user, and ask whether the address is theirs."""
        return [
            self._job(event, MailTemplate.WELCOME, _fact(event, "user_id")),
            self._verification(event),
        ]

    def verification_requested(self, event: DomainEvent) -> Sequence[NewJob]:
        """Ask once more."""
        return [self._verification(event)]

    def user_updated(self, event: DomainEvent) -> Sequence[NewJob]:
        """Ask about a new address; other changes call for nothing."""
        return [self._verification(event)] if "token_id" in event.payload else []

    def reset_requested(self, event: DomainEvent) -> Sequence[NewJob]:
        """Send the link that a forgotten password is replaced by."""
        return [self._job(event, MailTemplate.PASSWORD_RESET, _fact(event, "user_id"), "token_id")]

    def order_moved(self, event: DomainEvent) -> Sequence[NewJob]:
        """Tell who ordered how the order stands."""
        template = _ORDER_MAILS[event.type]
        return [self._job(event, template, _fact(event, "user_id"), "order_id")]

    def stock_low(self, event: DomainEvent) -> Sequence[NewJob]:
        """Tell every active admin."""
        template = _STOCK_MAILS[event.type]
        return [self._job(event, template, admin, "product_id") for admin in self._admins()]

    def _while_news(self, reaction: Reaction) -> Reaction:
        def react(event: DomainEvent) -> Sequence[NewJob]:
            happened = event.occurred_time.ToDatetime(tzinfo=UTC)
            return reaction(event) if self._clock.now() - happened < NEWS_FOR else ()

        return react

    def _verification(self, event: DomainEvent) -> NewJob:
        return self._job(event, MailTemplate.VERIFY_EMAIL, _fact(event, "user_id"), "token_id")

    def _job(self, event: DomainEvent, template: MailTemplate, user_id: str, *facts: str) -> NewJob:
        mail = WantedMail(template, user_id, {name: _fact(event, name) for name in facts})
        # One mail for each event, template and user, however often the event comes.
        key = f"event:{event.id}:{template.value}:{user_id}"
        return self._jobs.new(mail, unique_key=key)

    def _admins(self) -> Iterator[str]:
        request = ListUsersRequest(
            filter=UserFilter(role=ADMIN, status=user_pb2.USER_STATUS_ACTIVE),
            page=PageRequest(page_size=PAGE_SIZE),
        )
        while True:
            listed = self._repository.users.ListUsers(request)
            for user in listed.users:
                yield user.id
            if not listed.page.next_cursor:
                return
            request.page.cursor = listed.page.next_cursor


def _fact(event: DomainEvent, name: str) -> str:
    fact = event.payload.get(name, "")
    if not fact:
        raise AppError(Kind.INVALID, "VALIDATION_FAILED", f"The event {event.type} has no {name}.")
    return fact
