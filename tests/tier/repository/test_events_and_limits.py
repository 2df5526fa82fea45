from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from sqlalchemy import select

from arcana.common.v1.domain_event_pb2 import DomainEvent
from arcana.repository.v1 import rate_limit_repository_pb2 as limits
from arcana.repository.v1.event_repository_pb2 import AppendEventsRequest
from repository_tier.tables import outbox_events
from tests.tier.repository.requests import Requests
from tests.tier.repository.running_tier import RunningTier, all_at_once, bad_fields


def kept_events(tier: RunningTier) -> list[DomainEvent]:
    rows = tier.rows(select(outbox_events).order_by(outbox_events.c.position))
    return [DomainEvent.FromString(row["body"]) for row in rows]


def test_events_are_kept_whole_in_the_order_given(tier: RunningTier, make: Requests) -> None:
    events = [make.event(actor_subject="system") for _ in range(3)]
    tier.events.AppendEvents(AppendEventsRequest(events=events))
    assert kept_events(tier) == events


def test_an_event_that_is_there_stays_as_it_is(tier: RunningTier, make: Requests) -> None:
    first, second = make.event(), make.event()
    tier.events.AppendEvents(AppendEventsRequest(events=[first]))
    changed = DomainEvent()
    changed.CopyFrom(first)
    changed.type = "user.deleted"
    tier.events.AppendEvents(AppendEventsRequest(events=[changed, second]))
    assert kept_events(tier) == [first, second]


@pytest.mark.usefixtures("warm_tier")
def test_events_of_racing_calls_are_all_kept_once(tier: RunningTier, make: Requests) -> None:
    shared = make.event()
    all_at_once(
        20,
        lambda _number: tier.events.AppendEvents(
            AppendEventsRequest(events=[shared, make.event()])
        ),
    )
    assert len(kept_events(tier)) == 21


def bucket(key: str, limit: int = 3, seconds: int = 60) -> limits.RateLimitBucket:
    return limits.RateLimitBucket(key=key, limit=limit, window=Duration(seconds=seconds))


def take(tier: RunningTier, *buckets: limits.RateLimitBucket) -> list[limits.RateLimitState]:
    return list(tier.limits.TakeRateLimit(limits.TakeRateLimitRequest(buckets=buckets)).states)


def test_a_bucket_gives_as_many_as_it_holds(tier: RunningTier) -> None:
    states = [take(tier, bucket("a"))[0] for _ in range(4)]
    assert [(state.allowed, state.remaining) for state in states] == [
        (True, 2),
        (True, 1),
        (True, 0),
        (False, 0),
    ]
    assert 0 < states[-1].reset_after.ToMilliseconds() <= 60_000


def test_an_empty_bucket_does_not_spare_the_others(tier: RunningTier) -> None:
    take(tier, bucket("small", limit=1))
    small, large = take(tier, bucket("small", limit=1), bucket("large", limit=5))
    assert (small.key, small.allowed) == ("small", False)
    assert (large.key, large.allowed, large.remaining) == ("large", True, 4)


def test_buckets_do_not_mix(tier: RunningTier) -> None:
    keys = ["a", "a/1", "b", "a " + "x" * 200, "ä"]
    assert all(take(tier, bucket(key, limit=1))[0].allowed for key in keys)
    assert not any(take(tier, bucket(key, limit=1))[0].allowed for key in keys)


@pytest.mark.usefixtures("warm_tier")
def test_of_many_at_once_as_many_are_allowed_as_the_bucket_holds(tier: RunningTier) -> None:
    # So long a window that hardly ever one begins meanwhile, which would have room for one more.
    day = bucket("a", limit=10, seconds=86_400)
    answers = all_at_once(40, lambda _number: take(tier, day)[0].allowed)
    assert answers.count(True) == 10


@pytest.mark.parametrize(
    ("fields", "bad"),
    [
        ({"key": ""}, "key"),
        ({"key": "x" * 256}, "key"),
        ({"limit": 0}, "limit"),
        ({"limit": 10**12}, "limit"),
        ({"window": None}, "window"),
        ({"window": Duration(seconds=86_401)}, "window"),
        ({"window": Duration(seconds=1, nanos=1)}, "window"),
    ],
)
def test_a_bucket_that_is_none_is_refused(
    tier: RunningTier, fields: dict[str, Any], bad: str
) -> None:
    values: dict[str, Any] = {"key": "a", "limit": 1, "window": Duration(seconds=1)}
    wrong = limits.RateLimitBucket(**values | fields)
    request = limits.TakeRateLimitRequest(buckets=[wrong])
    assert bad_fields(tier.limits.TakeRateLimit, request) == {f"buckets[0].{bad}"}


def test_buckets_are_one_to_four(tier: RunningTier) -> None:
    none = limits.TakeRateLimitRequest()
    assert bad_fields(tier.limits.TakeRateLimit, none) == {"buckets"}
    many = limits.TakeRateLimitRequest(buckets=[bucket("a")] * 5)
    assert bad_fields(tier.limits.TakeRateLimit, many) == {"buckets"}
