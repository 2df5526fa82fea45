"""Events that only the transaction knows of: a product's stock got low, or ran out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from arcana.common.v1.domain_event_pb2 import DomainEvent
from arcana.repository.v1 import product_pb2
from repository_tier.outbox import OutboxEvent, events_from_proto
from tier_runtime.call import Call
from tier_runtime.ids import IdSource
from tier_runtime.timestamps import timestamp_from

PRODUCT = "product"
LOW_STOCK = "product.low_stock"
OUT_OF_STOCK = "product.out_of_stock"


@dataclass(frozen=True, slots=True)
class Cause:
    """What an event of this tier is due to: the request, and whoever made it."""

    request_id: str
    actor_subject: str
    traceparent: str = ""


def cause_of(call: Call) -> Cause:
    """Return the cause of what this call changes."""
    return Cause(call.request_id, call.actor.subject, call.traceparent)


@dataclass(frozen=True, slots=True)
class Crossing:
    """A product as it is now, and where its stock and threshold were before."""

    product: product_pb2.Product
    old_stock: int
    old_threshold: int


def crossing_events(
    crossings: Iterable[Crossing], cause: Cause, now: datetime, ids: IdSource
) -> list[OutboxEvent]:
    """Return the events of those products that really crossed a line, downwards."""
    told = [(crossing.product, _event_type(crossing)) for crossing in crossings]
    return events_from_proto(
        [
            DomainEvent(
                id=ids.new_id(),
                type=event_type,
                aggregate_type=PRODUCT,
                aggregate_id=product.id,
                payload={
                    "product_id": product.id,
                    "stock": str(product.stock),
                    "low_stock_threshold": str(product.low_stock_threshold),
                },
                occurred_time=timestamp_from(now),
                request_id=cause.request_id,
                actor_subject=cause.actor_subject,
                traceparent=cause.traceparent,
            )
            for product, event_type in told
            if event_type
        ]
    )


def _event_type(crossing: Crossing) -> str:
    product = crossing.product
    if product.stock == 0:
        # What has run out is not told to be low besides.
        return OUT_OF_STOCK if crossing.old_stock > 0 else ""
    was_low = crossing.old_stock <= crossing.old_threshold
    return LOW_STOCK if product.stock <= product.low_stock_threshold and not was_low else ""
