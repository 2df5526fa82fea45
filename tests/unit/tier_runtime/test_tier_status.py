"""What a tier tells an operator of itself and of those behind it."""

from __future__ import annotations

from arcana.common.v1 import tier_status_pb2 as pb
from arcana.common.v1.tier_status_pb2_grpc import TierStatusServiceStub
from tests.fakes.clock import FakeClock
from tests.fakes.repository import InPlaceChannel
from tier_runtime.call import Actor, Call, call_scope
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError, Kind
from tier_runtime.handlers import Registration
from tier_runtime.tier_status_servicer import (
    STATUS_SERVICE,
    Complete,
    add_status_behind,
    with_status,
)
from tier_runtime.version import program_version

OTHER = Registration("arcana.test.v1.Other", lambda _server: None)


def told(channel: InPlaceChannel) -> pb.GetTierStatusResponse:
    return TierStatusServiceStub(channel).GetTierStatus(pb.GetTierStatusRequest())


def tier(name: str, clock: FakeClock, complete: Complete) -> InPlaceChannel:
    services = with_status(name, [OTHER], clock, complete)
    assert [each.service_full_name for each in services] == [
        OTHER.service_full_name,
        STATUS_SERVICE,
    ]
    return InPlaceChannel(services)


def nothing(_answer: pb.GetTierStatusResponse, _deadline: Deadline) -> None:
    """Add nothing."""


def test_a_tier_tells_its_name_version_age_and_services() -> None:
    clock = FakeClock()
    channel = tier("service", clock, nothing)
    clock.advance(75.5)
    status = told(channel).status
    assert (status.tier, status.version) == ("service", program_version())
    assert status.uptime.seconds == 75
    # Those that it is there for, not the one that tells.
    assert list(status.services) == [OTHER.service_full_name]
    assert not status.HasField("database")


def test_what_is_behind_has_half_of_the_time_to_say_so() -> None:
    clock = FakeClock()
    given: list[float] = []

    def complete(_answer: pb.GetTierStatusResponse, deadline: Deadline) -> None:
        given.append(deadline.remaining())

    channel = tier("repository", clock, complete)
    with call_scope(Call(Actor(), "r", Deadline.after(2.0, clock.monotonic))):
        told(channel)
    assert given == [1.0]


def test_a_tier_passes_on_what_those_behind_it_tell() -> None:
    clock = FakeClock()
    innermost = tier("repository", clock, nothing)
    middle = tier("service", clock, add_status_behind(innermost))
    outer = tier("outer", clock, add_status_behind(middle))
    assert [status.tier for status in told(outer).behind] == ["service", "repository"]


def test_a_tier_whose_neighbour_is_away_tells_of_itself() -> None:
    def away(_request: object) -> None:
        raise AppError(Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE", "Away.")

    clock = FakeClock()
    behind = tier("repository", clock, nothing)
    behind.before["GetTierStatus"] = away
    answer = told(tier("service", clock, add_status_behind(behind)))
    assert answer.status.tier == "service"
    assert list(answer.behind) == []
