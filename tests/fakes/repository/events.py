"""The outbox in memory; everything in it is published at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import grpc

from arcana.repository.v1 import event_repository_pb2 as pb
from arcana.repository.v1 import event_repository_pb2_grpc
from tests.fakes.repository.state import State
from tier_runtime.timestamps import timestamp_from

MAX_ATTEMPTS = 3


@dataclass
class _Group:
    """What a group has settled, refused and given up, by the events' places in the outbox."""

    settled: set[int] = field(default_factory=set)
    attempts: dict[int, int] = field(default_factory=dict)
    dead: list[pb.DeadEvent] = field(default_factory=list)


class FakeEvents(event_repository_pb2_grpc.EventRepositoryServicer):
    """Streams end as soon as there is nothing more, and pauses take no time."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._groups: dict[str, _Group] = {}

    def AppendEvents(
        self, request: pb.AppendEventsRequest, context: grpc.ServicerContext
    ) -> pb.AppendEventsResponse:
        with self._state.lock:
            known = {event.id for event in self._state.events}
            self._state.events.extend(event for event in request.events if event.id not in known)
            return pb.AppendEventsResponse()

    def ConsumeEvents(
        self, request: pb.ConsumeEventsRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.ConsumeEventsResponse]:
        with self._state.lock:
            group = self._groups.setdefault(request.group, _Group())
            deliveries: list[pb.Delivery] = []
            for place, event in enumerate(self._state.events):
                if event.type not in request.types or place in group.settled:
                    continue
                if len(deliveries) == (request.max_events or 100):
                    break
                group.attempts[place] = group.attempts.get(place, 0) + 1
                deliveries.append(
                    pb.Delivery(delivery_id=str(place), event=event, attempt=group.attempts[place])
                )
        if deliveries:
            yield pb.ConsumeEventsResponse(deliveries=deliveries)

    def SettleEvents(
        self, request: pb.SettleEventsRequest, context: grpc.ServicerContext
    ) -> pb.SettleEventsResponse:
        with self._state.lock:
            group = self._groups.setdefault(request.group, _Group())
            for settlement in request.settlements:
                self._settle(group, int(settlement.delivery_id), settlement)
            return pb.SettleEventsResponse()

    def FollowEvents(
        self, request: pb.FollowEventsRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.FollowEventsResponse]:
        with self._state.lock:
            events = list(self._state.events)
        ids = [event.id for event in events]
        after = request.after_event_id
        begin = ids.index(after) + 1 if after in ids else len(ids) if not after else 0
        yield pb.FollowEventsResponse()
        for event in events[begin:]:
            if not request.types or event.type in request.types:
                yield pb.FollowEventsResponse(event=event)

    def ListDeadEvents(
        self, request: pb.ListDeadEventsRequest, context: grpc.ServicerContext
    ) -> pb.ListDeadEventsResponse:
        with self._state.lock:
            dead = self._groups.get(request.group, _Group()).dead
            return pb.ListDeadEventsResponse(dead_events=dead[::-1][: request.page_size or 10])

    def GetEventLag(
        self, request: pb.GetEventLagRequest, context: grpc.ServicerContext
    ) -> pb.GetEventLagResponse:
        with self._state.lock:
            return pb.GetEventLagResponse(
                groups=[
                    pb.EventGroupLag(
                        group=name,
                        unsettled=len(self._state.events) - len(group.settled),
                        dead=len(group.dead),
                    )
                    for name, group in sorted(self._groups.items())
                ]
            )

    def _settle(self, group: _Group, place: int, settlement: pb.Settlement) -> None:
        if settlement.outcome == pb.DELIVERY_OUTCOME_DONE:
            group.settled.add(place)
        elif settlement.outcome == pb.DELIVERY_OUTCOME_RETURNED:
            group.attempts[place] -= 1
        elif group.attempts[place] >= MAX_ATTEMPTS:
            group.settled.add(place)
            group.dead.append(
                pb.DeadEvent(
                    event=self._state.events[place],
                    attempts=group.attempts[place],
                    error=settlement.error,
                    dead_time=timestamp_from(self._state.clock.now()),
                )
            )
