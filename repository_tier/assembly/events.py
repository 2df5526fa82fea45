"""Builds the log of events, the relay that fills it, and the service of events."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random

from arcana.repository.v1 import event_repository_pb2_grpc
from repository_tier.cache.redis_store import connect_redis
from repository_tier.database import Database
from repository_tier.event_lag import EventLag
from repository_tier.event_log.log import EventLog, RetryRule
from repository_tier.event_log.redis_log import RedisLog
from repository_tier.event_log.table_log import TableLog
from repository_tier.event_streams import EventStreams
from repository_tier.outbox import Outbox
from repository_tier.relay import Relay, RelaySettings
from repository_tier.servicers.event_servicer import EventServicer
from repository_tier.settings import RepositorySettings
from tier_runtime.clock import Clock
from tier_runtime.server import Registration

# How long Redis may take with events. Nobody waits for that but the relay and consumers.
EVENT_REDIS_SECONDS = 2.0


def make_event_log(
    settings: RepositorySettings, database: Database, clock: Clock, random: Random
) -> EventLog:
    """Return the log of events in Redis, or in the database where there is no Redis."""
    retry = RetryRule(
        settings.event_max_attempts,
        settings.event_retry_seconds,
        settings.event_longest_retry_seconds,
    )
    if not settings.redis():
        return TableLog(database, clock, random, retry)
    # Its own connections: a stream waits for events in one, and for longer than the cache may.
    client = connect_redis(settings.redis(), EVENT_REDIS_SECONDS, settings.grpc().threads * 2)
    return RedisLog(
        client, database, clock, random, retry=retry, max_length=settings.event_stream_length
    )


def make_relay(
    settings: RepositorySettings, database: Database, event_log: EventLog, clock: Clock
) -> Relay:
    """Build what carries events from the outbox to the log; it is not started."""
    rule = RelaySettings(
        settings.event_poll_seconds, settings.event_batch, settings.event_kept_seconds
    )
    return Relay(database, event_log, clock, rule)


def make_event_service(
    database: Database,
    event_log: EventLog,
    lag: EventLag,
    clock: Clock,
    is_draining: Callable[[], bool],
) -> Registration:
    """Build the service of events; `is_draining` says when streams of any length have to end."""
    events = EventServicer(
        Outbox(database, clock), event_log, EventStreams(event_log, is_draining), lag
    )
    return Registration(
        "arcana.repository.v1.EventRepository",
        partial(event_repository_pb2_grpc.add_EventRepositoryServicer_to_server, events),
    )
