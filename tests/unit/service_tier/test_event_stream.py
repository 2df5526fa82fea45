"""The live view of events, at the service tier."""

from __future__ import annotations

import pytest

from arcana.common.v1.domain_event_pb2 import DomainEvent
from arcana.service.v1 import event_service_pb2 as pb
from arcana.service.v1 import event_service_pb2_grpc
from service_tier.assembly.services import make_services
from service_tier.repository import Repository
from tests.fakes.repository import InPlaceChannel
from tests.unit.service_tier.harness import ADMIN, Harness
from tier_runtime.call import Actor
from tier_runtime.errors import AppError
from tier_runtime.ids import Uuid7Source

_IDS = Uuid7Source()


def streamed(harness: Harness, **fields: object) -> list[str]:
    request = pb.StreamEventsRequest(**fields)  # type: ignore[arg-type]  # by name
    stub = event_service_pb2_grpc.EventServiceStub(InPlaceChannel(harness.services))
    with harness.acting(ADMIN):
        return [answer.event.id for answer in stub.StreamEvents(request)]


def append(harness: Harness, *types: str) -> list[str]:
    events = [DomainEvent(id=_IDS.new_id(), type=each) for each in types]
    harness.repository.state.events.extend(events)
    return [event.id for event in events]


def test_an_admin_sees_what_came_after_an_event(harness: Harness) -> None:
    first, second, third = append(harness, "user.created", "order.created", "order.paid")
    # The first answer is a sign of life.
    assert streamed(harness, after_event_id=first) == ["", second, third]
    assert streamed(harness, after_event_id=first, types=["order.paid"]) == ["", third]
    assert streamed(harness) == [""]


def test_a_stream_ends_when_the_tier_stops(harness: Harness) -> None:
    first, *_ = append(harness, "user.created", "order.created")
    harness.services = make_services(
        harness.settings,
        Repository.over(harness.channel),
        harness.function,
        harness.clock,
        _IDS,
        audit=harness.audit,
        is_draining=lambda: True,
    )
    assert streamed(harness, after_event_id=first) == [""]


@pytest.mark.parametrize("actor", [Actor(), Actor(_IDS.new_id(), frozenset({"user"}))])
def test_nobody_else_sees_anything(harness: Harness, actor: Actor) -> None:
    stub = event_service_pb2_grpc.EventServiceStub(InPlaceChannel(harness.services))
    with harness.acting(actor), pytest.raises(AppError) as caught:
        list(stub.StreamEvents(pb.StreamEventsRequest()))
    assert caught.value.code == ("UNAUTHENTICATED" if actor.is_anonymous else "FORBIDDEN")


@pytest.mark.parametrize(
    ("fields", "bad"),
    [
        ({"types": ["Order Created"]}, "types"),
        ({"types": ["order.created"] * 101}, "types"),
        ({"types": [f"order.{'x' * 60}"]}, "types"),
        ({"after_event_id": "7"}, "after_event_id"),
    ],
)
def test_what_is_no_type_and_no_event_is_refused(
    harness: Harness, fields: dict[str, object], bad: str
) -> None:
    with pytest.raises(AppError) as caught:
        streamed(harness, **fields)
    assert set(caught.value.field_errors) == {bad}
