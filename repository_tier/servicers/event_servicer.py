"""EventRepository: events from the outbox to whoever reacts to them."""

from __future__ import annotations

from collections.abc import Iterator

from grpc import ServicerContext

from arcana.common.v1.domain_event_pb2 import DomainEvent
from arcana.repository.v1 import event_repository_pb2 as messages
from arcana.repository.v1.event_repository_pb2_grpc import EventRepositoryServicer
from repository_tier.event_lag import EventLag
from repository_tier.event_log.log import EventLog
from repository_tier.event_streams import EventStreams
from repository_tier.outbox import Outbox, events_from_proto
from repository_tier.servicers.event_requests import (
    consumption_from_proto,
    dead_event_to_proto,
    dead_page_from_proto,
    delivery_to_proto,
    duration_of,
    following_from_proto,
    group_lag_to_proto,
    settlements_from_proto,
)
from tier_runtime.context import rpc_context
from tier_runtime.validation import require


class EventServicer(EventRepositoryServicer):
    """Each method checks presence, converts in, makes one call, and converts out."""

    def __init__(self, outbox: Outbox, log: EventLog, streams: EventStreams, lag: EventLag) -> None:
        self._outbox = outbox
        self._log = log
        self._streams = streams
        self._lag = lag

    def AppendEvents(
        self, request: messages.AppendEventsRequest, context: ServicerContext
    ) -> messages.AppendEventsResponse:
        require(request, "events")
        events = events_from_proto(request.events)
        self._outbox.append(events, rpc_context(context).deadline)
        return messages.AppendEventsResponse()

    def ConsumeEvents(
        self, request: messages.ConsumeEventsRequest, context: ServicerContext
    ) -> Iterator[messages.ConsumeEventsResponse]:
        require(request, "group", "types", "lease_duration")
        wanted, most = consumption_from_proto(request)
        for taken in self._streams.consume(wanted, most, rpc_context(context)):
            deliveries = [delivery_to_proto(each) for each in taken]
            yield messages.ConsumeEventsResponse(deliveries=deliveries)

    def SettleEvents(
        self, request: messages.SettleEventsRequest, context: ServicerContext
    ) -> messages.SettleEventsResponse:
        require(request, "group", "settlements")
        group, settled = settlements_from_proto(request)
        self._log.settle(group, settled, rpc_context(context).deadline)
        return messages.SettleEventsResponse()

    def FollowEvents(
        self, request: messages.FollowEventsRequest, context: ServicerContext
    ) -> Iterator[messages.FollowEventsResponse]:
        types, after = following_from_proto(request)
        for body in self._streams.follow(types, after, rpc_context(context)):
            event = None if body is None else DomainEvent.FromString(body)
            yield messages.FollowEventsResponse(event=event)

    def ListDeadEvents(
        self, request: messages.ListDeadEventsRequest, context: ServicerContext
    ) -> messages.ListDeadEventsResponse:
        require(request, "group")
        group, size, token = dead_page_from_proto(request)
        letters, older = self._log.dead(group, size, token, rpc_context(context).deadline)
        return messages.ListDeadEventsResponse(
            dead_events=[dead_event_to_proto(each) for each in letters], next_page_token=older
        )

    def GetEventLag(
        self, request: messages.GetEventLagRequest, context: ServicerContext
    ) -> messages.GetEventLagResponse:
        lag = self._lag.read(rpc_context(context).deadline)
        return messages.GetEventLagResponse(
            unpublished=lag.unpublished,
            oldest_unpublished_age=duration_of(lag.oldest_age),
            groups=[group_lag_to_proto(each) for each in lag.groups],
        )
