"""The outbox: events in the same transaction as what they tell of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from arcana.common.v1 import domain_event_pb2
from repository_tier.database import Database
from repository_tier.field_checks import FieldChecks
from repository_tier.tables import outbox_events
from repository_tier.upserts import insert_new
from tier_runtime.clock import Clock
from tier_runtime.deadline import Deadline

MAX_EVENTS = 100
MAX_EVENT_BYTES = 16_384
MAX_SUBJECT_CHARACTERS = 64


@dataclass(frozen=True, slots=True)
class OutboxEvent:
    """An event that has been checked. `body` is the whole message, serialized."""

    id: str
    type: str
    aggregate_type: str
    aggregate_id: str
    occurred_time: datetime
    body: bytes


def events_from_proto(events: Sequence[domain_event_pb2.DomainEvent]) -> list[OutboxEvent]:
    """Check events and return them as they are stored.

    Raises:
        AppError: INVALID/VALIDATION_FAILED.
    """
    checks = FieldChecks()
    if len(events) > MAX_EVENTS:
        checks.fault("events", f"More than {MAX_EVENTS}.")
        checks.done()
    return [_event_from_proto(number, event) for number, event in enumerate(events)]


def append_events(connection: Connection, events: Iterable[OutboxEvent], now: datetime) -> None:
    """Write events at the end of the outbox; those that are there already stay as they are."""
    rows = [
        {
            "id": event.id,
            "type": event.type,
            "aggregate_type": event.aggregate_type,
            "aggregate_id": event.aggregate_id,
            "body": event.body,
            "occurred_time": event.occurred_time,
            "created_time": now,
        }
        for event in events
    ]
    for row in rows:
        insert_new(connection, outbox_events, row, key="id")


class Outbox:
    """Takes the events that come without a write."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def append(self, events: Sequence[OutboxEvent], deadline: Deadline) -> None:
        """Append all events in one transaction."""
        now = self._clock.now()
        self._database.write(deadline, lambda connection: append_events(connection, events, now))


def _event_from_proto(number: int, event: domain_event_pb2.DomainEvent) -> OutboxEvent:
    checks = FieldChecks(f"events[{number}].")
    body = event.SerializeToString(deterministic=True)
    if len(body) > MAX_EVENT_BYTES:
        checks.fault("payload", f"The event has more than {MAX_EVENT_BYTES} bytes.")
    checks.text("actor_subject", event.actor_subject, MAX_SUBJECT_CHARACTERS)
    checks.text("request_id", event.request_id, 128)
    checks.traceparent("traceparent", event.traceparent)
    found = OutboxEvent(
        id=checks.new_id("id", event.id),
        type=checks.word("type", event.type, 64),
        aggregate_type=checks.word("aggregate_type", event.aggregate_type, 64),
        aggregate_id=checks.text("aggregate_id", event.aggregate_id, 64, shortest=1),
        occurred_time=checks.required_moment("occurred_time", event.occurred_time),
        body=body,
    )
    checks.done()
    return found
