"""Readers that settle nothing: the live view of events."""

from __future__ import annotations

from typing import Any

import pytest

from arcana.repository.v1 import event_repository_pb2 as pb
from tests.tier.repository.conftest import StartTier
from tests.tier.repository.event_flow import RelayAlone, append, publish_all
from tests.tier.repository.requests import Requests
from tests.tier.repository.running_tier import RunningTier, bad_fields
from tier_runtime.clock import SystemClock
from tier_runtime.ids import Uuid7Source


@pytest.fixture
def tier(start_tier: StartTier) -> RunningTier:
    return start_tier(tier_clock=SystemClock())


def follow(tier: RunningTier, seconds: float = 20.0, **fields: Any) -> Any:
    return tier.events.FollowEvents(pb.FollowEventsRequest(**fields), timeout=seconds)


def all_of(answers: Any) -> list[str]:
    return [answer.event.id for answer in answers if answer.HasField("event")]


def first(answers: Any, count: int) -> list[str]:
    """Return the next events, and leave."""
    found: list[str] = []
    for answer in answers:
        found += [answer.event.id] if answer.HasField("event") else []
        if len(found) == count:
            break
    answers.cancel()
    return found


def test_a_follower_sees_what_comes_from_now_on(
    tier: RunningTier, alone: RelayAlone, make: Requests
) -> None:
    append(tier.events, make.event())
    publish_all(alone.relay)
    answers = follow(tier)
    assert not next(answers).HasField("event")
    wanted = append(tier.events, make.event(), make.event())
    publish_all(alone.relay)
    assert first(answers, 2) == wanted


def test_a_follower_goes_on_after_the_last_event_that_it_saw(
    tier: RunningTier, alone: RelayAlone, make: Requests
) -> None:
    seen, *missed = append(tier.events, make.event(), make.event(type="order.paid"), make.event())
    publish_all(alone.relay)
    assert first(follow(tier, after_event_id=seen), 2) == missed
    only = follow(tier, after_event_id=seen, types=["order.paid"])
    assert first(only, 1) == missed[:1]
    last = follow(tier, 1.0, after_event_id=missed[-1])
    assert all_of(last) == []


def test_after_an_event_that_is_not_kept_what_is_kept_from_its_time_on_is_sent(
    tier: RunningTier, alone: RelayAlone, make: Requests
) -> None:
    wanted = append(tier.events, make.event(), make.event())
    publish_all(alone.relay)
    # Made now, a minute after the begin that is looked for.
    unknown = Uuid7Source().new_id()
    assert first(follow(tier, after_event_id=unknown), 2) == wanted
    # The time in it may be any.
    assert first(follow(tier, after_event_id=f"00000000-0000{unknown[13:]}"), 2) == wanted


@pytest.mark.parametrize("begin", ["03ffffff", "ffffffff"])
def test_after_an_event_that_is_yet_to_come_what_is_next_is_sent(
    tier: RunningTier, alone: RelayAlone, make: Requests, begin: str
) -> None:
    append(tier.events, make.event())
    publish_all(alone.relay)
    answers = follow(tier, after_event_id=f"{begin}-ffff{Uuid7Source().new_id()[13:]}")
    assert not next(answers).HasField("event")
    wanted = append(tier.events, make.event())
    publish_all(alone.relay)
    assert first(answers, 1) == wanted


def test_there_are_signs_of_life_and_a_good_end_before_the_deadline(tier: RunningTier) -> None:
    answers = list(follow(tier, 3.0))
    assert 2 <= len(answers) <= 4
    assert all_of(answers) == []


def test_streams_end_when_the_tier_drains(tier: RunningTier) -> None:
    answers = follow(tier)
    next(answers)
    tier.health.drain()
    assert all_of(answers) == []


def test_what_is_no_type_and_no_event_is_refused(tier: RunningTier) -> None:
    def refused(**fields: Any) -> set[str]:
        request = pb.FollowEventsRequest(**fields)
        return bad_fields(lambda asked: list(tier.events.FollowEvents(asked)), request)

    assert refused(after_event_id="7") == {"after_event_id"}
    assert refused(types=["x" * 65]) == {"types[0]"}
