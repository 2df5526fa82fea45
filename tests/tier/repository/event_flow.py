"""A tier whose events are relayed when a test says so, and its consumers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from random import Random

from google.protobuf.duration_pb2 import Duration

from arcana.common.v1.domain_event_pb2 import DomainEvent
from arcana.repository.v1 import event_repository_pb2 as pb
from arcana.repository.v1.event_repository_pb2_grpc import EventRepositoryStub
from repository_tier.assembly.events import make_event_log
from repository_tier.database import Database
from repository_tier.engine import PoolSettings, make_engines
from repository_tier.event_log.log import EventLog
from repository_tier.relay import Relay, RelaySettings
from repository_tier.settings import RepositorySettings
from tests.stores import Store
from tests.stores.waiting import eventually
from tier_runtime.clock import Clock
from tier_runtime.errors import AppError, Kind
from tier_runtime.settings import load

GROUP = "mails"
DONE = pb.DELIVERY_OUTCOME_DONE
FAILED = pb.DELIVERY_OUTCOME_FAILED
RETURNED = pb.DELIVERY_OUTCOME_RETURNED
TYPES = ("user.updated", "order.created", "user.created")


@dataclass(frozen=True, slots=True)
class RelayAlone:
    """A relay, and a log, of the test's own, beside those of a tier on the same store."""

    relay: Relay
    log: EventLog
    database: Database


@contextmanager
def relay_on(store: Store, clock: Clock, **settings: object) -> Iterator[RelayAlone]:
    """Make a relay that works when it is told to; settings by their names."""
    environ = {**store.environ(), **{name.upper(): str(each) for name, each in settings.items()}}
    loaded = load(RepositorySettings, environ)
    engines = make_engines(loaded.database(), PoolSettings(4, 1.0, 5, 30.0))
    database = Database(engines, clock, Random(7))
    with ExitStack() as stack:
        stack.callback(database.close)
        log = make_event_log(loaded, database, clock, Random(7))
        stack.callback(log.close)
        rule = RelaySettings(0.01, loaded.event_batch, loaded.event_kept_seconds)
        yield RelayAlone(Relay(database, log, clock, rule), log, database)


def consume(
    events: EventRepositoryStub,
    most: int = 100,
    seconds: float = 1.0,
    *,
    group: str = GROUP,
    types: Sequence[str] = TYPES,
    lease: int = 60,
) -> list[pb.Delivery]:
    """Return what a consumer gets within some seconds, or until it has as many as it wants."""
    request = pb.ConsumeEventsRequest(
        group=group, types=types, max_events=most, lease_duration=Duration(seconds=lease)
    )
    got: list[pb.Delivery] = []
    try:
        for answer in events.ConsumeEvents(request, timeout=seconds):
            got.extend(answer.deliveries)
    except AppError as error:
        # The tier ends the stream just before that; on a busy machine it may come too late.
        if error.kind is not Kind.DEADLINE:
            raise
    return got


def ids(deliveries: Sequence[pb.Delivery]) -> list[str]:
    return [delivery.event.id for delivery in deliveries]


def settle(
    events: EventRepositoryStub,
    deliveries: Sequence[pb.Delivery],
    outcome: pb.DeliveryOutcome.ValueType = DONE,
    error: str = "",
    group: str = GROUP,
) -> None:
    settlements = [
        pb.Settlement(delivery_id=each.delivery_id, outcome=outcome, error=error)
        for each in deliveries
    ]
    events.SettleEvents(pb.SettleEventsRequest(group=group, settlements=settlements))


def append(events: EventRepositoryStub, *wanted: DomainEvent) -> list[str]:
    events.AppendEvents(pb.AppendEventsRequest(events=wanted))
    return [event.id for event in wanted]


def publish_all(relay: Relay) -> int:
    """Publish what is in the outbox, and return how many events that were."""
    return sum(iter(relay.publish, 0))


def after_retry(take: Callable[[], list[pb.Delivery]]) -> list[pb.Delivery]:
    """Return what comes again after its pause, which is short by the settings of the test."""
    return eventually(take, 10.0, "it comes again")


def dead(events: EventRepositoryStub, group: str = GROUP) -> list[pb.DeadEvent]:
    return list(events.ListDeadEvents(pb.ListDeadEventsRequest(group=group)).dead_events)
