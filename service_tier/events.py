"""The domain events that this tier makes. Payloads hold ids and plain facts, never a secret."""

from __future__ import annotations

from collections.abc import Iterable

from arcana.common.v1 import domain_event_pb2
from service_tier.domain.orders import OrderStatus
from tier_runtime.call import Call
from tier_runtime.clock import Clock
from tier_runtime.ids import IdSource
from tier_runtime.timestamps import timestamp_from

USER = "user"
PRODUCT = "product"
ORDER = "order"
FILE = "file"
# A sign-in that belongs to no account is a thing of its own.
LOGIN_ATTEMPT = "login_attempt"


class Events:
    """Makes events, each in the name of the call that causes it."""

    def __init__(self, clock: Clock, ids: IdSource) -> None:
        self._clock = clock
        self._ids = ids

    def user_registered(
        self, call: Call, *, user_id: str, token_id: str
    ) -> domain_event_pb2.DomainEvent:
        """`token_id` is the verification token to mail."""
        return self._of_user(call, "auth.user_registered", user_id, token_id=token_id)

    def user_created(
        self, call: Call, *, user_id: str, roles: Iterable[str]
    ) -> domain_event_pb2.DomainEvent:
        """A user was made, by registration or by an admin."""
        return self._of_user(call, "user.created", user_id, roles=",".join(sorted(roles)))

    def user_updated(
        self, call: Call, *, user_id: str, changed: Iterable[str], token_id: str = ""
    ) -> domain_event_pb2.DomainEvent:
        """`changed` names fields; `token_id` is the verification token of a new address."""
        token = {"token_id": token_id} if token_id else {}
        return self._of_user(
            call, "user.updated", user_id, changed=",".join(sorted(changed)), **token
        )

    def user_status_changed(
        self, call: Call, *, user_id: str, status: str, previous: str
    ) -> domain_event_pb2.DomainEvent:
        """The user may sign in now, or no longer."""
        return self._of_user(
            call, "user.status_changed", user_id, status=status, previous_status=previous
        )

    def user_roles_changed(
        self, call: Call, *, user_id: str, roles: Iterable[str], previous: Iterable[str]
    ) -> domain_event_pb2.DomainEvent:
        """The user holds other roles now."""
        return self._of_user(
            call,
            "user.roles_changed",
            user_id,
            roles=",".join(sorted(roles)),
            previous_roles=",".join(sorted(previous)),
        )

    def user_deleted(self, call: Call, *, user_id: str) -> domain_event_pb2.DomainEvent:
        """The account is gone."""
        return self._of_user(call, "user.deleted", user_id)

    def login_success(
        self, call: Call, *, user_id: str, session_id: str
    ) -> domain_event_pb2.DomainEvent:
        """A session has started."""
        return self._of_user(call, "auth.login_success", user_id, session_id=session_id)

    def login_failed(
        self, call: Call, *, user_id: str | None, reason: str
    ) -> domain_event_pb2.DomainEvent:
        """`user_id` is None when no account has the address; the address is not told."""
        if user_id is not None:
            return self._of_user(call, "auth.login_failed", user_id, reason=reason)
        attempt = self._ids.new_id()
        return self._made(call, "auth.login_failed", LOGIN_ATTEMPT, attempt, {"reason": reason})

    def password_changed(
        self, call: Call, *, user_id: str, reason: str
    ) -> domain_event_pb2.DomainEvent:
        """`reason` is `change` or `reset`."""
        return self._of_user(call, "auth.password_changed", user_id, reason=reason)

    def password_reset_requested(
        self, call: Call, *, user_id: str, token_id: str
    ) -> domain_event_pb2.DomainEvent:
        """`token_id` is the reset token to mail."""
        return self._of_user(call, "auth.password_reset_requested", user_id, token_id=token_id)

    def verification_requested(
        self, call: Call, *, user_id: str, token_id: str
    ) -> domain_event_pb2.DomainEvent:
        """`token_id` is the verification token to mail."""
        return self._of_user(call, "auth.verification_requested", user_id, token_id=token_id)

    def product_created(
        self, call: Call, *, product_id: str, status: str
    ) -> domain_event_pb2.DomainEvent:
        """A product was made."""
        return self._of_product(call, "product.created", product_id, status=status)

    def product_updated(
        self, call: Call, *, product_id: str, changed: Iterable[str]
    ) -> domain_event_pb2.DomainEvent:
        """`changed` names fields."""
        return self._of_product(
            call, "product.updated", product_id, changed=",".join(sorted(changed))
        )

    def product_deleted(self, call: Call, *, product_id: str) -> domain_event_pb2.DomainEvent:
        """The product was archived; an admin may bring it back, which is told as an update."""
        return self._of_product(call, "product.deleted", product_id)

    def order_created(
        self, call: Call, *, order_id: str, user_id: str, total_minor: int, currency_code: str
    ) -> domain_event_pb2.DomainEvent:
        """An order was placed; the total is in hundredths of the currency."""
        facts = {"total_minor": str(total_minor), "currency_code": currency_code}
        return self._of_order(call, "order.created", order_id, user_id, **facts)

    def order_moved(
        self, call: Call, *, order_id: str, user_id: str, to: OrderStatus
    ) -> domain_event_pb2.DomainEvent:
        """An order was paid, shipped, delivered or cancelled, and the event is called so."""
        return self._of_order(call, f"order.{to}", order_id, user_id)

    def file_uploaded(
        self, call: Call, *, file_id: str, user_id: str, size_bytes: int
    ) -> domain_event_pb2.DomainEvent:
        """A file is there."""
        facts = {"size_bytes": str(size_bytes)}
        return self._of_file(call, "file.uploaded", file_id, user_id, **facts)

    def file_deleted(
        self, call: Call, *, file_id: str, user_id: str
    ) -> domain_event_pb2.DomainEvent:
        """A file is gone; `user_id` is who uploaded it."""
        return self._of_file(call, "file.deleted", file_id, user_id)

    def _of_user(
        self, call: Call, event_type: str, user_id: str, **facts: str
    ) -> domain_event_pb2.DomainEvent:
        return self._made(call, event_type, USER, user_id, {"user_id": user_id, **facts})

    def _of_product(
        self, call: Call, event_type: str, product_id: str, **facts: str
    ) -> domain_event_pb2.DomainEvent:
        payload = {"product_id": product_id, **facts}
        return self._made(call, event_type, PRODUCT, product_id, payload)

    def _of_order(
        self, call: Call, event_type: str, order_id: str, user_id: str, **facts: str
    ) -> domain_event_pb2.DomainEvent:
        payload = {"order_id": order_id, "user_id": user_id, **facts}
        return self._made(call, event_type, ORDER, order_id, payload)

    def _of_file(
        self, call: Call, event_type: str, file_id: str, user_id: str, **facts: str
    ) -> domain_event_pb2.DomainEvent:
        payload = {"file_id": file_id, "user_id": user_id, **facts}
        return self._made(call, event_type, FILE, file_id, payload)

    def _made(
        self,
        call: Call,
        event_type: str,
        aggregate_type: str,
        aggregate_id: str,
        payload: dict[str, str],
    ) -> domain_event_pb2.DomainEvent:
        return domain_event_pb2.DomainEvent(
            id=self._ids.new_id(),
            type=event_type,
            aggregate_type=aggregate_type,
            aggregate_id=aggregate_id,
            payload=payload,
            occurred_time=timestamp_from(self._clock.now()),
            request_id=call.request_id,
            actor_subject=call.actor.subject,
            traceparent=call.traceparent,
        )
