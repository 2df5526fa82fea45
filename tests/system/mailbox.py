"""What a user would find in the mail: one-time tokens, worked out from the outbox."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator

from sqlalchemy import Connection, create_engine, text

from arcana.common.v1.domain_event_pb2 import DomainEvent
from service_tier.one_time_tokens import OneTimeTokens, Purpose
from tests.stores import Store
from tier_runtime.clock import SystemClock
from tier_runtime.ids import Uuid7Source


class Mailbox:
    """Reads the outbox of a running system, as what writes the mails does.

    Args:
        store: where the repository tier keeps its data.
        token_secret: the TOKEN_SECRET that the service tier runs with.
    """

    def __init__(self, store: Store, token_secret: str) -> None:
        self._store = store
        self._tokens = OneTimeTokens(token_secret.encode(), SystemClock(), Uuid7Source())

    def reset_token(self, user_id: str) -> str:
        """Give the token of the user's last request for a password reset."""
        event = self._last_event("auth.password_reset_requested", user_id)
        return self._tokens.token_of(Purpose.PASSWORD_RESET, event.payload["token_id"])

    def verification_token(self, user_id: str) -> str:
        """Give the token that was made when the user registered."""
        event = self._last_event("auth.user_registered", user_id)
        return self._tokens.token_of(Purpose.EMAIL_VERIFICATION, event.payload["token_id"])

    def has_event(self, event_type: str, user_id: str) -> bool:
        return bool(self._bodies(event_type, user_id))

    @contextlib.contextmanager
    def database(self) -> Iterator[Connection]:
        """Open the database itself, for what no consumer can do, such as letting time pass."""
        engine = create_engine(self._store.database_url)
        try:
            with engine.begin() as connection:
                yield connection
        finally:
            engine.dispose()

    def _last_event(self, event_type: str, user_id: str) -> DomainEvent:
        bodies = self._bodies(event_type, user_id)
        assert bodies, f"the outbox has no {event_type} of this user"
        return DomainEvent.FromString(bodies[-1])

    def _bodies(self, event_type: str, user_id: str) -> list[bytes]:
        query = text(
            "SELECT body FROM outbox_events WHERE type = :type AND aggregate_id = :id "
            "ORDER BY position"
        )
        with self.database() as database:
            rows = database.execute(query, {"type": event_type, "id": user_id})
            return [bytes(row.body) for row in rows]


def as_stored(identity: str) -> bytes:
    """Give an id as the tables hold it."""
    return uuid.UUID(identity).bytes
